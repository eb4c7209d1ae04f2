package main

import (
	"math"

	"golang.org/x/sys/windows"
)

// roomIn is how many bytes this user may still write below dir.
func roomIn(dir string) (free int64, network string, err error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, "", err
	}
	var n uint64
	err = windows.GetDiskFreeSpaceEx(path, &n, nil, nil)
	return int64(min(n, math.MaxInt64)), "", err //nolint:gosec // it is below MaxInt64
}

// openFiles: there is no such limit.
func openFiles() int { return math.MaxInt32 }
