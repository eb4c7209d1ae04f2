package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// scanWalk yields the entries of one source, ascending by key. It holds the
// names of the directories on the way down and one run of looked-at files.
type scanWalk struct {
	*scanner
	source Source
	opened bool
	dirs   []*scanDir
	spare  []*scanDir // left directories, for their memory
	run    []Entry    // files next to each other
	at     int        // the next of run
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
	w.run, w.at = append(w.run[:0], e), 0
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
		w.take(&e, fi)
	}
	w.emit(e)
}

// descend goes into the sub-directory i of d, or yields why it does not.
func (w *scanWalk) descend(ctx context.Context, d *scanDir, i int) {
	name := string(d.names.name(i)) // ends in "/"
	bare := name[:len(name)-1]
	path := d.path + bare
	key, err := scanKey(d.key, name)
	jumped := d.jumped || d.names.kind(i) == scanJump
	e := Entry{Item: Item{Key: key, Path: path, Zarr: d.zarr}}
	switch {
	case !w.o.AllFiles && scanLeftOut(bare, true) != "":
		e.Ignored = scanLeftOut(bare, true)
	case w.leaveOut(key) != "":
		e.Ignored = w.leaveOut(key)
	case w.only != nil && !w.only.names.below(w.only.rel(path)+"/"):
		e.Ignored = "directory in a list of files"
	case err != nil:
		e.Err = &Error{Op: "scan", Key: key, Path: path, Err: err}
	case jumped:
		if err := w.loop(path, w.dirs); err != nil {
			e.Err = scanError("read directory", key, path, err)
		}
	}
	if e.Err != nil || e.Ignored != "" {
		w.emit(e)
		return
	}
	sub := &scanDir{}
	if n := len(w.spare); n > 0 {
		sub, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	sub.path, sub.key, sub.zarr, sub.jumped = path, key, d.zarr, jumped
	w.enter(ctx, sub)
}

// enter reads d and makes it the one whose entries come next.
func (w *scanWalk) enter(ctx context.Context, d *scanDir) {
	if !os.IsPathSeparator(d.path[len(d.path)-1]) {
		d.path += string(os.PathSeparator)
	}
	err := w.read(ctx, d)
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
	if len(w.dirs) == 0 {
		w.spare = nil
		return
	}
	d.names.reset()
	*d = scanDir{names: d.names}
	w.spare = append(w.spare, d)
}

// look looks at the files from d.at on, up to the next directory.
func (w *scanWalk) look(ctx context.Context, d *scanDir) {
	first, n := d.at, 0
	for first+n < d.names.len() && n < scanRun && !d.names.kind(first+n).dir() {
		n++
	}
	d.at += n
	if cap(w.run) < n {
		w.run = make([]Entry, n, max(n, min(scanRun, 2*cap(w.run))))
	}
	w.run, w.at = w.run[:n], 0
	scanEach(ctx, n, w.o.Readers, func(i int) { w.file(d, first+i, &w.run[i]) })
}

// file describes the entry i of d, which is no directory. It is called by many
// goroutines at once.
func (w *scanWalk) file(d *scanDir, i int, e *Entry) {
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
	if !w.o.AllFiles {
		e.Ignored = scanLeftOut(name, false)
	}
	if e.Ignored == "" {
		e.Ignored = w.leaveOut(key)
	}
	switch {
	case e.Ignored != "":
	case kind == scanLink && w.o.NoFollowSymlinks:
		e.Ignored = "symlink"
	case err != nil:
		e.Err = &Error{Op: "scan", Key: key, Path: path, Err: err}
	default:
		w.stat(kind, e)
	}
}

// stat fills e in from the file itself.
func (w *scanWalk) stat(kind scanKind, e *Entry) {
	stat := w.files.lstat
	if kind == scanLink || kind == scanAlias {
		stat = w.files.stat
	}
	fi, err := stat(e.Item.Path)
	if err != nil {
		if kind == scanLink {
			e.Err = &Error{Op: "follow symlink", Key: e.Item.Key, Path: e.Item.Path, Err: scanError("", "", "", err).Err}
			return
		}
		e.Err = scanError("stat", e.Item.Key, e.Item.Path, err)
		return
	}
	mode := fi.Mode()
	switch special := scanSpecial(mode); {
	case special != "":
		e.Ignored = special
	case mode.IsDir() || mode&fs.ModeSymlink != 0:
		// It was something else when its directory was read.
		e.Err = scanError("stat", e.Item.Key, e.Item.Path, ErrChanged)
	default:
		w.take(e, fi)
	}
}

// take makes e the regular file fi, unless it is left to a later run.
func (w *scanWalk) take(e *Entry, fi fs.FileInfo) {
	st := StatOf(fi)
	if w.o.Later != nil {
		if e.Ignored = w.o.Later(st); e.Ignored != "" {
			e.Later = true
			return
		}
	}
	e.Item.Stat = st
}

// scanBare is a directory's path without the separator at its end.
func scanBare(path string) string { return filepath.Clean(path) }

const (
	scanSlow  = 50 * time.Microsecond // a look that takes as long waits for something
	scanWorth = 64                    // looks that are worth sharing among cores even if fast
)

// scanEach calls do for 0 to n-1 and returns when all calls have. It takes
// several goroutines, at most readers, where the first call shows that the
// file system is slow, or where there is much to do. After ctx has ended, it
// leaves calls out.
func scanEach(ctx context.Context, n, readers int, do func(int)) {
	if n == 0 {
		return
	}
	start := time.Now()
	do(0)
	if n > 1 && time.Since(start) < scanSlow {
		readers = min(readers, runtime.GOMAXPROCS(0))
		if n < scanWorth {
			readers = 1
		}
	}
	var next atomic.Int64
	work := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1))
			if i >= n {
				return
			}
			do(i)
		}
	}
	var others sync.WaitGroup
	for range min(readers, n-1) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}
