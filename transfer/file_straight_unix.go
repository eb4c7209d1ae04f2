//go:build unix && !linux

package transfer

import (
	"errors"
	"os"
	"syscall"
)

// openStraight sees the last part of the path only.
func openStraight(dir, rel string) (*os.File, error) {
	f, err := os.OpenFile(dir+rel, os.O_RDONLY|dontWait|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ELOOP) {
		err = &os.PathError{Op: "open", Path: dir + rel, Err: errNowLink}
	}
	return f, err
}
