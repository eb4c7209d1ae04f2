//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package prompt

import (
	"os"
	"time"

	"golang.org/x/term"
)

const (
	newline = "\r\n"
	// hasMarks is false: consoles show the request for marks, unless they are
	// in a mode that is not the default. The pause after a paste has to do.
	hasMarks = false
)

// modes are the terminal's.
type modes = term.State

// device is the console, which one may have only one of: what a read that was
// not waited for gets later is the next one's.
type device struct {
	file    *os.File
	fd      int
	pending chan input // nil, or a read is under way
}

type input struct {
	b   []byte
	err error
}

func newDevice(in *os.File) *device { return &device{file: in, fd: int(in.Fd())} }

func (d *device) foreground() bool { return true }

func (d *device) modes() (*modes, error) { return term.GetState(d.fd) }

func (d *device) hide(*modes) error {
	_, err := term.MakeRaw(d.fd)
	return err
}

// restore has no error: a console that refuses is gone.
func (d *device) restore(m *modes) { _ = term.Restore(d.fd, m) }

// flush has nothing to do: the read under way has what comes.
func (d *device) flush() {}

// read waits up to wait for input; 0 bytes mean that none came.
//
// No ctx and no time can interrupt a read here, so a goroutine reads, and
// nobody waits for it: it ends with the next key, or with the program.
func (d *device) read(b []byte, wait time.Duration) (int, error) {
	if d.pending == nil {
		pending := make(chan input, 1)
		d.pending = pending
		go func() {
			b := make([]byte, chunk)
			n, err := d.file.Read(b)
			pending <- input{b[:n], err}
		}()
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	select {
	case in := <-d.pending:
		d.pending = nil
		defer clear(in.b)
		return copy(b, in.b), in.err
	case <-timeout.C:
		return 0, nil
	}
}

// notifyResumed has nothing to do: nothing stops a process here.
func notifyResumed(chan<- os.Signal) {}
