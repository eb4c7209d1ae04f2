//go:build unix && !linux

package main

import "golang.org/x/sys/unix"

// noCoreDumps keeps the process's memory, and so its secrets, off the disk
// should it crash. Where it is refused nothing can be done about it.
func noCoreDumps() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
