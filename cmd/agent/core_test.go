//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asNobody has cmd run as a user without rights, where that can be chosen.
func asNobody(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// openFolder is a folder that another user can use, with a copy of the agent in it.
func openFolder(t *testing.T) (dir, agent string) {
	t.Helper()
	dir = t.TempDir()
	agent = filepath.Join(dir, "agent")
	text, err := os.ReadFile(built.agent)
	if err == nil {
		err = os.WriteFile(agent, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	chmod(t, agent, 0o755)
	chmod(t, filepath.Dir(dir), 0o711)
	chmod(t, dir, 0o777)
	return dir, agent
}

// TestNoCoreDumps proves of a running upload, by a user without rights, that it
// is not dumpable and leaves no core: not even where the limit is lifted by
// whoever started it, and it dies in the way that asks for one.
func TestNoCoreDumps(t *testing.T) {
	t.Parallel()
	asRoot(t)
	r := newRig(t, "-rate", "1MB").withToken()
	dir, agent := openFolder(t)
	data := tree{}.with("large", 12<<20).write(t)
	chmod(t, filepath.Dir(filepath.Dir(data)), 0o711)
	chmod(t, filepath.Dir(data), 0o755)
	chmod(t, data, 0o755)
	chmod(t, filepath.Join(data, "large"), 0o644)
	r.env = append(r.env, "HOME="+dir, "TMPDIR="+dir, "AGENT_STATE_DIR="+filepath.Join(dir, "state"), "GOTRACEBACK=crash")
	run := func(script string, args ...string) *proc {
		cmd := exec.Command("sh", append([]string{"-c", "ulimit -c unlimited; " + script, agent}, args...)...)
		cmd.Dir = dir
		asNobody(cmd)
		return r.startAs(cmd)
	}
	p := run(`exec "$0" "$@"`, "upload", "--part-size", "5MiB", data, r.dest)
	until(t, "a part under way", func() bool { return p.err.String() != "" || !p.running() })
	m := r.mark()
	until(t, "a request", func() bool { return len(r.requests(0)) > 0 || !p.running() })
	proc := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	if fi, err := os.Stat(proc + "environ"); err != nil || fi.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("others of its user can look into it: %v", err)
	}
	if status, err := os.ReadFile(proc + "status"); err != nil || !strings.Contains(string(status), fmt.Sprintf("Uid:\t%d\t", nobody)) {
		t.Errorf("it does not run as nobody: %v\n%s", err, status)
	}
	limits, err := os.ReadFile(proc + "limits")
	if err != nil || !strings.Contains(string(limits), "Max core file size        0                    0") {
		t.Errorf("the limit: %v\n%s", err, limits)
	}
	p.signal(syscall.SIGABRT)
	e := p.wait()
	state := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !state.Signaled() || state.CoreDump() {
		t.Errorf("it ended with %v, core dumped: %v\n%s", p.cmd.ProcessState, state.CoreDump(), e.err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "core*"))
	if err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	r.tell(m)
	// What it starts is as it would be without it: the limit is lifted here only
	// to see that this machine would write one at all.
	if other := run("kill -ABRT $$"); other.wait().code != -1 {
		t.Error("the shell did not die")
	} else if !other.cmd.ProcessState.Sys().(syscall.WaitStatus).CoreDump() {
		t.Log("this machine writes no core dumps at all")
	}
}
