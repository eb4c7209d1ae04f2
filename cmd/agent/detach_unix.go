//go:build unix

package main

import (
	"os"
	"syscall"
)

// apart is a session of its own: a terminal that closes sends it no signal.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// hangUp ends a child. Below nohup it would not hear of a terminal that closes.
func hangUp(p *os.Process) { _ = p.Signal(syscall.SIGTERM) }
