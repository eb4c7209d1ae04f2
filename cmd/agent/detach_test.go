//go:build linux

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"agent/journal"
)

// scriptAttachAll watches every job until its run ends, which must be with 0.
func scriptAttachAll(ts *testscript.TestScript, _ bool, _ []string) {
	found, err := filepath.Glob(filepath.Join(ts.Getenv("STATE"), "jobs", "*", "journal.db"))
	ts.Check(err)
	for _, path := range found {
		ts.Check(ts.Exec(built.agent, "jobs", "attach", filepath.Base(filepath.Dir(path))))
	}
}

// TestDetachedOutlivesItsSession proves that a detached upload goes on when the
// terminal it was started on is gone, and can be watched from elsewhere.
func TestDetachedOutlivesItsSession(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 24<<20)
	r := newRig(t, "-rate", "4MB").withToken()
	shell := exec.Command("sh", "-c", `"$@"; echo "code: $?"; read -r x`, "sh",
		built.agent, "upload", "--detach", "--part-size", "5MiB", files.write(t), r.dest)
	s := r.onScreen(shell)
	s.says("code: 0")
	said := regexp.MustCompile(`job (\S+), goes on in the background as process (\d+)`).FindStringSubmatch(s.err.String())
	if said == nil {
		t.Fatalf("%s", s.err.String())
	}
	dir := filepath.Join(r.state, "jobs", said[1])
	pid, err := strconv.Atoi(said[2])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if h, err := journal.ReadHolder(dir); err == nil && h.PID == pid {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	if session, err := os.ReadFile("/proc/" + said[2] + "/stat"); err != nil || strings.Fields(string(session[strings.LastIndexByte(string(session), ')'):]))[5] != "0" {
		t.Errorf("it has a terminal: %s, %v", session, err)
	}
	if err := syscall.Kill(-shell.Process.Pid, syscall.SIGHUP); err != nil { // as a terminal does that closes
		t.Fatal(err)
	}
	if e := s.wait(); e.code == 0 {
		t.Errorf("the shell was not hung up on: %s", e.err)
	}
	if h, err := journal.ReadHolder(dir); err != nil || h.PID != pid || syscall.Kill(pid, 0) != nil {
		t.Fatalf("it did not outlive its session: %+v, %v", h, err)
	}
	if e := r.run("jobs", "attach", said[1]); e.code != 0 || !strings.Contains(e.err, "is finished") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	r.holds(files)
}

// TestHangUp proves that a child is ended that hears of no terminal, as below nohup.
func TestHangUp(t *testing.T) {
	t.Parallel()
	child := exec.Command("/bin/sh", "-c", `trap "" HUP; echo ready; exec sleep 60`)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready"))); err != nil {
		t.Fatal(err)
	}
	hangUp(child.Process)
	if err := child.Wait(); err == nil {
		t.Error("it ended by itself")
	}
}
