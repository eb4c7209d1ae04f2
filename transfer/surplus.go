package transfer

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/text/unicode/norm"
)

// SurplusOptions configure a Surplus.
type SurplusOptions struct {
	Source   Source                  // the only one, a directory
	LeaveOut func(key string) string // the scan's rule: what it leaves out is not for a sync to judge; nil for none
	AllFiles bool                    // likewise of what systems and tools drop into directories
	Dir      string                  // where the keys are kept meanwhile, which may be millions; "" for the system's place
}

// Surplus collects, while a plan is made, the objects below a destination that
// the source does not have. It only collects: what it holds may be deleted when
// everything else is done, and Doubt says nothing.
//
// Not surplus is what a scan would not have taken if it were there: what rules
// leave out, what has the name of something here that was not taken (a fifo, a
// file that is too young), the marker of a directory that is here, and what a
// listing can't tell as it is. The methods do nothing for a nil Surplus.
type Surplus struct {
	o SurplusOptions

	files, all int64 // found by the scan, listed
	n, bytes   int64
	whole      bool   // the listing was read to its end
	fault      string // why nothing may be deleted
	later      bool   // of a Zarr store something is left to a later run
	kept       map[string]int
	examples   []string
	meta, rest *NameList // Zarr metadata, and all else, with their sizes; nil for none
	depths     [2]int

	dir   string // names below it, by their composed form
	names map[string][]string
}

// NewSurplus returns a Surplus that holds nothing yet. Close it.
func NewSurplus(o SurplusOptions) *Surplus {
	return &Surplus{o: o, kept: map[string]int{}}
}

// Close removes what was kept on disk.
func (u *Surplus) Close() {
	if u != nil {
		_, _ = u.meta.Close(), u.rest.Close() // they are temporary files
	}
}

// Files is how many files the scan has found, those for a later run too.
func (u *Surplus) Files() int64 { return u.files }

// Listed is how many objects there are below the destination.
func (u *Surplus) Listed() int64 { return u.all }

// Objects and Bytes are how much is surplus.
func (u *Surplus) Objects() int64 { return u.n }

// Bytes is the size of what is surplus.
func (u *Surplus) Bytes() int64 { return u.bytes }

// Examples are a few of the keys.
func (u *Surplus) Examples() []string { return u.examples }

// Kept counts, by reason, what the source does not have and is not surplus. It
// has few reasons: those behind MaxReasons are one.
func (u *Surplus) Kept() map[string]int { return maps.Clone(u.kept) }

// Later reports that deleting has to wait: of a Zarr store something is left to
// a later run, and until then its old metadata need its old chunks.
func (u *Surplus) Later() bool { return u.later }

// Doubt says why it is not certain what is surplus; "" where it is.
func (u *Surplus) Doubt() string {
	switch {
	case u.fault != "":
		return u.fault
	case u.files == 0:
		return "no file was found in " + u.o.Source.Path
	case !u.whole:
		return "the destination was not listed to its end"
	}
	return ""
}

// doubt notes the first reason to delete nothing.
func (u *Surplus) doubt(why string) {
	if u != nil && u.fault == "" {
		u.fault = why
	}
}

// listed notes the end of the listing.
func (u *Surplus) listed(n int64) { u.all, u.whole = n, true }

// saw takes note of an entry of the scan.
func (u *Surplus) saw(e *Entry) {
	switch {
	case u == nil:
	case e.Err != nil:
		u.doubt("the source could not be read completely: " + e.Err.Error())
	case e.Later:
		u.files++ // it is here, and not taken
		u.later = u.later || e.Item.Zarr != ""
	case e.Ignored != "":
	case e.Item.Path != "":
		u.files++
	}
}

// add takes an object that no file has the key of.
func (u *Surplus) add(obj Object) error {
	if u == nil {
		return nil
	}
	why, err := u.keep(obj.Key)
	if err != nil {
		u.doubt("the source could not be looked at: " + err.Error())
		why = "not to be looked at"
	}
	if why == inOtherForm {
		return nil
	}
	if why != "" {
		if _, known := u.kept[why]; !known && len(u.kept) >= MaxReasons-1 {
			why = OtherReasons
		}
		u.kept[why]++
		return nil
	}
	u.n++
	u.bytes += obj.Size
	if len(u.examples) < 3 {
		u.examples = append(u.examples, obj.Key)
	}
	to := &u.rest
	if scanIsZarrMeta(path.Base(obj.Key)) {
		to = &u.meta
		depth := strings.Count(obj.Key, "/")
		if u.meta.Len() == 0 {
			u.depths = [2]int{depth, depth}
		}
		u.depths = [2]int{min(u.depths[0], depth), max(u.depths[1], depth)}
	}
	if *to == nil {
		if *to, err = NewNameList(u.o.Dir); err != nil {
			return err
		}
	}
	(*to).add(obj.Key, uint64(obj.Size)) //nolint:gosec // sizes are not negative
	return nil
}

// keep says why an object is not surplus; "" where it is.
func (u *Surplus) keep(key string) (why string, _ error) {
	rel := strings.TrimPrefix(key, u.o.Source.Prefix)
	if rel == "" {
		return "the destination's own marker", nil
	}
	if !listable(key) {
		return "control characters in the name", nil
	}
	name := strings.TrimSuffix(rel, "/")
	if !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name {
		return "no name for a file here", nil
	}
	if why := u.junk(rel); why != "" {
		return why, nil
	}
	if u.o.LeaveOut != nil {
		if why := u.o.LeaveOut(key); why != "" {
			return why, nil
		}
	}
	marker := strings.HasSuffix(rel, "/")
	here, err := u.here(name, marker)
	switch {
	case err != nil:
	case isASCII(name) && here:
		why = notTaken
	case isASCII(name):
	case here:
		why = inOtherForm
	default:
		if here, err = u.looksHere(u.o.Source.Path, strings.Split(name, "/")); here {
			why = inOtherForm
		}
	}
	return why, err
}

const (
	notTaken = "here, but not taken"
	// inOtherForm is nothing to speak of: the file is stored, by that name.
	inOtherForm = "here, perhaps in another form of Unicode"
)

func (u *Surplus) junk(rel string) string {
	if u.o.AllFiles {
		return ""
	}
	for name, rest, dir := strings.Cut(rel, "/"); ; name, rest, dir = strings.Cut(rest, "/") {
		if why := scanLeftOut(name, dir); why != "" || !dir {
			return why
		}
	}
}

// here looks whether something of this name is in the source now, in one of
// its forms of Unicode. A directory counts for what may be its marker.
func (u *Surplus) here(name string, marker bool) (bool, error) {
	forms := []string{name}
	if !isASCII(name) {
		forms = append(forms, norm.NFC.String(name), norm.NFD.String(name))
	}
	for _, form := range forms {
		fi, err := os.Lstat(filepath.Join(u.o.Source.Path, filepath.FromSlash(form)))
		switch {
		case absent(err):
		case err != nil:
			return false, err
		case marker || !fi.IsDir():
			return true, nil
		}
	}
	return false, nil
}

// absent reports that there is nothing of that name, nor could be.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

// looksHere is here for a path in which each name may be in a form of its own.
func (u *Surplus) looksHere(dir string, names []string) (bool, error) {
	found := names[:1]
	if !isASCII(names[0]) {
		if err := u.readNames(dir); err != nil {
			return false, err
		}
		found = u.names[norm.NFC.String(names[0])]
	}
	for _, name := range found {
		at := filepath.Join(dir, name)
		fi, err := os.Stat(at)
		if absent(err) {
			continue
		}
		if err != nil {
			return false, err
		}
		if len(names) == 1 {
			if !fi.IsDir() {
				return true, nil
			}
			continue
		}
		if here, err := u.looksHere(at, names[1:]); here || err != nil {
			return here, err
		}
	}
	return false, nil
}

// readNames reads the names of a directory that are not ASCII. It keeps those
// of one: keys come in order.
func (u *Surplus) readNames(dir string) error {
	if u.dir == dir && u.names != nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !absent(err) {
		return err
	}
	u.dir, u.names = dir, map[string][]string{}
	for _, e := range entries {
		if !isASCII(e.Name()) {
			form := norm.NFC.String(e.Name())
			u.names[form] = append(u.names[form], e.Name())
		}
	}
	return nil
}
