package transfer

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func openStraight(dir, rel string) (*os.File, error) {
	path := dir + rel
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(root) //nolint:errcheck // nothing was done with it but looking
	how := unix.OpenHow{Flags: readFlags, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH}
	f, err := openedRead(path, func() (int, error) { return unix.Openat2(root, rel, &how) })
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		// An old kernel, or a sandbox older than the call: the last part of the path is
		// all that can be told.
		f, err = openedRead(path, func() (int, error) { return unix.Open(path, readFlags|unix.O_NOFOLLOW, 0) })
	}
	if errors.Is(err, unix.ELOOP) {
		err = &os.PathError{Op: "open", Path: path, Err: errNowLink}
	}
	return f, err
}
