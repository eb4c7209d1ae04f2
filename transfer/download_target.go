package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Target is the directory that a download fills. Nothing that is done through
// it leaves the directory, whatever names and symbolic links say.
type Target struct {
	dir  string
	root *os.Root // nil while the directory is only planned
	mode fs.FileMode
	fold bool // the file system takes some names that differ for one
	tag  string

	install sync.Mutex // between looking at a name and taking it

	mu    sync.Mutex
	in    string // whose entries names are
	names map[string]struct{}

	// Of the plan alone.
	aliases aliases
	plain   string // the last directory that straight found no link on the way to
}

// OpenTarget opens dir, or makes it, and sees that files can be written there.
// tag tells apart what several jobs leave unfinished in one place.
func OpenTarget(dir, tag string) (*Target, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil { //nolint:gosec // the user's umask decides, as everywhere
		return nil, noTarget("mkdir", dir, err)
	}
	t := &Target{dir: dir, tag: tag}
	var err error
	if t.root, err = os.OpenRoot(dir); err != nil {
		return nil, noTarget("open", dir, err)
	}
	if err := t.probe(); err != nil {
		return nil, errors.Join(noTarget("write", dir, err), t.root.Close())
	}
	return t, nil
}

// noTarget is that nothing can be written to dir at all, for whatever reason.
func noTarget(op, dir string, err error) error {
	return &Error{Op: op, Path: dir, Err: fmt.Errorf("%w: %w", ErrDisk, plain(err))}
}

// PeekTarget is for a dry run: it makes nothing.
func PeekTarget(dir string) (*Target, error) {
	root, err := os.OpenRoot(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, diskError("open", "", dir, err)
	}
	return &Target{dir: dir, root: root, fold: foldsByDefault}, nil
}

const foldsByDefault = runtime.GOOS == "windows" || runtime.GOOS == "darwin"

// probe learns which mode new files have, and whether case matters.
func (t *Target) probe() error {
	name := partName("probe", t.tag)
	_ = t.root.Remove(name) // of a run that was killed
	f, err := t.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		t.mode = fi.Mode().Perm()
		_, same := t.root.Lstat(strings.ToUpper(name))
		t.fold = foldsByDefault || same == nil
	}
	return errors.Join(err, t.root.Remove(name))
}

// Close closes the directory.
func (t *Target) Close() error {
	if t.root == nil {
		return nil
	}
	return t.root.Close()
}

// Path is where name is, for people.
func (t *Target) Path(name string) string { return filepath.Join(t.dir, filepath.FromSlash(name)) }

// stat says what has name; fs.ErrNotExist where nothing has.
func (t *Target) stat(name string) (fs.FileInfo, error) {
	if t.root == nil {
		return nil, fs.ErrNotExist
	}
	fi, err := t.root.Lstat(strings.TrimSuffix(name, "/"))
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("%w: a part of its path is a file here", ErrPath)
	}
	if err != nil || !t.fold || t.spelled(strings.TrimSuffix(name, "/")) {
		return fi, err
	}
	return nil, fmt.Errorf("%w: this file system takes it for the name of another file, from which it differs in case or in how accents are written", ErrPath)
}

// spelled reports whether the last part of name is written in its directory
// just so. What can't be told counts as yes.
func (t *Target) spelled(name string) bool {
	dir, base := path.Dir(name), path.Base(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.names[base]; ok && t.in == dir {
		return true
	}
	f, err := t.root.Open(dir) // anew: this run may have made it since
	if err != nil {
		return true
	}
	defer f.Close()
	all, err := f.Readdirnames(-1)
	if err != nil {
		return true
	}
	t.in, t.names = dir, make(map[string]struct{}, len(all))
	for _, n := range all {
		t.names[n] = struct{}{}
	}
	_, ok := t.names[base]
	return ok
}

// straight reports ErrPath where dir is reached through a symbolic link.
func (t *Target) straight(dir string) error {
	if dir == t.plain || dir == "." || dir == "" || t.root == nil {
		return nil
	}
	if err := t.straight(path.Dir(dir)); err != nil {
		return err
	}
	fi, err := t.root.Lstat(dir)
	switch {
	case err == nil && fi.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%w: %s is a symbolic link here", ErrPath, t.Path(dir))
	case err == nil:
		t.plain = dir
	}
	return nil // what is wrong besides shows when it is used
}

// mkdir makes the directory name and those above it.
func (t *Target) mkdir(name string) error {
	if name = strings.TrimSuffix(name, "/"); name == "" || name == "." {
		return nil
	}
	err := t.root.MkdirAll(name, 0o777)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: a part of its path is a file here", ErrPath)
	}
	return err
}

// create makes an empty file that only this user can read.
func (t *Target) create(name string) (*os.File, error) {
	const flags = os.O_CREATE | os.O_EXCL | os.O_RDWR
	f, err := t.root.OpenFile(name, flags, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if err = t.root.Remove(name); err == nil {
			f, err = t.root.OpenFile(name, flags, 0o600)
		}
	}
	return f, err
}

// reopen opens a file that create has made. Something else in its
// place, a link or a file with a second name, is not written to: it is as if
// nothing were there.
func (t *Target) reopen(name string) (*os.File, error) {
	was, err := t.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !was.Mode().IsRegular() || linked(was) {
		return nil, fs.ErrNotExist
	}
	f, err := t.root.OpenFile(name, os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !os.SameFile(was, fi) {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Remove removes what an unfinished name has left. It is no error if there is
// nothing.
func (t *Target) Remove(name string) {
	if t.root == nil {
		return
	}
	if t.root.Remove(partName(name, t.tag)) != nil && !isASCII(name) {
		_ = t.root.Remove(partName(t.otherwise(name), t.tag)) // it may be written otherwise here
	}
}

// take gives the complete file part the name it is for, if what has that name
// is still as it was when that was decided; replace asks no more.
func (t *Target) take(part, name string, was *Stat, replace bool) (Stat, error) {
	t.install.Lock()
	defer t.install.Unlock()
	switch fi, err := t.stat(name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return Stat{}, err
	case fi.IsDir():
		return Stat{}, fmt.Errorf("%w: a directory has this name here", ErrPath)
	case was == nil:
		return Stat{}, fmt.Errorf("%w: it came while this one was fetched", ErrExists)
	case !replace && StatOf(fi) != *was:
		return Stat{}, fmt.Errorf("%w: it changed while this one was fetched", ErrExists)
	}
	if err := t.root.Rename(part, name); err != nil {
		return Stat{}, err
	}
	fi, err := t.root.Lstat(name)
	if err != nil {
		return Stat{}, err
	}
	return StatOf(fi), nil
}

// seal makes a complete file durable and gives it the mode and the time it is
// to have. f is closed.
func (t *Target) seal(f *os.File, part string, mtime time.Time) error {
	err := f.Sync()
	if err == nil && runtime.GOOS != "windows" {
		// Some file systems have no modes: the file is as good without.
		_ = f.Chmod(t.mode)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && !mtime.IsZero() {
		err = t.root.Chtimes(part, time.Time{}, mtime)
	}
	return err
}

// Windows' numbers for what has other names elsewhere.
const (
	winProtected      = syscall.Errno(19)
	winHandleDiskFull = syscall.Errno(39)
	winDiskFull       = syscall.Errno(112)
)

// diskError says what was done to which file; where no other file would fare
// better, it is ErrDisk.
func diskError(op, key, at string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	full := []error{syscall.ENOSPC, syscall.EROFS, syscall.EDQUOT, syscall.EIO}
	if runtime.GOOS == "windows" {
		full = []error{winProtected, winHandleDiskFull, winDiskFull}
	}
	err = plain(err)
	for _, f := range full {
		if errors.Is(err, f) {
			err = fmt.Errorf("%w: %w", ErrDisk, err)
			break
		}
	}
	return &Error{Op: op, Key: key, Path: at, Err: err}
}
