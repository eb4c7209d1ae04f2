//go:build linux

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestUmask proves that what is kept is for its user only whatever the umask, and
// that what is for others follows it.
func TestUmask(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 6<<20).with("d/f", 10)
	dir := files.write(t)
	for mask, want := range map[string]struct{ file, dir, open fs.FileMode }{
		"000": {0o666, 0o777, 0o644}, "077": {0o600, 0o700, 0o600}, "027": {0o640, 0o750, 0o640},
	} {
		t.Run(mask, func(t *testing.T) {
			r := newRig(t)
			r.login(r.sb.Env["AGENT_SANDBOX_API"])
			if err := os.RemoveAll(r.state); err != nil {
				t.Fatal(err)
			}
			masked := func(stdin string, args ...string) {
				cmd := exec.Command("sh", append([]string{"-c", "umask " + mask + `; exec "$0" "$@"`, built.agent}, args...)...)
				cmd.Stdin = strings.NewReader(stdin)
				if e := r.startAs(cmd).wait(); e.code != 0 {
					t.Fatalf("%q: exit %d\n%s", args, e.code, e.err)
				}
			}
			at := func(name string) string { return filepath.Join(r.home, name) }
			masked("", "login", r.sb.Workspace(), "--key-file", at("key"))
			masked(pageText(r.token()), "creds", "paste", r.sb.Workspace())
			masked("", "upload", "--part-size", "5MiB", "--log-file", at("logs/log"), "--summary", at("summary"), "--status-file", at("status"), dir, r.dest)
			masked("", "upload", "--detach", dir, r.dest)
			masked("", "upload", "--detach", dir, r.dest+"/2")
			masked("", "download", r.dest, at("fetched"))
			masked("", "doctor", "--yes", "--bundle", at("bundle.tar.gz"))
			modes(t, r.state)
			modes(t, at("logs"))
			for path, want := range map[string]fs.FileMode{
				"fetched": want.dir, "fetched/d": want.dir, "fetched/d/f": want.file, "fetched/large": want.file,
				"summary": want.open, "status": 0o644, "bundle.tar.gz": 0o600,
			} {
				if fi, err := os.Stat(at(path)); err != nil || fi.Mode().Perm() != want {
					t.Errorf("%s has mode %v, want %o: %v", path, fi.Mode(), want, err)
				}
			}
		})
	}
}

// TestNoHome proves that without a home nothing is kept somewhere else: what is
// lacking is named, and with it all works.
func TestNoHome(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 6<<20).with("f", 10)
	dir := files.write(t)
	r := newRig(t).withToken()
	state := r.state
	r.env = without(r.env, "HOME", "AGENT_STATE_DIR")
	cwd := t.TempDir()
	in := func(args ...string) ended {
		cmd := r.command(args...)
		cmd.Dir = cwd
		return r.startAs(cmd).wait()
	}
	if e := in("upload", dir, r.dest); e.code != 2 || !strings.Contains(e.err, "there is no place to remember jobs") || !strings.Contains(e.err, "--state-dir DIR, or AGENT_STATE_DIR") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	r.env = append(r.env, "AGENT_STATE_DIR="+state)
	for _, args := range [][]string{{"upload", dir, r.dest}, {"verify", dir, r.dest}, {"jobs", "list"}, {"creds", "show", r.dest}, {"ls", r.dest}} {
		if e := in(args...); e.code != 0 {
			t.Errorf("%q: exit %d\n%s", args, e.code, e.err)
		}
	}
	if left, err := os.ReadDir(cwd); err != nil || len(left) > 0 {
		t.Errorf("left in the working folder: %v, %v", left, err)
	}
	r.holds(files)
}

// TestNobodyUploads proves that it needs no rights: all works for a user who has
// none, in folders of his own.
func TestNobodyUploads(t *testing.T) {
	t.Parallel()
	asRoot(t)
	r := newRig(t).withToken()
	dir, agent := openFolder(t)
	r.env = append(r.env, "HOME="+dir, "TMPDIR="+dir, "AGENT_STATE_DIR="+filepath.Join(dir, "state"))
	files := tree{}.with("large", 6<<20).with("f", 10)
	r.fill(files)
	for _, args := range [][]string{
		{"download", r.dest, filepath.Join(dir, "data")}, {"upload", "--part-size", "5MiB", filepath.Join(dir, "data"), r.dest + "/again"},
		{"upload", "--detach", filepath.Join(dir, "data"), r.dest + "/detached"}, {"verify", filepath.Join(dir, "data"), r.dest + "/again"}, {"doctor", r.dest},
	} {
		cmd := exec.Command(agent, args...)
		cmd.Dir = dir
		asNobody(cmd)
		if e := r.startAs(cmd).wait(); e.code != 0 {
			t.Errorf("%q: exit %d\n%s%s", args, e.code, e.out, e.err)
		}
	}
	files.isIn(t, filepath.Join(dir, "data"))
}

// readOnly runs a script in which everything is read-only but what it mounts
// itself before, as in a container of that kind: $0 is the agent.
func (r *rig) readOnly(before, script string, args ...string) ended {
	r.t.Helper()
	cmd := exec.Command("sh", append([]string{"-ec", before + `
		for at in $(awk '{print $5}' /proc/self/mountinfo | grep -v -e ^/proc -e ^/sys -e ^/dev -e "^${WRITABLE:-/none}"); do
			mount -o remount,bind,ro "$at" || true
		done
		if touch "$HOME/probe" 2>/dev/null; then echo "it is not read-only"; exit 99; fi
		` + script, built.agent}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return r.startAs(cmd).wait()
}

// TestReadOnlyRoot proves that in a container with a read-only root nothing but
// the state folder is needed, that where that can't be written either the user
// is told what to do before anything is sent, and that what keeps no job works
// all the same.
func TestReadOnlyRoot(t *testing.T) {
	t.Parallel()
	asRoot(t)
	files := tree{}.with("large", 6<<20).with("f", 10)
	dir := files.write(t)
	r := newRig(t).withToken()
	if err := os.MkdirAll(r.state, 0o700); err != nil {
		t.Fatal(err)
	}
	volume := "mount -t tmpfs -o size=64m,mode=0777 tmpfs " + r.state + "; WRITABLE=" + r.state
	r.env = append(r.env, "HOME=/")
	if e := r.readOnly(volume, `"$0" "$@"; "$0" "$@"; "$0" jobs list`, "upload", "--part-size", "5MiB", dir, r.dest); e.code != 0 {
		t.Errorf("with a volume: exit %d\n%s%s", e.code, e.out, e.err)
	}
	r.holds(files)
	m := r.mark()
	e := r.readOnly("", `exec "$0" "$@"`, "upload", dir, r.dest+"/2")
	if e.code != 8 || !strings.Contains(e.err, "read-only file system") || !strings.Contains(e.err, "--state-dir DIR, or AGENT_STATE_DIR") {
		t.Errorf("without: exit %d\n%s", e.code, e.err)
	}
	r.sendsNothing(m)
	r.env = append(without(r.env, "AGENT_STATE_DIR"), "XDG_STATE_HOME=/proc/none", "XDG_CONFIG_HOME=/proc/none")
	if e := r.readOnly("", `exec "$0" "$@"`, "upload", dir, r.dest+"/3"); e.code != 8 || !strings.Contains(e.err, "--state-dir DIR, or AGENT_STATE_DIR") {
		t.Errorf("in a place that can't be: exit %d\n%s", e.code, e.err)
	}
	for _, args := range [][]string{{"ls", r.dest}, {"verify", dir, r.dest}, {"upload", "--dry-run", dir, r.dest}, {"creds", "show", r.dest}} {
		if e := r.readOnly("", `exec "$0" "$@"`, args...); e.code != 0 {
			t.Errorf("%q: exit %d\n%s%s", args, e.code, e.out, e.err)
		}
	}
}
