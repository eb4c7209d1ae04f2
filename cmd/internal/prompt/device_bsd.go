//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package prompt

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	getModes = unix.TIOCGETA
	setModes = unix.TIOCSETA
)

func foregroundGroup(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.TIOCGPGRP) }

// waitInput uses select, because poll on macOS does not know terminals.
func waitInput(fd int, wait time.Duration) (bool, error) {
	if fd >= unix.FD_SETSIZE {
		return false, fmt.Errorf("descriptor %d is too high to wait for", fd)
	}
	var set unix.FdSet
	set.Set(fd)
	timeout := unix.NsecToTimeval(wait.Nanoseconds())
	n, err := unix.Select(fd+1, &set, nil, nil, &timeout)
	return n > 0, err
}

// flush throws away what was not read.
func (d *device) flush() { _ = unix.IoctlSetPointerInt(d.fd, unix.TIOCFLUSH, unix.TCIFLUSH) }
