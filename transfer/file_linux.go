package transfer

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openRead is os.Open less the five system calls by which that tries to have
// the runtime wait for the file, which the kernel refuses for regular ones. It
// does not wait for a writer where a pipe has taken the file's place.
func openRead(path string) (*os.File, error) {
	return openedRead(path, func() (int, error) { return unix.Open(path, readFlags, 0) })
}

const readFlags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK

// openedRead makes a file of what open opens with readFlags.
func openedRead(path string, open func() (int, error)) (*os.File, error) {
	for {
		fd, err := open()
		switch {
		case err == nil:
			// Else the runtime tries to wait for it after all.
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFL, unix.O_RDONLY)
			return os.NewFile(uintptr(fd), path), nil
		case !errors.Is(err, unix.EINTR):
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// statNow is how what has this path is now: on a network file system as its server
// has it, not as it was some seconds ago.
func statNow(path string) (Stat, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &st)
	for errors.Is(err, unix.EINTR) {
		err = unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &st)
	}
	switch {
	case err == nil:
		return Stat{Size: int64(st.Size), MTime: statxNsec(st.Mtime), CTime: statxNsec(st.Ctime), Inode: st.Ino}, nil //nolint:gosec // no file has more
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM): // an old kernel, or a sandbox older than the call
		return statPath(path)
	}
	return Stat{}, &os.PathError{Op: "stat", Path: path, Err: err}
}

func statxNsec(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }
