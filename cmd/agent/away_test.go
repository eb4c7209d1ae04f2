//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSecondAgent proves that one job is run by one agent at a time, and that
// the second names the first. rclone#7993: cron runs overlap.
func TestSecondAgent(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	r := newRig(t, "-rate", "2MB").withToken()
	p := r.startUpload("--part-size", "5MiB", dir)
	until(t, "run.json", func() bool {
		found, _ := filepath.Glob(filepath.Join(r.state, "jobs", "*", "run.json"))
		return len(found) == 1
	})
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	e := r.upload(75, dir)
	want := fmt.Sprintf("held by process %d on %s", p.cmd.Process.Pid, host)
	if !strings.Contains(e.err, want) || !strings.Contains(e.err, "one at a time") {
		t.Errorf("it does not say %q:\n%s", want, e.err)
	}
	// Another destination is another job.
	if other := r.run("upload", filepath.Join(dir, "small"), r.dest+"/other/"); other.code != 0 {
		t.Errorf("another job: exit %d\n%s", other.code, other.err)
	}
	p.signal(syscall.SIGKILL)
	p.wait()
}

// TestServerAway proves that a store which dies in mid-upload and comes back
// costs waiting and nothing else.
func TestServerAway(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	r := newRig(t, "-rate", "10MB").withToken()
	p := r.startUpload("--parallel", "2", "--part-size", "5MiB", "-v", dir)
	r.acked("large", 2)
	at := time.Now()
	if err := r.sb.Kill(); err != nil {
		t.Fatal(err)
	}
	p.says("retry in") // it knows that the store is away
	if err := r.sb.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
	if e := p.wait(); e.code != 0 {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	noneTwice(t, r.requests(0), []kill{aKill(at)})
	r.holds(slowFiles)
}
