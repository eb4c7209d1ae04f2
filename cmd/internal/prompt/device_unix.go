//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package prompt

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// newline may be plain, because the terminal's output modes stay.
	newline = "\n"
	// hasMarks says that terminals can be asked for marks around pasted text.
	hasMarks = true
)

// modes are the terminal's.
type modes = unix.Termios

// device is the terminal as the system sees it.
type device struct {
	file *os.File // keeps fd open
	fd   int
}

func newDevice(in *os.File) *device {
	return &device{file: in, fd: int(in.Fd())}
}

// foreground: see Terminal.Foreground. An error means that fd is not the
// controlling terminal, or is gone, which reading will tell.
func (d *device) foreground() bool {
	group, err := foregroundGroup(d.fd)
	return err != nil || group == unix.Getpgrp()
}

func (d *device) modes() (*modes, error) { return unix.IoctlGetTermios(d.fd, getModes) }

// hide sets the modes m with neither lines nor echo. Signals stay, so that ^C
// and ^Z do what they always do, and so does the output. A read never waits:
// see read.
func (d *device) hide(m *modes) error {
	raw := *m
	raw.Iflag &^= unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.PARMRK
	raw.Lflag &^= unix.ICANON | unix.ECHO | unix.ECHONL | unix.IEXTEN
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 0, 0
	return d.set(&raw)
}

// restore has no error: a terminal that refuses is gone.
func (d *device) restore(m *modes) { _ = d.set(m) }

func (d *device) set(m *modes) error {
	for {
		if err := unix.IoctlSetTermios(d.fd, setModes, m); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// read waits up to wait for input; 0 bytes mean that none came, or that it is
// not for this process. io.EOF is ^D where lines are read.
//
// It waits before the read, and not in it by the modes' VTIME: a read that is
// interrupted by ^Z goes on in the modes the shell has set since, in which it
// would wait for a whole line and for no ctx.
func (d *device) read(b []byte, wait time.Duration) (int, error) {
	if ready, err := d.ready(wait); err != nil || !ready {
		return 0, err
	}
	if !d.foreground() { // since ^Z and bg, while this waited: it is the shell's
		return 0, nil
	}
	n, err := unix.Read(d.fd, b)
	switch {
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, err
	case n > 0:
		return n, nil
	}
	m, err := d.modes()
	switch {
	case err != nil:
		return 0, err
	case m.Lflag&unix.ICANON != 0:
		return 0, io.EOF
	}
	// Either ^C has just emptied the queue, or the terminal is gone: then it
	// is always ready.
	if ready, err := d.ready(0); err != nil || !ready {
		return 0, err
	}
	return 0, fmt.Errorf("it hung up: %w", io.ErrUnexpectedEOF)
}

// ready waits up to wait for input, less if a signal comes.
func (d *device) ready(wait time.Duration) (bool, error) {
	ready, err := waitInput(d.fd, wait)
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return ready, err
}

func notifyResumed(c chan<- os.Signal) { signal.Notify(c, unix.SIGCONT) }
