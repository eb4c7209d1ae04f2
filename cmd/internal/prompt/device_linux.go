package prompt

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	getModes = unix.TCGETS
	setModes = unix.TCSETS
)

func foregroundGroup(fd int) (int, error) {
	group, err := unix.IoctlGetUint32(fd, unix.TIOCGPGRP)
	return int(group), err
}

func waitInput(fd int, wait time.Duration) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // G115: a descriptor is a small number
	n, err := unix.Poll(fds, int(wait.Milliseconds()))
	return n > 0, err
}

// flush throws away what was not read.
func (d *device) flush() { _ = unix.IoctlSetInt(d.fd, unix.TCFLSH, unix.TCIFLUSH) }
