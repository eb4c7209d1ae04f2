package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// cpus are those this process may use, at its start.
var cpus = sync.OnceValue(func() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var all []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			all = append(all, i)
		}
	}
	return all
})

// clientCPU and serverCPU are two different CPUs; -1, for any, where there is
// but one.
func clientCPU() int {
	if c := cpus(); len(c) > 1 {
		return c[0]
	}
	return -1
}

func serverCPU() int {
	if c := cpus(); len(c) > 1 {
		return c[len(c)-1]
	}
	return -1
}

// onCPU calls do, and what processes do starts stay on one CPU.
func onCPU(cpu int, do func() error) error {
	if cpu < 0 {
		return do()
	}
	started := make(chan error)
	go func() {
		// A child inherits the CPUs of the thread that starts it. This thread
		// is never unlocked, so it ends with the goroutine and nobody else
		// gets to run on it.
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			started <- err
			return
		}
		started <- do()
	}()
	return <-started
}

// forgetPeak makes this process as small as it can be, and has the kernel forget
// that it was larger: what peakRSS tells of a child begins with that.
func forgetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // else figures below our own size are too high
}

// peakRSS is what the kernel says a process had in memory at the most. It
// begins with what its parent had at the fork, so figures below our own size,
// of about 10 MB, can't be seen.
func peakRSS(p *os.ProcessState) int64 {
	if u, ok := p.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss << 10
	}
	return 0
}

// freeBytes is what a user can still write where dir is; -1 where it can't be told.
func freeBytes(dir string) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return -1
	}
	return int64(st.Bavail) * st.Bsize //nolint:gosec // no disk is that large
}

// flush waits until what was written where dir is has come to the disk: the next
// to write there should not wait for it.
func flush(dir string) {
	if f, err := os.Open(dir); err == nil {
		_ = unix.Syncfs(int(f.Fd())) // then it waits
		_ = f.Close()
	}
}
