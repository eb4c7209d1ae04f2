//go:build unix

package main

import (
	"os"
	"syscall"
)

// apart is a session of its own: a terminal that closes sends it no signal.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// hangUp ends a child, as if its terminal had closed.
func hangUp(p *os.Process) { _ = p.Signal(syscall.SIGHUP) }
