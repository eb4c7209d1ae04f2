package creds

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FileError is a file with secrets in it that is not used as it is.
type FileError struct {
	Path string
	Err  error // one of the Err… below, or the system's
}

func (e *FileError) Error() string { return e.Path + ": " + e.Err.Error() }

func (e *FileError) Unwrap() error { return e.Err }

// What keeps a file with secrets from being used.
var (
	ErrShared  = errors.New("others can read it (chmod 600)")
	ErrForeign = errors.New("belongs to somebody else, or is a link that does")
	ErrNotFile = errors.New("is not a regular file")
)

// readPrivate reads a file that only its owner can read. It judges the file
// that it has open, not the name, which may be another file a moment later.
func readPrivate(path string, most int64) ([]byte, error) {
	f, err := openPrivate(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, fileError(path, err)
	case !fi.Mode().IsRegular():
		return nil, fileError(path, ErrNotFile)
	case !ours(fi):
		return nil, fileError(path, ErrForeign)
	case othersRead(fi) && HasModes(filepath.Dir(path)):
		return nil, fileError(path, ErrShared)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if int64(len(text)) > most {
		return nil, fileError(path, fmt.Errorf("is longer than %d bytes", most))
	}
	return text, nil
}

// writePrivate replaces the file, whole or not at all. A link in its place is
// replaced too, never followed.
func writePrivate(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileError(dir, err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // 0600 from the start
	if err != nil {
		return fileError(path, err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fileError(path, err)
	}
	return nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError(path, err)
	}
	return nil
}

func fileError(path string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // the path is in FileError
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		err = link.Err
	}
	return &FileError{Path: path, Err: err}
}
