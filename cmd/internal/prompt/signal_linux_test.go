package prompt

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

const roleVar = "PROMPT_TEST_ROLE"

// TestMain lets the test binary be something else: a program on a terminal of
// its own, or a shell that starts one.
func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "paste":
		pasteRole(context.Background())
	case "paste, signals":
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		pasteRole(ctx)
	case "shell":
		shellRole(true)
	case "shell, job in background":
		shellRole(false)
	default:
		goleak.VerifyTestMain(m)
	}
}

// pasteRole pastes, says how it ended, and then reads a line as a shell would.
func pasteRole(ctx context.Context) {
	t, ok := New(os.Stdin, os.Stdout)
	if !ok {
		panic("no terminal")
	}
	fmt.Printf("foreground: %v\n", t.Foreground())
	text, err := t.Paste(ctx, PasteOptions{Question: question, Complete: lines(2)})
	fmt.Printf("ended: %d bytes, %v\n", len(text), err)
	if err != nil && t.Foreground() {
		line, err := t.Line(context.Background(), "shell> ")
		fmt.Printf("the shell reads %q, %v\n", line, err)
	}
}

// shellRole starts the other role in a group of its own, and does what it is
// told when the group is not in the foreground.
func shellRole(foreground bool) {
	modes, err := unix.IoctlGetTermios(0, unix.TCGETS)
	must(err)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleVar+"=paste, signals")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Foreground: foreground}
	must(c.Start())
	job := c.Process.Pid
	if !foreground {
		command(job)
	}
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(job, &status, unix.WUNTRACED, nil)
		must(err)
		own(os.Getpid())
		if !status.Stopped() {
			fmt.Printf("job ended: %d\n", status.ExitStatus())
			return
		}
		must(unix.IoctlSetTermios(0, unix.TCSETS, modes))
		fmt.Println("job stopped")
		command(job)
	}
}

// command does what is typed, until it is something to wait for the job after.
func command(job int) {
	for {
		var typed string
		_, err := fmt.Scanln(&typed)
		must(err)
		switch typed {
		case "fg":
			own(job)
			must(unix.Kill(-job, unix.SIGCONT))
			return
		case "bg":
			must(unix.Kill(-job, unix.SIGCONT))
			fmt.Println("job in background")
		case "give": // the terminal, to a job that runs
			own(job)
			return
		case "kill":
			must(unix.Kill(job, unix.SIGTERM))
			return
		}
	}
}

// own makes a group the foreground one. Doing so from outside of it must not
// stop the shell.
func own(group int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ttou, before unix.Sigset_t
	ttou.Val[0] = 1 << (unix.SIGTTOU - 1)
	must(unix.PthreadSigmask(unix.SIG_BLOCK, &ttou, &before))
	must(unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, group))
	must(unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// ^C is the terminal's, and kills as always.
func TestInterruptKills(t *testing.T) {
	r := newRig(t)
	c := r.start("paste")
	r.await(question)
	r.typeIn("Zq\x03")
	_ = c.Wait()
	if s := c.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGINT {
		t.Errorf("ended by %v", c.ProcessState)
	}
}

// With a handler it ends the ctx, and the terminal is as it was.
func TestInterruptHandled(t *testing.T) {
	r := newRig(t)
	c := r.start("paste, signals")
	r.await(question)
	r.typeIn("Zq1\r")
	r.await("1 of 2")
	r.typeIn("Zq2\x03")
	r.await(marksOff)
	r.await("ended: 0 bytes, context canceled")
	r.await("shell> ")
	if now := r.modes(); *now != *r.before {
		t.Errorf("modes %+v, were %+v", *now, *r.before)
	}
	r.typeIn("x\r")
	r.await(`the shell reads "x", <nil>`)
	if err := c.Wait(); err != nil || r.shows("Zq") > 0 {
		t.Errorf("%v, %q", err, r.screen)
	}
}

// ^Z and fg: the question comes again, nothing is echoed, nothing is lost.
func TestStopped(t *testing.T) {
	r := newRig(t)
	c := r.start("shell")
	r.await("foreground: true")
	r.await(marksOn + question)
	r.typeIn("Zq1\r")
	r.await("1 of 2")
	r.typeIn("\x1a")
	r.await("job stopped")
	r.typeIn("fg\r")
	r.await(marksOn + question + "\r\n1 of 2")
	r.typeIn(marks(secret))
	r.await("ended: 6004 bytes, <nil>")
	r.await("job ended: 0")
	if err := c.Wait(); err != nil || r.shows("Zq") > 0 {
		t.Errorf("%v, %q", err, r.screen)
	}
}

// In the background it does not touch the terminal, which would stop it, and
// asks when it is in the foreground: here without any signal.
func TestBackground(t *testing.T) {
	r := newRig(t)
	c := r.start("shell, job in background")
	r.await("foreground: false")
	r.typeIn("give\r")
	r.await(marksOn + question)
	r.typeIn(marks("Zq1\nZq2"))
	r.await("ended: 7 bytes, <nil>")
	r.await("job ended: 0")
	if err := c.Wait(); err != nil || r.shows("Zq") > 0 {
		t.Errorf("%v, %q", err, r.screen)
	}
}

// What ends in the background leaves the terminal alone.
func TestKilledInBackground(t *testing.T) {
	r := newRig(t)
	c := r.start("shell")
	r.await(question)
	r.typeIn("\x1a")
	r.await("job stopped")
	r.typeIn("bg\r")
	r.await("job in background")
	r.typeIn("kill\r")
	r.await("ended: 0 bytes, context canceled")
	r.await("job ended: 0")
	if err := c.Wait(); err != nil || r.shows(marksOff) > 0 {
		t.Errorf("%v, %q", err, r.screen)
	}
}

// A terminal that is not the controlling one has no foreground to be in.
func TestForeground(t *testing.T) {
	if r := newRig(t); !r.terminal().Foreground() {
		t.Error("not in the foreground")
	}
}
