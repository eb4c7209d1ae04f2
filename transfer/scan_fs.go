package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
)

// scanFS is what a scan asks of the file system. Paths are absolute.
type scanFS interface {
	// list calls each for every entry of a directory, in any order, with its
	// type bits as lstat has them. It keeps nothing open when it returns.
	list(ctx context.Context, dir string, each func(name string, mode fs.FileMode) error) error
	lstat(path string) (fs.FileInfo, error)
	stat(path string) (fs.FileInfo, error)
}

// scanDisk is the file system itself.
type scanDisk struct{}

var _ scanFS = scanDisk{}

func (scanDisk) lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }
func (scanDisk) stat(path string) (fs.FileInfo, error)  { return os.Stat(path) }

func (scanDisk) list(_ context.Context, dir string, each func(string, fs.FileMode) error) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(scanBatch)
		for _, e := range entries {
			if err := each(e.Name(), e.Type()); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// scanLook looks at the entry of one directory that has this name, and follows
// no link.
type scanLook func(name string) (Stat, fs.FileMode, error)

// scanByName is a scanFS that looks at many entries of one directory for less
// than by their paths, which the system has to walk down each time.
type scanByName interface {
	// within returns how; done ends it. ok is false where it can't be had.
	within(dir string) (look scanLook, done func(), ok bool)
}

// scanWithin is how many looks are worth opening their directory.
const scanWithin = 8

// lookIn is how n entries of dir, which ends in a separator, are looked at.
func (s *scanner) lookIn(dir string, n int) (look scanLook, done func()) {
	if f, ok := s.files.(scanByName); ok && n >= scanWithin {
		if look, done, ok := f.within(dir); ok {
			return look, done
		}
	}
	return func(name string) (Stat, fs.FileMode, error) {
		return scanSeen(s.files.lstat(dir + name))
	}, func() {}
}

// scanSeen is a FileInfo as a scan needs it.
func scanSeen(fi fs.FileInfo, err error) (Stat, fs.FileMode, error) {
	if err != nil {
		return Stat{}, 0, err
	}
	return StatOf(fi), fi.Mode(), nil
}

// scanBatch is how many entries are read from a directory at a time.
const scanBatch = 512

// scanError is an *Error without the path said twice.
func scanError(op, key, path string, err error) *Error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return &Error{Op: op, Key: key, Path: path, Err: err}
}
