package transfer

import (
	"errors"
	"os"
)

// osFile is a File of the operating system.
type osFile struct {
	*os.File
	path string
}

var errNotRegular = errors.New("is no regular file any more")

func openFile(path string) (File, error) {
	f, err := openRead(path)
	if err != nil {
		return nil, err
	}
	return osFile{f, path}, nil
}

func (f osFile) Stat() (Stat, error) {
	fi, err := f.File.Stat()
	if err != nil {
		return Stat{}, err
	}
	if !fi.Mode().IsRegular() {
		return Stat{}, errNotRegular
	}
	return StatOf(fi), nil
}

func (f osFile) Now() (Stat, error) { return statNow(f.path) }

func statPath(path string) (Stat, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return Stat{}, err
	}
	return StatOf(fi), nil
}
