//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMaxDuration proves that a run ends in its time at a part's end, with an
// exit code of its own, and that nothing that was sent is sent again.
// aws-cli#1425: cron restarts a giant file from zero each hour.
func TestMaxDuration(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	r := newRig(t, "-rate", "8MB").withToken()
	file := filepath.Join(t.TempDir(), "s.json")
	args := []string{"--parallel", "2", "--part-size", "5MiB", "--max-duration", "2s", "--status-file", file, dir}
	e := r.upload(exitStopped, args...)
	if !strings.Contains(e.err, "stopping after --max-duration 2s: what is in flight may finish") ||
		!strings.Contains(e.err, "stopped after --max-duration 2s, before everything was sent\n  the same command goes on from here") {
		t.Error(e.err)
	}
	for _, q := range r.requests(0) {
		if _, ok := unitOf(q); ok && q.Status != 200 {
			t.Errorf("cut short: %s", describe(q))
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s status
	if err := json.Unmarshal(text, &s); err != nil || s.Exit != exitStopped || !s.Progress || s.FilesLeft < 1 || s.BytesLeft < 5<<20 || s.LastSuccess != nil {
		t.Errorf("%v: %s", err, text)
	}
	if l := r.jobLines()[0]; l.State != jobUnfinished || l.Why != "stopped on purpose" || !l.Resumable {
		t.Errorf("%+v", l)
	}
	for range 10 {
		if e = r.run(append(append([]string{"upload"}, args...), r.dest)...); e.code != exitStopped {
			break
		}
	}
	if e.code != 0 {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	r.eachOnce()
	r.holds(slowFiles)
}
