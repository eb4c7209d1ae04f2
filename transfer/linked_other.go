//go:build !unix

package transfer

import "io/fs"

// linked is for systems that tell it with the file.
func linked(fs.FileInfo) bool { return false }
