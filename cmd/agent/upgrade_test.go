//go:build upgrade

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"agent/bench/platform"
)

// TestUpgrade proves that a job which an older agent left unfinished is finished by
// this one: the older one is built from its commit, $FROM, begins an upload, and is
// killed in the middle. What it had journalled is not sent again.
func TestUpgrade(t *testing.T) {
	root, err := platform.Root()
	if err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(t.TempDir(), "old")
	if out, err := exec.Command("git", "-C", root, "worktree", "add", "--detach", work, os.Getenv("FROM")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("git", "-C", root, "worktree", "remove", "--force", work).Run() })
	old := filepath.Join(t.TempDir(), "agent")
	cmd := exec.Command("go", "build", "-o", old, "./cmd/agent")
	cmd.Dir, cmd.Env = work, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	files := tree{}.with("large", 100<<20+77).with("a/small", 1000).with("z", 5000)
	dir := files.write(t)
	for _, role := range []string{"platform", "full"} {
		t.Run(role, func(t *testing.T) {
			r := newRig(t, "-role", role, "-rate", "20MB").withToken()
			// Flags that agents have had from the first one on.
			p := r.startAs(exec.Command(old, "upload", "--parallel", "2", "--part-size", "5MiB", dir, r.dest))
			r.acked("large", 4)
			at := time.Now()
			p.signal(syscall.SIGKILL)
			if e := p.wait(); e.code >= 0 {
				t.Fatalf("it was to be killed in the middle, but: exit %d\n%s", e.code, e.err)
			}
			e := r.upload(0, "--parallel", "2", "--part-size", "5MiB", dir)
			t.Logf("%s", e.err)
			noneTwice(t, r.requests(0), []kill{aKill(at)})
			r.holds(files)
			again := r.mark()
			r.upload(0, dir) // and a finished job is one
			r.sendsNothing(again)
		})
	}
}
