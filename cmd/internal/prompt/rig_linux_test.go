package prompt

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

const question = "question? "

// rig is a terminal with a person in front of it.
type rig struct {
	t             *testing.T
	master, slave *os.File
	before        *unix.Termios

	mu      sync.Mutex
	screen  string
	read    int           // how much of it was awaited
	changed chan struct{} // something was shown since it was emptied
}

// newRig also lets the test run beside others: most of their time is waiting.
func newRig(t *testing.T) *rig {
	t.Helper()
	t.Parallel()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	master = pollable(t, master)
	r := &rig{t: t, master: master, slave: slave, changed: make(chan struct{}, 1)}
	r.before = r.modes()
	var look sync.WaitGroup
	look.Go(r.look)
	t.Cleanup(func() {
		master.Close()
		slave.Close()
		look.Wait()
	})
	return r
}

// pollable is the same file, whose Close ends a Read.
func pollable(t *testing.T, f *os.File) *os.File {
	t.Helper()
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

func (r *rig) look() {
	b := make([]byte, 1024)
	for {
		n, err := r.master.Read(b)
		r.mu.Lock()
		r.screen += string(b[:n])
		r.mu.Unlock()
		select {
		case r.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// await waits until what is on the screen after what was awaited before.
func (r *rig) await(what string) {
	r.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		i := strings.Index(r.screen[r.read:], what)
		if i >= 0 {
			r.read += i + len(what)
		}
		rest := r.screen[r.read:]
		r.mu.Unlock()
		if i >= 0 {
			return
		}
		select {
		case <-r.changed:
		case <-timeout:
			r.t.Fatalf("%q does not come, only %q", what, rest)
		}
	}
}

func (r *rig) shows(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.screen, what)
}

func (r *rig) typeIn(s string) {
	r.t.Helper()
	if _, err := r.master.WriteString(s); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) modes() *unix.Termios {
	r.t.Helper()
	m, err := unix.IoctlGetTermios(int(r.slave.Fd()), unix.TCGETS)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func (r *rig) terminal() *Terminal {
	r.t.Helper()
	term, ok := New(r.slave, r.slave)
	if !ok {
		r.t.Fatal("no terminal")
	}
	return term
}

type answer struct {
	text string
	err  error
}

// ask asks in the background; await the question before typing.
func (r *rig) ask(ask func(*Terminal) (string, error)) <-chan answer {
	r.t.Helper()
	term, c := r.terminal(), make(chan answer, 1)
	go func() {
		text, err := ask(term)
		c <- answer{text, err}
	}()
	r.await(question)
	return c
}

func (r *rig) paste(ctx context.Context, complete func(string) (bool, string)) <-chan answer {
	r.t.Helper()
	c := r.ask(func(t *Terminal) (string, error) {
		return t.Paste(ctx, PasteOptions{Question: question, Complete: complete})
	})
	if r.shows(marksOn) != 1 {
		r.t.Error("no marks were asked for")
	}
	return c
}

// left fails the test unless the terminal is as it was, with nothing to read,
// and nothing of a secret was shown.
func (r *rig) left() {
	r.t.Helper()
	if now := r.modes(); *now != *r.before {
		r.t.Errorf("modes %+v, were %+v", *now, *r.before)
	}
	if n, err := unix.IoctlGetInt(int(r.slave.Fd()), unix.TIOCINQ); n != 0 || err != nil {
		r.t.Errorf("%d bytes are left (%v)", n, err)
	}
	r.typeIn("x\n")
	b := make([]byte, 100)
	n, err := r.slave.Read(b)
	if string(b[:n]) != "x\n" || err != nil {
		r.t.Errorf("the shell reads %q (%v)", b[:n], err)
	}
	r.await("x\r\n") // the echo, so what came before is on the screen too
	if on, off := r.shows(marksOn), r.shows(marksOff); on != off {
		r.t.Errorf("marks were asked for %d times, and %d times no longer", on, off)
	}
	if r.shows("Zq") > 0 {
		r.t.Error("the secret is on the screen")
	}
}

// start runs the test binary in a role, on r as its controlling terminal.
func (r *rig) start(role string) *exec.Cmd {
	r.t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleVar+"="+role, "GORACE=atexit_sleep_ms=0") // else a second each
	c.Stdin, c.Stdout, c.Stderr = r.slave, r.slave, r.slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	})
	return c
}
