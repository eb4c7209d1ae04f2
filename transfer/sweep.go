package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// ErrEmpty is a listing that held nothing: more likely it is the wrong place.
var ErrEmpty = errors.New("the listing is empty")

// SweepOptions configures Sweep. The zero value counts all files.
type SweepOptions struct {
	AllFiles bool // what operating systems and tools drop into directories counts too
	// LeaveOut and Later, if set, say why something is neither counted nor
	// deleted, by its name and by its time. The name of a directory ends in "/",
	// and stands for all below it.
	LeaveOut func(name string) string
	Later    func(modified time.Time) string
	// Allow is asked whether so many of all files may be deleted.
	Allow   func(n, all int64) bool
	Dir     string      // where the lists of names are kept; "" for the system's place
	DryRun  bool        // delete nothing, tell by Planned
	Journal Journal     // forgets what is deleted; nil for none
	Prefix  string      // of the keys, for events
	Event   func(Event) // never blocks
	Stop    <-chan struct{}
}

// Sweep is the last part of a synchronisation: it deletes from the target the
// files and symbolic links whose names are not among names, and then the
// directories that became empty by that. names is what a listing held that was
// seen whole; nobody else writes to the target meanwhile.
//
// A name that differs from one of names only in how accents are written counts
// as that. Nothing is deleted through a symbolic link, or before it is known how
// much there is to be deleted: where that is not allowed the error is *TooMany.
// A file that can't be deleted is told by its event; failed counts them. Metadata
// of Zarr stores go first: where some stay, so does all else.
func Sweep(ctx context.Context, t *Target, names *NameList, o SweepOptions) (failed int, _ error) {
	if names.Len() == 0 {
		return 0, &Error{Op: "list", Key: o.Prefix, Err: ErrEmpty}
	}
	if o.Event == nil {
		o.Event = func(Event) {}
	}
	s := &sweep{ctx: ctx, t: t, names: names, o: &o}
	surplus, err := s.surplus()
	if err == nil && s.accented {
		surplus, err = s.unlikeAny(surplus)
	}
	if surplus != nil {
		defer func() { _ = surplus.Close() }() // a temporary file
	}
	switch {
	case err != nil || s.n == 0:
		return 0, err
	case !o.Allow(s.n, s.all):
		err = &TooMany{Delete: s.n, Of: s.all, Bytes: s.bytes, Example: firstFile(surplus)}
	}
	if err != nil && !o.DryRun {
		return 0, err
	}
	if derr := s.delete(surplus); derr != nil {
		err = derr
	}
	return s.failed, err
}

// TooMany is a guard that kept everything.
type TooMany struct {
	Delete, Of int64  // how many files would be deleted, and of how many
	Bytes      int64  // of those that would be
	Example    string // the name of one of them
}

func (e *TooMany) Error() string {
	return fmt.Sprintf("%d of %d files would be deleted, which is more than is allowed", e.Delete, e.Of)
}

// sweep is the state of one Sweep.
type sweep struct {
	ctx      context.Context // of one Sweep, which is one call
	t        *Target
	names    *NameList
	o        *SweepOptions
	all, n   int64 // files that count, and those of them to delete
	bytes    int64 // of these
	accented bool  // some of these have names that are no ASCII
	failed   int
	fault    error // of the journal: what it has to forget, it can't any more
	dirs     []sweptDir
}

func (s *sweep) ended() error {
	if s.fault != nil {
		return s.fault
	}
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	select {
	case <-s.o.Stop:
		return ErrStopped
	default:
		return nil
	}
}

// surplus lists what is in the target and not among the names. Of a file the
// number is its size.
func (s *sweep) surplus() (*NameList, error) {
	out, err := NewNameList(s.o.Dir)
	if err != nil {
		return nil, err
	}
	keep := newNameCursor(s.names)
	defer keep.stop()
	for f, err := range s.t.walk(s.o) {
		if err == nil {
			err = s.ended()
		}
		if err != nil {
			return out, err
		}
		known, err := keep.find(f.name)
		if err != nil {
			return out, err
		}
		if !strings.HasSuffix(f.name, "/") {
			s.all++
			if !known {
				s.n++
				s.bytes += f.size
			}
		}
		if !known {
			s.accented = s.accented || !isASCII(f.name)
			out.addNamed(named{f.name, uint64(f.size), f.mtime}) //nolint:gosec // sizes are not negative
		}
	}
	// The rest of the names is read for an error's sake: without one it was all.
	return out, keep.rest()
}

// firstFile is the name of the first file of a list, "" for none.
func firstFile(l *NameList) string {
	for n, err := range l.all() {
		if err == nil && !strings.HasSuffix(n.name, "/") {
			return n.name
		}
	}
	return ""
}

// accentBatch is how many names are held at a time while those are looked for that
// differ only in how accents are written.
const accentBatch = 10_000

// unlikeAny is surplus without those that are names, but for how accents are
// written. surplus is closed.
func (s *sweep) unlikeAny(surplus *NameList) (*NameList, error) {
	defer func() { _ = surplus.Close() }()
	out, err := NewNameList(s.o.Dir)
	if err != nil {
		return nil, err
	}
	batch := make([]named, 0, accentBatch)
	for n, err := range surplus.all() {
		if err != nil {
			return out, err
		}
		if batch = append(batch, n); len(batch) == accentBatch {
			if err := s.sift(out, batch); err != nil {
				return out, err
			}
			batch = batch[:0]
		}
	}
	return out, s.sift(out, batch)
}

func (s *sweep) sift(out *NameList, batch []named) error {
	like := map[string]bool{}
	for _, b := range batch {
		if !isASCII(b.name) {
			like[norm.NFC.String(b.name)] = false
		}
	}
	if len(like) > 0 {
		for n, err := range s.names.all() {
			if err == nil {
				err = s.ended()
			}
			if err != nil {
				return err
			}
			if isASCII(n.name) {
				continue
			}
			c := norm.NFC.String(n.name)
			if _, wanted := like[c]; wanted {
				like[c] = true
			}
		}
	}
	for _, b := range batch {
		switch {
		case isASCII(b.name) || !like[norm.NFC.String(b.name)]:
			out.addNamed(b)
		case !strings.HasSuffix(b.name, "/"):
			s.n--
			s.bytes -= int64(b.number) //nolint:gosec // it was a size
		}
	}
	return nil
}

// sweptDir is a directory on the way down that may be deleted.
type sweptDir struct {
	name string
	less bool // something in it was deleted
}

// delete deletes what surplus lists: metadata of Zarr stores first, and the rest
// only when they are gone. A reader takes a store that has metadata and lacks
// chunks for one that is full of fill values.
func (s *sweep) delete(surplus *NameList) error {
	stays := false
	for n, err := range surplus.all() {
		if err == nil {
			err = s.ended()
		}
		if err != nil {
			return err
		}
		if scanIsZarrMeta(path.Base(n.name)) && !strings.HasSuffix(n.name, "/") {
			stays = !s.file(n) || stays
		}
	}
	if stays {
		return s.fault
	}
	for n, err := range surplus.all() {
		if err == nil {
			err = s.ended()
		}
		if err != nil {
			return err
		}
		s.leave(n.name)
		switch {
		case strings.HasSuffix(n.name, "/"):
			s.dirs = append(s.dirs, sweptDir{name: n.name})
		case scanIsZarrMeta(path.Base(n.name)):
			s.lessen() // it is gone
		default:
			s.file(n)
		}
	}
	s.leave("")
	return s.fault
}

// lessen notes that something was deleted in the present directory.
func (s *sweep) lessen() {
	if n := len(s.dirs); n > 0 {
		s.dirs[n-1].less = true
	}
}

// leave goes back up to the directory that holds name, and deletes on the way
// what became empty.
func (s *sweep) leave(name string) {
	for n := len(s.dirs); n > 0; n-- {
		d := s.dirs[n-1]
		if name != "" && strings.HasPrefix(name, d.name) {
			return
		}
		s.dirs = s.dirs[:n-1]
		bare := strings.TrimSuffix(d.name, "/")
		if !d.less || s.o.DryRun || s.t.straight(bare) != nil {
			continue
		}
		// What is not empty stays, and so does what can't be deleted: it is no
		// file, and nobody takes it for one.
		if s.t.root.Remove(bare) == nil && n > 1 && strings.HasPrefix(d.name, s.dirs[n-2].name) {
			s.dirs[n-2].less = true
		}
	}
}

// file deletes one file or link, and reports whether it is gone. One that changed
// since it was found stays: nobody meant to lose what was written there.
func (s *sweep) file(n named) (gone bool) {
	e := Event{Kind: Deleted, Key: s.o.Prefix + n.name, Path: s.t.Path(n.name), Bytes: int64(n.number), Text: "not in the store"} //nolint:gosec // it was a size
	if s.o.DryRun {
		e.Kind, e.Action = Planned, Delete
		s.o.Event(e)
		return true
	}
	err := s.remove(n)
	if err == nil && s.o.Journal != nil {
		if jerr := s.o.Journal.Forget(n.name); jerr != nil {
			s.fault = &Error{Op: "journal", Key: e.Key, Err: errors.Join(ErrLocal, jerr)}
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true
	case errors.Is(err, ErrChanged):
		s.o.Event(Event{Kind: Notice, Key: e.Key, Path: e.Path, Text: "has changed meanwhile, and is kept"})
		return false
	case err != nil:
		s.failed++
		e.Kind, e.Text, e.Err = Failed, "", &Error{Op: "delete", Key: e.Key, Path: e.Path, Err: plain(err)}
	}
	s.o.Event(e)
	if err == nil {
		s.lessen()
	}
	return err == nil
}

func (s *sweep) remove(n named) error {
	if err := s.t.straight(strings.TrimSuffix(dirOf(n.name), "/")); err != nil {
		return err
	}
	fi, err := s.t.root.Lstat(n.name)
	if err != nil {
		return err
	}
	if !sweepable(fi) || fi.Mode().IsRegular() && fi.Size() != int64(n.number) || StatOf(fi).MTime != n.mtime { //nolint:gosec // it was a size
		return ErrChanged
	}
	return s.t.root.Remove(n.name)
}
