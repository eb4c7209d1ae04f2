package transfer

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"strings"
)

// What can be wrong with a directory entry beside what the system says. They
// come wrapped in *Error.
var (
	ErrName    = errors.New("name cannot be an object key") // not UTF-8, or too long
	ErrLoop    = errors.New("symbolic link loop")
	ErrSameKey = errors.New("another file has the same key")
)

// Source is one thing the user named.
type Source struct {
	Path string // absolute and clean; a symbolic link is followed, whatever the options
	// Prefix is the key prefix of a directory's contents, "" or ending in
	// "/". For a file it is its whole key.
	Prefix string
	Dir    bool
}

// ScanOptions say what a scan takes. The zero value follows symbolic links
// and leaves out what operating systems and tools drop into directories.
type ScanOptions struct {
	AllFiles         bool // take .DS_Store, ._*, Thumbs.db, .nfs* and .ipynb_checkpoints too
	NoFollowSymlinks bool // leave out symbolic links instead of following them
	// DirMarkers is the name of an empty object to make in every directory
	// that is read, so that empty directories are not lost; "" for none. A
	// file of that name is taken instead. The destination itself gets none
	// when it has no prefix. It holds no "/".
	DirMarkers string
	Readers    int // directories read, or files looked at, in parallel where that helps; default 16

	// LeaveOut, if set, says by its key why something is not taken; "" takes it.
	// It is asked about the sources and all below them. The key of a directory
	// ends in "/", and nothing below one that is left out is looked at. Many
	// goroutines may call it at once.
	LeaveOut func(key string) string
	// Later, if set, says why a file is left to a later run; "" takes it now.
	// Many goroutines may call it at once.
	Later func(Stat) string
	// Only, if set, are the files to take, below the only source. No other
	// directory is read; those that are missing fail.
	Only *Names
}

// Entry is one step of a scan: an Item to send; or something that failed, when
// Err is set; or something left out by rule, when Ignored is.
//
// An entry that failed or is left out has its Item's Key, Path and Zarr set
// all the same, so that what depends on it can be held back. Its Key ends in
// "/", or is "", when it stands for a directory and with it for every key that
// begins so; and it may be unfit as a key, when that is what failed.
type Entry struct {
	Item    Item   // Path is "" for an empty object that no file stands behind
	Err     error  // an *Error
	Ignored string // the reason
	Later   bool   // ignored only for now: what belongs to it has to wait
}

// Scan yields what the sources hold, in byte order of the keys over all
// sources; those of the Items are strictly ascending. In memory are only the
// names of the directories on the way down, and of some small ones that come
// next: several are read at once.
//
// Where two files would get one key, the source that was named first wins, even
// if its file cannot be read: the others are entries with ErrSameKey.
//
// Items below a directory that directly holds Zarr metadata carry the
// outermost such directory; for a source that is part of a Zarr store, it may
// be above the source.
//
// When ctx ends, so does the scan, with an entry whose Err wraps ctx.Err() and
// whose Key is "". A scan that ends without one is complete.
func Scan(ctx context.Context, sources []Source, o ScanOptions) iter.Seq[Entry] {
	return scanWith(ctx, sources, o, scanDisk{})
}

// scanWith is Scan over any file system.
func scanWith(ctx context.Context, sources []Source, o ScanOptions, files scanFS) iter.Seq[Entry] {
	if o.Readers <= 0 {
		o.Readers = 16
	}
	return func(yield func(Entry) bool) {
		if strings.Contains(o.DirMarkers, "/") {
			yield(Entry{Err: &Error{Op: "scan", Key: o.DirMarkers, Err: ErrName}})
			return
		}
		s := &scanner{files: files, o: o}
		if o.Only != nil {
			var err error
			if s.only, err = newScanOnly(files, sources, o); err != nil {
				yield(Entry{Err: &Error{Op: "scan", Err: err}})
				return
			}
			s.files = s.only
		}
		m := newScanMerge(sources, s)
		defer m.close()
		for {
			e, ok := m.next(ctx)
			if err := ctx.Err(); err != nil {
				yield(Entry{Err: &Error{Op: "scan", Err: err}})
				return
			}
			if !ok || !yield(e) {
				return
			}
		}
	}
}

// scanner is what the walks of one scan share. Its fields below files and o
// are used by one goroutine only.
type scanner struct {
	files scanFS
	o     ScanOptions
	only  *scanOnly // files, where only some names are taken

	parent, parentZarr string // what zarrAbove found last
}

// zarrAbove returns the outermost Zarr store that path lies in, as far as
// every directory between them has metadata; "" for none.
func (s *scanner) zarrAbove(path string) string {
	parent := filepath.Dir(path)
	if parent == s.parent {
		return s.parentZarr
	}
	s.parent, s.parentZarr = parent, ""
	for dir := parent; s.hasZarrMeta(dir); dir = filepath.Dir(dir) {
		s.parentZarr = dir
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return s.parentZarr
}

func (s *scanner) leaveOut(key string) string {
	if s.o.LeaveOut == nil {
		return ""
	}
	return s.o.LeaveOut(key)
}

func (s *scanner) hasZarrMeta(dir string) bool {
	for _, name := range scanZarrNames {
		if fi, err := s.files.lstat(filepath.Join(dir, name)); err == nil && !fi.IsDir() {
			return true
		}
	}
	return false
}
