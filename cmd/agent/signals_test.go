//go:build linux

package main

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slowUpload starts an upload of six parts of which two at a time are on their
// way for about a second, and returns when the first are stored.
func slowUpload(t *testing.T, r *rig, dir string) *proc {
	t.Helper()
	p := r.startUpload("--parallel", "2", "--part-size", "5MiB", dir)
	r.acked("large", 2)
	return p
}

var slowFiles = tree{}.with("large", 6*5<<20).with("small", 10)

// TestSignals proves that the first signal lets finish what is in flight,
// begins nothing new, says how to go on, and is told by the exit code; and
// that nothing that was sent is sent again.
func TestSignals(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	for name, tt := range map[string]struct {
		sig  syscall.Signal
		code int
	}{
		"SIGINT": {syscall.SIGINT, 130}, "SIGTERM": {syscall.SIGTERM, 143}, "SIGHUP": {syscall.SIGHUP, 129},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "-rate", "8MB").withToken()
			p := slowUpload(t, r, dir)
			at := time.Now()
			p.signal(tt.sig)
			e := p.wait()
			if e.code != tt.code || !strings.Contains(e.err, "stopping: what is in flight may finish") ||
				!strings.Contains(e.err, "the same command goes on from here") {
				t.Errorf("exit %d, want %d\n%s", e.code, tt.code, e.err)
			}
			for _, q := range r.requests(0) {
				if _, ok := unitOf(q); ok && q.Status != 200 {
					t.Errorf("cut short: %s", describe(q))
				}
				if q.Start.After(at.Add(durable)) {
					t.Errorf("begun after the signal: %s", describe(q))
				}
			}
			r.upload(0, "--parallel", "2", "--part-size", "5MiB", dir)
			r.eachOnce()
			r.holds(slowFiles)
		})
	}
}

// eachOnce checks that the server never took the same part or object twice.
func (r *rig) eachOnce() {
	r.t.Helper()
	n := map[unit]int{}
	for _, q := range r.requests(0) {
		if u, ok := unitOf(q); ok && q.Status == 200 {
			if n[u]++; n[u] == 2 {
				r.t.Errorf("taken twice: %s", describe(q))
			}
		}
	}
}

// TestSecondSignal proves that a second ^C leaves at once, and that the job
// can be resumed all the same.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	r := newRig(t, "-rate", "2MB").withToken()
	p := r.startUpload("--parallel", "2", "--part-size", "5MiB", dir)
	r.acked("large", 2) // and now 5 s of the next two
	p.signal(syscall.SIGINT)
	p.says("stopping")
	at := time.Now()
	p.signal(syscall.SIGINT)
	e := p.wait()
	if took := time.Since(at); e.code != 130 || took > leave+time.Second {
		t.Errorf("exit %d after %v\n%s", e.code, took, e.err)
	}
	r.upload(0, "--parallel", "2", "--part-size", "5MiB", dir)
	noneTwice(t, r.requests(0), []kill{aKill(at)})
	r.holds(slowFiles)
}

// TestNohup proves that a run started under nohup outlives its terminal.
func TestNohup(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	r := newRig(t, "-rate", "10MB").withToken()
	p := r.startAs(exec.Command("sh", "-c", `trap "" HUP; exec "$0" "$@"`, built.agent,
		"upload", "--parallel", "2", "--part-size", "5MiB", dir, r.dest))
	r.acked("large", 2)
	p.signal(syscall.SIGHUP)
	if e := p.wait(); e.code != 0 {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	r.holds(slowFiles)
}
