//go:build !unix

package ownfile

import "io/fs"

// On Windows a user's profile is closed to others by its access list, and the
// temporary folder is in the profile.

const noFollow = 0

func shared(string) bool { return false }

func ours(fs.FileInfo, string) bool { return true }

func loose(fs.FileInfo) bool { return false }

func hasModes(string) bool { return true }

func names(fs.FileInfo) uint64 { return 1 }
