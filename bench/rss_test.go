package main

import (
	"context"
	"os"
	"runtime"
	"testing"
)

// TestWatchAnon proves that the memory of even the shortest run is seen, where
// the system tells it.
func TestWatchAnon(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for pid, want := range map[int]bool{os.Getpid(): runtime.GOOS == "linux", -1: false} {
		most := make(chan int64, 1)
		watchAnon(ctx, pid, most)
		if got := <-most; got > 0 != want {
			t.Errorf("of %d it saw %d bytes", pid, got)
		}
	}
}
