//go:build !windows

package journal

import (
	"errors"
	"os"
	"syscall"
)

// renamesOpen says that a file can be renamed and removed while it is open.
const renamesOpen = true

// noFollow keeps a link in the journal's place from being followed.
const noFollow = syscall.O_NOFOLLOW

// tryLock takes the lock bbolt takes. It belongs to the open file, so bbolt,
// handed the same file, finds it already its own.
func tryLock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errHeld
		default:
			return os.NewSyscallError("flock", err)
		}
	}
}

// handOver makes the file ready for bbolt to lock.
func handOver(*os.File) error { return nil }

// letGo unlocks and closes a file that a mapping may still hold open.
func letGo(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	_ = f.Close()
}

// syncDir makes names durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	// Some network file systems refuse it for directories; the names are then
	// as durable as they make them.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
