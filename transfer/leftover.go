package transfer

import (
	"os"
	"path/filepath"
)

// Leftover is a file that a download has begun and not finished.
type Leftover struct {
	Path string
	Size int64 // as long as it is to become, whatever of it is there

	dir, part string
}

// Leftovers are those of names, as the journal has them, that the job of the
// tag has left unfinished in dir. No dir has none.
func Leftovers(dir, tag string, names []string) []Leftover {
	if len(names) == 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer func() { _ = root.Close() }() // nothing was written through it
	var found []Leftover
	for _, name := range names {
		part := partName(name, tag)
		if fi, err := root.Lstat(part); err == nil && fi.Mode().IsRegular() {
			found = append(found, Leftover{Path: filepath.Join(dir, filepath.FromSlash(part)), Size: fi.Size(), dir: dir, part: part})
		}
	}
	return found
}

// Remove removes the file. It never leaves the directory.
func (l Leftover) Remove() error {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing was written through it
	return root.Remove(l.part)
}
