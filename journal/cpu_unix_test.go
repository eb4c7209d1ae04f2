//go:build !windows

package journal

import (
	"syscall"
	"testing"
	"time"
)

func cpu(b testing.TB) time.Duration {
	var u syscall.Rusage
	ok(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
