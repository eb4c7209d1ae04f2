//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestSlurmSignal proves that the signal before a slot's end reaches the agent,
// which stops at a part's end, that the script submits itself, and that the next
// slot finishes what this one began.
func TestSlurmSignal(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	r := newRig(t, "-rate", "8MB").withToken()
	bin := t.TempDir()
	submitted := filepath.Join(bin, "submitted")
	if err := os.WriteFile(filepath.Join(bin, "sbatch"), []byte("#!/bin/sh\necho \"$@\" >>'"+submitted+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.env = append(r.env, "PATH="+bin+":"+os.Getenv("PATH"))
	if e := r.run("schedule", "install", "big", "--yes", "--slurm", "--", "upload", "--parallel", "2", "--part-size", "5MiB", dir, r.dest); e.code != 0 {
		t.Fatal(e.err)
	}
	script := filepath.Join(r.state, "schedules", "big.sbatch")
	p := r.startAs(exec.Command("bash", script))
	r.acked("large", 2)
	p.signal(syscall.SIGTERM)
	e := p.wait()
	text, err := os.ReadFile(submitted)
	if e.code != 143 || err != nil || strings.TrimSpace(string(text)) != "--begin=now "+script || !strings.Contains(e.err, "the same command goes on from here") {
		t.Fatalf("exit %d, submitted %q, %v\n%s", e.code, text, err, e.err)
	}
	if n, err := os.ReadFile(filepath.Join(r.state, "schedules", "big.stalled")); err != nil || strings.TrimSpace(string(n)) != "0" {
		t.Errorf("runs without progress: %q, %v", n, err)
	}
	if e := r.startAs(exec.Command("bash", script)).wait(); e.code != 0 {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	r.eachOnce()
	r.holds(slowFiles)
}

// TestScheduleRefusesLineEnds proves that a name with a line end in it is put into no
// crontab, unit or script, where what is behind it would be a line, and a command, of its own.
func TestScheduleRefusesLineEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t).withToken()
	for _, end := range []string{"\n", "\r"} {
		dir := filepath.Join(t.TempDir(), "data"+end+"* * * * * touch planted")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"--crontab", "--slurm", "--every=1h"} {
			args := []string{"schedule", "install", "nightly", "--dry-run", kind, "--", "upload", dir, r.dest}
			if kind == "--crontab" {
				args = slices.Insert(args, 4, "--every=1h")
			}
			if e := r.run(args...); e.code != 2 || !strings.Contains(e.err, "there is a line end in the command") || strings.Contains(e.out, "planted") {
				t.Errorf("%s, %q: exit %d\n%s%s", kind, end, e.code, e.out, e.err)
			}
		}
	}
}
