// Package ownfile opens files and judges folders where somebody else may have
// put something in the way: a link, another's file, a folder that was there
// first.
//
// It knows who owns what, and nothing of what is written.
package ownfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// What keeps a file or a folder from being used.
var (
	ErrForeign = errors.New("belongs to somebody else, who could put things there")
	ErrOpen    = errors.New("others can write to it")
	ErrLinked  = errors.New("has other names, of which one may be somebody else's trap")
	ErrLeads   = errors.New("is a link that leads nowhere")
)

// Append opens a file to append to, or makes it with mode. In a folder that
// others can write to, such as /tmp, it follows no link but our own, and
// refuses a file of somebody else and one that has a second name. Those
// errors are *fs.PathError around ErrForeign, ErrLinked or ErrLeads.
func Append(path string, mode fs.FileMode) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE
	dir := filepath.Dir(path)
	if !shared(dir) {
		return os.OpenFile(path, flags, mode)
	}
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !ours(fi, dir):
		return nil, refused(path, ErrForeign)
	case fi.Mode()&fs.ModeSymlink != 0:
		to, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, refused(path, ErrLeads)
		}
		return Append(to, mode)
	}
	f, err := os.OpenFile(path, flags|noFollow, mode)
	if err != nil {
		return nil, err
	}
	// It is the open file that counts: the name may have been another's meanwhile.
	if fi, err = f.Stat(); err == nil {
		err = judge(fi, dir)
	}
	if err != nil {
		return nil, errors.Join(refused(path, err), f.Close())
	}
	return f, nil
}

func judge(fi fs.FileInfo, dir string) error {
	switch {
	case !ours(fi, dir):
		return ErrForeign
	case fi.Mode().IsRegular() && names(fi) > 1:
		return ErrLinked
	}
	return nil
}

// Fresh makes a file in the place of whatever has its name, which is removed
// and never written to.
func Fresh(path string, mode fs.FileMode) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, mode)
}

// Home judges the folder that holds all that a program keeps, before anything
// in it is believed. It may be loose, as volumes of containers are, or not
// there; but it has to be ours, or put there by root where nobody else can.
func Home(dir string) error {
	fi, err := os.Lstat(dir)
	if err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		if !ours(fi, filepath.Dir(dir)) && shared(filepath.Dir(dir)) {
			return refused(dir, ErrForeign)
		}
		fi, err = os.Stat(dir)
	}
	if err != nil || !fi.IsDir() { // what else is wrong shows when it is used
		return nil //nolint:nilerr // likewise
	}
	if ours(fi, dir) || !shared(filepath.Dir(dir)) {
		return nil
	}
	return refused(dir, ErrForeign)
}

// Inner judges a folder within Home that this program makes for its user only:
// nobody else may own it or write to it, but for a group that we gave it to, as
// Kubernetes does with all of a volume (fsGroup). One that is not there is good.
func Inner(dir string) error {
	fi, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || fi.Mode().IsRegular() {
		return nil //nolint:nilerr // it shows when it is used
	}
	if !ours(fi, dir) {
		return refused(dir, ErrForeign)
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		if fi, err = os.Stat(dir); err != nil {
			return refused(dir, ErrLeads)
		}
		if !ours(fi, dir) {
			return refused(dir, ErrForeign)
		}
	}
	if everybodys(fi) && hasModes(dir) {
		return refused(dir, ErrOpen)
	}
	return nil
}

// everybodys reports whether all users may write to it.
func everybodys(fi fs.FileInfo) bool { return fi.Mode().Perm()&0o002 != 0 }

// Told judges a file that says what is to be done, commands among it: nobody but
// its owner and its group may write to it.
func Told(path string) error {
	fi, err := os.Stat(path)
	if err != nil || !fi.Mode().IsRegular() {
		return nil //nolint:nilerr // it shows when it is read
	}
	if everybodys(fi) && hasModes(filepath.Dir(path)) {
		return refused(path, ErrOpen)
	}
	return nil
}

func refused(path string, err error) error { return &fs.PathError{Op: "use", Path: path, Err: err} }
