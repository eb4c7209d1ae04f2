package transfer

import (
	"errors"
	"os"
	"syscall"
)

// openRead is os.Open less the five system calls by which that tries to have
// the runtime wait for the file, which the kernel refuses for regular ones.
func openRead(path string) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), path), nil
		case !errors.Is(err, syscall.EINTR):
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}
