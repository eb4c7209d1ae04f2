//go:build !unix

package creds

import (
	"io/fs"
	"os"
)

// On Windows a user's profile is closed to others by its access list, which
// files in it inherit; Go shows no mode that would tell more.

func openPrivate(path string) (*os.File, error) { return os.Open(path) }

func ours(fs.FileInfo) bool { return true }

func othersRead(fs.FileInfo) bool { return false }

func othersWrite(fs.FileInfo) bool { return false }

// HasModes reports whether files in dir can be kept from others.
func HasModes(string) bool { return true }
