package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// watchAnon looks at the memory of a process until ctx ends, and then sends the
// most it saw; 0 where it could not see any.
func watchAnon(ctx context.Context, pid int, most chan<- int64) {
	// Peaks shorter than this are missed; each look costs about 30 µs.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var seen int64
	for {
		if n, ok := rssAnon(pid); ok {
			seen = max(seen, n)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			most <- seen
			return
		}
	}
}

// rssAnon is the memory of a process that no file stands behind. What the
// kernel calls peak RSS has the pages of mapped files in it, which it may take back.
func rssAnon(pid int) (int64, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kb << 10, err == nil
		}
	}
	return 0, false
}

// watched waits for a started cmd and tells the most anonymous memory that it
// was seen with.
func watched(cmd *exec.Cmd) (most int64, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	seen := make(chan int64, 1)
	go watchAnon(ctx, cmd.Process.Pid, seen)
	err = cmd.Wait()
	cancel()
	return <-seen, err
}
