//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAbandonedDownloadIsCleanedUp proves that what a download has left
// unfinished is named, and goes with its job: nothing else in the directory does.
func TestAbandonedDownloadIsCleanedUp(t *testing.T) {
	t.Parallel()
	l := &link{rate: 6 << 20}
	r := newRig(t).withToken()
	r.fill(tree{}.with("deep/large", 24<<20).with("small", 10))
	r.through(l.handler)
	dir := filepath.Join(t.TempDir(), "copy")
	unfinished := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "deep", ".large.*.agent-part"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	p := r.start("download", "--parallel", "2", "--part-size", "2MiB", r.dest, dir)
	until(t, "a few ranges", func() bool { return l.came.Load() > 6<<20 || !p.running() })
	p.signal(syscall.SIGKILL)
	p.wait()
	other := filepath.Join(dir, "deep", ".mine.00000000.agent-part")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	line := r.jobLines()[0]
	if len(line.Unfinished) != 1 || line.Unfinished[0].Path != unfinished()[0] || len(line.OpenUploads) != 0 {
		t.Errorf("%+v", line)
	}
	if e := r.run("jobs", "show", line.Job); !strings.Contains(e.out, "\nunfinished  "+unfinished()[0]+", ") || strings.Contains(e.out, "open uploads") {
		t.Errorf("%s", e.out)
	}
	was := unfinished()[0]
	if e := r.run("jobs", "remove", line.Job); e.code != 0 || !strings.Contains(e.err, "removed "+was+"\n") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	if left := unfinished(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if !exists(other) || len(r.jobLines()) != 0 {
		t.Error("too much or too little was removed")
	}
}
