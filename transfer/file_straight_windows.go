package transfer

import "os"

// openStraight looks at the last part of the path, an instant before it opens it.
func openStraight(dir, rel string) (*os.File, error) {
	fi, err := os.Lstat(dir + rel)
	if err != nil {
		return nil, err
	}
	if fi.Mode()&os.ModeSymlink != 0 {
		return nil, &os.PathError{Op: "open", Path: dir + rel, Err: errNowLink}
	}
	return os.Open(dir + rel)
}
