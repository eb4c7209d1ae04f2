package transfer

import (
	"io/fs"
	"syscall"
)

// StatOf is what a FileInfo of the os package says of a file.
func StatOf(fi fs.FileInfo) Stat {
	s := Stat{Size: fi.Size(), MTime: fi.ModTime().UnixNano()}
	if sys, ok := fi.Sys().(*syscall.Stat_t); ok {
		s.CTime, s.Inode = sys.Ctim.Nano(), sys.Ino
	}
	return s
}
