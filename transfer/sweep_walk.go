package transfer

import (
	"errors"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"
)

// found is what a walk through a target meets: a file, a symbolic link, or a
// directory, whose name ends in "/" and which comes before what lies in it.
type found struct {
	name  string
	size  int64 // bytes, of a file
	mtime int64 // Unix time in ns, of a file or a link
}

// walk yields what lies in the target, in byte order of the names, but for what
// is not to be counted: what the rules leave out, what was changed too lately,
// what is not complete, and what is neither file nor link. Links are not
// followed. It ends with the first error.
func (t *Target) walk(o *SweepOptions) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		if t.root == nil {
			return
		}
		w := sweepWalk{target: t, o: o}
		if err := w.enter(""); err != nil {
			yield(found{}, err)
			return
		}
		for len(w.dirs) > 0 {
			f, ok, err := w.next()
			if err != nil {
				yield(found{}, err)
				return
			}
			if ok && !yield(f, nil) {
				return
			}
		}
	}
}

// sweepWalk holds the names of the directories on the way down.
type sweepWalk struct {
	target *Target
	o      *SweepOptions
	dirs   []*scanDir
}

func (w *sweepWalk) enter(dir string) error {
	f, err := w.target.root.Open(path.Join(".", dir))
	if err != nil {
		return diskError("read directory", "", w.target.Path(dir), err)
	}
	defer f.Close()
	d := &scanDir{key: dir}
	for err == nil {
		var entries []fs.DirEntry
		entries, err = f.ReadDir(scanBatch)
		for _, e := range entries {
			if k := scanKindOf(e.Type()); k != scanPipe && k != scanAlias {
				d.names.add(e.Name(), k)
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		return diskError("read directory", "", w.target.Path(dir), err)
	}
	d.names.sort()
	w.dirs = append(w.dirs, d)
	return nil
}

// next takes one step; ok says whether it met something that counts.
func (w *sweepWalk) next() (f found, ok bool, err error) {
	d := w.dirs[len(w.dirs)-1]
	if d.at == d.names.len() {
		w.dirs = w.dirs[:len(w.dirs)-1]
		return f, false, nil
	}
	i := d.at
	d.at++
	kind, base := d.names.kind(i), string(d.names.name(i))
	f.name = d.key + base
	if w.protected(f.name, strings.TrimSuffix(base, "/"), kind.dir()) {
		return f, false, nil
	}
	if kind.dir() {
		return f, true, w.enter(f.name)
	}
	fi, err := w.target.root.Lstat(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, false, nil
	case err != nil:
		return f, false, diskError("stat", "", w.target.Path(f.name), err)
	case w.o.Later != nil && w.o.Later(fi.ModTime()) != "":
		return f, false, nil
	case fi.Mode().IsRegular():
		f.size = fi.Size()
	case fi.Mode()&fs.ModeSymlink == 0:
		return f, false, nil
	}
	f.mtime = StatOf(fi).MTime
	return f, true, nil
}

// protected reports whether what has this name is neither counted nor deleted.
func (w *sweepWalk) protected(name, base string, dir bool) bool {
	switch {
	case !dir && strings.HasPrefix(base, ".") && strings.HasSuffix(base, partSuffix):
		return true
	case !w.o.AllFiles && scanLeftOut(base, dir) != "":
		return true
	}
	return w.o.LeaveOut != nil && w.o.LeaveOut(name) != ""
}

// sweepable reports whether what has name can still be deleted as what it was
// found: a file or a link.
func sweepable(fi fs.FileInfo) bool {
	return fi.Mode().IsRegular() || fi.Mode()&fs.ModeSymlink != 0
}
