//go:build linux

package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// jobLines is what 'jobs list --json' tells.
func (r *rig) jobLines() []jobLine {
	r.t.Helper()
	e := r.run("jobs", "list", "--json")
	if e.code != 0 {
		r.t.Fatal(e.err)
	}
	var all []jobLine
	for line := range strings.Lines(e.out) {
		var l jobLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			r.t.Fatalf("%v: %s", err, line)
		}
		all = append(all, l)
	}
	return all
}

// TestJobsOfARunningAgent proves that a job that another agent holds is seen,
// watched and not touched; that it is known what a killed one has left; that
// its uploads are ended, and nothing else is; and that it is resumed by its id.
func TestJobsOfARunningAgent(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	r := newRig(t, "-role", "full", "-rate", "4MB").withToken()
	p := slowUpload(t, r, dir)
	until(t, "run.json to tell of it", func() bool {
		all := r.jobLines()
		return len(all) == 1 && all[0].State == jobRunning && all[0].BytesDone >= 2*5<<20 && all[0].Running.PID == p.cmd.Process.Pid
	})
	p.signal(syscall.SIGSTOP) // or it may end before it is watched
	id := r.jobLines()[0].Job
	if e := r.run("jobs", "remove", "--force", id); e.code != 75 {
		t.Errorf("remove: exit %d\n%s", e.code, e.err)
	}
	a := r.start("jobs", "attach", id)
	a.says(" files  ")
	p.signal(syscall.SIGKILL)
	p.wait()
	if e := a.wait(); e.code != exitLocal || !strings.Contains(e.err, "is unfinished: cut short; ") {
		t.Errorf("attach: exit %d\n%s", e.code, e.err)
	}
	l := r.jobLines()[0]
	if l.State != jobUnfinished || len(l.OpenUploads) != 1 || l.OpenUploads[0].BytesDone < 2*5<<20 || !l.Resumable || l.BytesDone < 2*5<<20 {
		t.Fatalf("%+v", l)
	}
	if e := r.run("jobs", "abort", id); e.code != 0 || !strings.Contains(e.err, "ended 1 of 1 open uploads") {
		t.Errorf("abort: exit %d\n%s", e.code, e.err)
	}
	var aborted []string
	for _, q := range r.requests(0) {
		if q.Op == "AbortMultipartUpload" {
			aborted = append(aborted, filepath.Base(q.Key))
		}
	}
	if strings.Join(aborted, " ") != "large" {
		t.Errorf("ended: %q", aborted)
	}
	if l := r.jobLines()[0]; len(l.OpenUploads) != 0 {
		t.Errorf("%+v", l.OpenUploads)
	}
	if e := r.run("jobs", "resume", id[:5]); e.code != 0 {
		t.Errorf("resume: exit %d\n%s", e.code, e.err)
	}
	r.holds(slowFiles)
	if l := r.jobLines()[0]; l.State != jobFinished || l.Resumable || l.FilesDone != 2 || *l.FilesLeft != 0 || l.BytesDone != 6*5<<20+10 {
		t.Errorf("%+v", l)
	}
}

// TestAttachToTheEnd proves that whoever watches a run learns how it ended.
func TestAttachToTheEnd(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	r := newRig(t, "-rate", "4MB").withToken()
	p := slowUpload(t, r, dir)
	until(t, "run.json", func() bool { return r.jobLines()[0].State == jobRunning })
	p.signal(syscall.SIGSTOP) // or it may end before it is watched
	a := r.start("jobs", "attach", r.jobLines()[0].Job)
	a.says(" files  ")
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT)
	if e := p.wait(); e.code != 143 {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	if e := a.wait(); e.code != 143 || !strings.Contains(e.err, "is unfinished: terminated; ") {
		t.Errorf("attach: exit %d\n%s", e.code, e.err)
	}
	// It names what is to be done, and does it for all.
	if e := r.run("jobs", "resume", "--all"); e.code != 0 {
		t.Errorf("resume: exit %d\n%s", e.code, e.err)
	}
	r.eachOnce()
	r.holds(slowFiles)
}
