package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// scanWalk yields the entries of one source, ascending by key. It holds the
// names of the directories on the way down, one run of looked-at files, and
// what was read ahead.
type scanWalk struct {
	*scanner
	source Source
	opened bool
	dirs   []*scanDir
	own    []Entry // memory for runs
	run    []Entry // files next to each other
	at     int     // the next of run
	ahead  *scanAhead
}

// scanRun is how many files are looked at ahead of the one that is asked for.
const scanRun = 256

// next returns the next entry; it is valid until the following call.
func (w *scanWalk) next(ctx context.Context) (*Entry, bool) {
	if !w.opened {
		w.opened = true
		w.open(ctx)
	}
	for {
		if w.at < len(w.run) {
			w.at++
			return &w.run[w.at-1], true
		}
		if len(w.dirs) == 0 || ctx.Err() != nil {
			return nil, false
		}
		d := w.dirs[len(w.dirs)-1]
		switch {
		case d.at == d.names.len():
			w.leave(d)
		case d.names.kind(d.at).dir():
			d.at++
			w.descend(ctx, d, d.at-1)
		default:
			w.look(ctx, d)
		}
	}
}

// emit makes e the next entry.
func (w *scanWalk) emit(e Entry) {
	w.own = append(w.own[:0], e)
	w.run, w.at = w.own, 0
}

// open begins the source.
func (w *scanWalk) open(ctx context.Context) {
	s := w.source
	e := Entry{Item: Item{Key: s.Prefix, Path: s.Path, Zarr: w.zarrAbove(s.Path)}}
	_, err := scanKey("", s.Prefix)
	switch {
	case err != nil:
	case s.Dir != (s.Prefix == "" || strings.HasSuffix(s.Prefix, "/")):
		err = fmt.Errorf("%w: %q", ErrName, s.Prefix)
	case !filepath.IsAbs(s.Path):
		err = errors.New("not an absolute path")
	}
	if err != nil {
		e.Err = &Error{Op: "scan", Key: s.Prefix, Path: s.Path, Err: err}
		w.emit(e)
		return
	}
	if e.Ignored = w.leaveOut(s.Prefix); e.Ignored != "" {
		w.emit(e)
		return
	}
	if s.Dir {
		w.ahead = newScanAhead(ctx, w.scanner)
		w.enter(ctx, &scanDir{path: s.Path, key: s.Prefix, zarr: e.Item.Zarr})
		return
	}
	e.Item.Meta = e.Item.Zarr != "" && scanIsZarrMeta(filepath.Base(s.Path))
	fi, err := w.files.stat(s.Path)
	switch {
	case err != nil:
		e.Err = scanError("stat", s.Prefix, s.Path, err)
	case !fi.Mode().IsRegular():
		e.Err = scanError("stat", s.Prefix, s.Path, fmt.Errorf("not a regular file (%s)", fi.Mode().Type()))
	default:
		w.take(&e, StatOf(fi))
	}
	w.emit(e)
}

// below describes the sub-directory i of d, and says why it is not entered, as
// far as that can be told without looking at it.
func (s *scanner) below(d *scanDir, i int) Entry {
	name := string(d.names.name(i)) // ends in "/"
	bare := name[:len(name)-1]
	key, err := scanKey(d.key, name)
	e := Entry{Item: Item{Key: key, Path: d.path + bare, Zarr: d.zarr}}
	why := s.leaveOut(key)
	switch {
	case !s.o.AllFiles && scanLeftOut(bare, true) != "":
		e.Ignored = scanLeftOut(bare, true)
	case why != "":
		e.Ignored = why
	case s.only != nil && !s.only.names.below(s.only.rel(e.Item.Path)+"/"):
		e.Ignored = "directory in a list of files"
	case err != nil:
		e.Err = &Error{Op: "scan", Key: key, Path: e.Item.Path, Err: err}
	}
	return e
}

// descend goes into the sub-directory i of d, or yields why it does not.
func (w *scanWalk) descend(ctx context.Context, d *scanDir, i int) {
	e := w.below(d, i)
	jumped := d.jumped || d.names.kind(i) == scanJump
	if jumped && e.Err == nil && e.Ignored == "" {
		if err := w.loop(e.Item.Path, w.dirs); err != nil {
			e.Err = scanError("read directory", e.Item.Key, e.Item.Path, err)
		}
	}
	if e.Err != nil || e.Ignored != "" {
		w.emit(e)
		return
	}
	if sub, err, ok := w.ahead.take(e.Item.Key); ok {
		w.entered(sub, err)
		return
	}
	w.enter(ctx, &scanDir{path: e.Item.Path, key: e.Item.Key, zarr: d.zarr, jumped: jumped, names: w.ahead.names()})
}

// enter reads d and makes it the one whose entries come next.
func (w *scanWalk) enter(ctx context.Context, d *scanDir) {
	w.entered(d, w.read(ctx, d, 0))
	w.ahead.add(d)
}

func (w *scanWalk) entered(d *scanDir, err error) {
	w.dirs = append(w.dirs, d)
	if err != nil {
		path := scanBare(d.path)
		w.emit(Entry{
			Item: Item{Key: d.key, Path: path, Zarr: d.zarr},
			Err:  scanError("read directory", d.key, path, err),
		})
	}
}

// leave goes back up from d.
func (w *scanWalk) leave(d *scanDir) {
	w.dirs = w.dirs[:len(w.dirs)-1]
	w.ahead.leave(d)
	if len(w.dirs) == 0 {
		w.ahead.close()
	}
}

// look looks at the files from d.at on, up to the next directory.
func (w *scanWalk) look(ctx context.Context, d *scanDir) {
	first, n := d.at, 0
	for first+n < d.names.len() && n < scanRun && !d.names.kind(first+n).dir() {
		n++
	}
	d.at += n
	w.at = 0
	if d.looked != nil {
		w.run = d.looked[first : first+n]
		return
	}
	if cap(w.own) < n {
		w.own = make([]Entry, n, max(n, min(scanRun, 2*cap(w.own))))
	}
	w.own = w.own[:n]
	w.run = w.own
	lstat, done := w.lookIn(d.path, n)
	defer done()
	scanEach(ctx, n, w.o.Readers, func(i int) { w.file(d, first+i, lstat, &w.run[i]) })
}

// file describes the entry i of d, which is no directory. It is called by many
// goroutines at once.
func (s *scanner) file(d *scanDir, i int, lstat scanLook, e *Entry) {
	kind, raw := d.names.kind(i), d.names.name(i)
	if kind == scanMarker {
		*e = Entry{Item: Item{Key: d.key + string(raw), Zarr: d.zarr}}
		if len(e.Item.Key) > MaxKey {
			e.Err = &Error{Op: "scan", Key: e.Item.Key, Err: ErrName}
		}
		return
	}
	path := d.path + string(raw)
	name := path[len(d.path):]
	key, err := scanKey(d.key, name)
	*e = Entry{Item: Item{Key: key, Path: path, Zarr: d.zarr, Meta: d.zarr != "" && scanIsZarrMeta(name)}}
	if !s.o.AllFiles {
		e.Ignored = scanLeftOut(name, false)
	}
	if e.Ignored == "" {
		e.Ignored = s.leaveOut(key)
	}
	switch {
	case e.Ignored != "":
	case kind == scanLink && s.o.NoFollowSymlinks:
		e.Ignored = "symlink"
	case err != nil:
		e.Err = &Error{Op: "scan", Key: key, Path: path, Err: err}
	default:
		s.stat(kind, e, name, lstat)
	}
}

// stat fills e in from the file itself.
func (s *scanner) stat(kind scanKind, e *Entry, name string, lstat scanLook) {
	var st Stat
	var mode fs.FileMode
	var err error
	if kind == scanLink || kind == scanAlias {
		st, mode, err = scanSeen(s.files.stat(e.Item.Path))
	} else {
		st, mode, err = lstat(name)
	}
	if err != nil {
		if kind == scanLink {
			e.Err = &Error{Op: "follow symlink", Key: e.Item.Key, Path: e.Item.Path, Err: scanError("", "", "", err).Err}
			return
		}
		e.Err = scanError("stat", e.Item.Key, e.Item.Path, err)
		return
	}
	switch special := scanSpecial(mode); {
	case special != "":
		e.Ignored = special
	case mode.IsDir() || mode&fs.ModeSymlink != 0:
		// It was something else when its directory was read.
		e.Err = scanError("stat", e.Item.Key, e.Item.Path, ErrChanged)
	default:
		s.take(e, st)
	}
}

// take makes e the regular file that is st, unless it is left to a later run.
func (s *scanner) take(e *Entry, st Stat) {
	if s.o.Later != nil {
		if e.Ignored = s.o.Later(st); e.Ignored != "" {
			e.Later = true
			return
		}
	}
	e.Item.Stat = st
}

// scanBare is a directory's path without the separator at its end.
func scanBare(path string) string { return filepath.Clean(path) }
