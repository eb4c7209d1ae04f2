package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// apart has no console, and gets no ^C of this one.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}

// hangUp ends a child: there is no milder way to one without a console.
func hangUp(p *os.Process) { _ = p.Kill() }
