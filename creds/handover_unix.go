//go:build unix

package creds

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// openPrivate follows a link only when we or root made it. It never blocks on
// a FIFO that somebody put in the file's place.
func openPrivate(path string) (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK | syscall.O_CLOEXEC
	f, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW, 0)
	// FreeBSD says EMLINK, where the others say ELOOP.
	if err == nil || !errors.Is(err, syscall.ELOOP) && !errors.Is(err, syscall.EMLINK) {
		return f, err
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if uid, ok := owner(fi); !ok || uid != os.Geteuid() && uid != 0 {
		return nil, ErrForeign
	}
	return os.OpenFile(path, flags, 0)
}

func owner(fi fs.FileInfo) (int, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// ours accepts root's files, and as root everybody's: sudo keeps the home.
func ours(fi fs.FileInfo) bool {
	me := os.Geteuid()
	uid, ok := owner(fi)
	return ok && (uid == me || uid == 0 || me == 0)
}

func othersRead(fi fs.FileInfo) bool { return fi.Mode().Perm()&0o077 != 0 }

func othersWrite(fi fs.FileInfo) bool { return fi.Mode().Perm()&0o002 != 0 }

// HasModes reports whether files in dir can be kept from others. On FAT, some
// network shares and Windows drives under Linux every file has one mode, and
// people should be warned. Where nothing can be written, it is taken to be so.
func HasModes(dir string) bool {
	f, err := os.CreateTemp(dir, ".modes*")
	if err != nil {
		return true
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	fi, err := f.Stat()
	return err != nil || !othersRead(fi)
}
