//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestClockOff proves that a machine whose clock is wrong by an hour or a day,
// either way, works through several tokens and says that its clock is wrong.
// aws-cli#1065.
func TestClockOff(t *testing.T) {
	t.Parallel()
	for offset, said := range map[string]string{
		"1h": "60 min behind", "-1h": "60 min ahead of", "24h": "24 h behind", "-24h": "24 h ahead of",
	} {
		t.Run(offset, func(t *testing.T) {
			t.Parallel()
			files := tree{}.with("large", 6<<20)
			for i := range 60 {
				files.with(fmt.Sprintf("small/%02d", i), 150_000)
			}
			r := newRig(t, "-clock-offset", offset, "-token-life", "3s", "-rate", "2MB")
			r.login(r.sb.Env["AGENT_SANDBOX_API"])
			e := r.upload(0, "--parallel", "2", "--part-size", "5MiB", files.write(t))
			if n := strings.Count(e.err, "note: this machine's clock is "+said); n != 1 || strings.Contains(e.err, "waiting") {
				t.Errorf("it says %d times that the clock is off:\n%s", n, e.err)
			}
			// The witness would need the right time.
			for key, want := range files {
				got, err := os.ReadFile(filepath.Join(r.sb.Dir, "s3", "data", r.sb.Bucket(), r.prefix, key))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%q: %d bytes differ from the %d of the file: %v", key, len(got), len(want), err)
				}
			}
			rotations(t, r, 2)
		})
	}
}

// TestStoppedForLongerThanATokenLives proves that a process which stood still
// while its token ended gets another one and goes on.
func TestStoppedForLongerThanATokenLives(t *testing.T) {
	t.Parallel()
	stopFor(t, 3*time.Second, 4*time.Second)
}

// stopFor stops an upload, whose tokens live so long, for a while.
func stopFor(t *testing.T, life, stop time.Duration) ended {
	t.Helper()
	files := tree{}.with("large", 20<<20)
	r := newRig(t, "-token-life", life.String(), "-rate", "4MB")
	r.login(r.sb.Env["AGENT_SANDBOX_API"])
	p := r.startUpload("--parallel", "2", "--part-size", "5MiB", files.write(t))
	r.acked("large", 1)
	p.signal(syscall.SIGSTOP)
	time.Sleep(stop) // it stands still
	p.signal(syscall.SIGCONT)
	e := p.wait()
	if e.code != 0 || strings.Contains(e.err, "\nfailed: ") {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	r.holds(files)
	rotations(t, r, 2)
	return e
}
