//go:build unix

package ownfile

import (
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

const noFollow = syscall.O_NOFOLLOW

// shared reports whether somebody else than us and root can put things into
// dir. One that can't be looked at is taken for such.
func shared(dir string) bool {
	fi, err := os.Stat(dir)
	if err != nil {
		return true
	}
	uid, ok := owner(fi)
	return !ok || uid != 0 && uid != os.Geteuid() && !sudo(uid) || loose(fi)
}

func loose(fi fs.FileInfo) bool { return fi.Mode().Perm()&0o022 != 0 }

// ours reports whether what lies in dir, or is it, is ours or root's.
func ours(fi fs.FileInfo, dir string) bool {
	uid, ok := owner(fi)
	if !ok {
		return false
	}
	return uid == 0 || uid == os.Geteuid() || sudo(uid) || uid == ourselves(dir)
}

// sudo reports whether uid called us by sudo, which may keep the home: who may
// do that needs no trap.
func sudo(uid int) bool {
	return os.Geteuid() == 0 && os.Getenv("SUDO_UID") == strconv.Itoa(uid)
}

// ourselves is who we are in dir: on some file systems of a network, and on
// those without owners, all that we make is somebody else's. Where nothing can
// be made it is who we are everywhere.
func ourselves(dir string) int {
	fi, err := sample(dir)
	if err != nil {
		return os.Geteuid()
	}
	uid, ok := owner(fi)
	if !ok {
		return os.Geteuid()
	}
	return uid
}

// hasModes reports whether files in dir can be kept from others at all.
func hasModes(dir string) bool {
	fi, err := sample(dir)
	return err != nil || fi.Mode().Perm()&0o077 == 0
}

// sample makes a file for this user only in dir, for a moment.
func sample(dir string) (fs.FileInfo, error) {
	f, err := os.CreateTemp(dir, ".whose*")
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	return f.Stat()
}

func owner(fi fs.FileInfo) (int, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// names is how many a file has.
func names(fi fs.FileInfo) uint64 {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(st.Nlink) //nolint:unconvert // its type differs between systems
}
