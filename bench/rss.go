package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// rssAnon is the memory of a process that no file stands behind; false where
// the system does not tell.
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
// was seen with, and how often it was looked at.
func watched(cmd *exec.Cmd) (most int64, samples int, err error) {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return most, samples, err
		case <-tick.C:
			if n, ok := rssAnon(cmd.Process.Pid); ok {
				most, samples = max(most, n), samples+1
			}
		}
	}
}
