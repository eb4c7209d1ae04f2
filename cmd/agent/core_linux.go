package main

import "golang.org/x/sys/unix"

// noCoreDumps keeps the process's memory, and so its secrets, off the disk
// should it crash. The limit alone does not: the kernel passes it over where
// core dumps go to a program, as those of systemd and Ubuntu do. Who is not
// dumpable is also not looked into by other processes of the same user; what we
// start is dumpable again. Where it is refused nothing can be done about it.
func noCoreDumps() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
