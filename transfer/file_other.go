//go:build !linux

package transfer

import "os"

// openRead does not wait for a writer where a pipe has taken the file's place.
func openRead(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|dontWait, 0)
}

func statNow(path string) (Stat, error) { return statPath(path) }
