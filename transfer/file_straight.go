package transfer

import (
	"errors"
	"os"
	"strings"
)

// errNowLink is a file that a scan which follows no links saw, and no other path.
var errNowLink = errors.New("is a symbolic link now, or lies behind one")

// OpenStraight is RunOptions.Open for what a scan of sources found that followed no
// symbolic links: one that has taken the place of a file, or of a directory on the
// way to it, is not followed either. It may lead out of the sources.
func OpenStraight(sources []Source) func(path string) (File, error) {
	return func(path string) (File, error) {
		dir, rel := belowSource(sources, path)
		if dir == "" {
			return openFile(path) // a source itself is followed, whatever the options
		}
		f, err := openStraight(dir, rel)
		if err != nil {
			return nil, err
		}
		return osFile{f, path}, nil
	}
}

// belowSource is the directory among sources that path lies in, and the way on from there.
func belowSource(sources []Source, path string) (dir, rel string) {
	for _, s := range sources {
		if !s.Dir {
			continue
		}
		root := s.Path
		if !os.IsPathSeparator(root[len(root)-1]) {
			root += string(os.PathSeparator)
		}
		if r, ok := strings.CutPrefix(path, root); ok && len(root) > len(dir) {
			dir, rel = root, r
		}
	}
	return dir, rel
}
