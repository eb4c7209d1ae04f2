//go:build !linux && !darwin

package transfer

import "io/fs"

// StatOf is what a FileInfo of the os package says of a file. Here it knows
// neither CTime nor Inode.
func StatOf(fi fs.FileInfo) Stat {
	return Stat{Size: fi.Size(), MTime: fi.ModTime().UnixNano()}
}
