package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// noFollow is for systems whose links anybody can make.
const noFollow = 0

// renamesOpen says that a file can be renamed and removed while it is open.
const renamesOpen = false

// lockRange is the byte bbolt locks.
func lockRange() *windows.Overlapped {
	const last = 1<<32 - 1
	return &windows.Overlapped{Offset: last, OffsetHigh: last}
}

func tryLock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_FAIL_IMMEDIATELY|windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, lockRange())
	switch {
	case err == nil:
		return nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION):
		return errHeld
	default:
		return os.NewSyscallError("LockFileEx", err)
	}
}

// handOver makes the file ready for bbolt to lock: here a second lock conflicts
// with the first one even on the same handle.
func handOver(f *os.File) error {
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, lockRange())
}

// letGo unlocks and closes a file that a mapping may still hold open.
func letGo(f *os.File) {
	_ = windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, lockRange())
	_ = f.Close()
}

// syncDir does nothing: directories cannot be synced here.
func syncDir(string) error { return nil }
