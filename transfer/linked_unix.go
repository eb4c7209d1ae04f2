//go:build unix

package transfer

import (
	"io/fs"
	"syscall"
)

// linked reports whether a file has a second name.
func linked(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && st.Nlink > 1
}
