//go:build linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"agent/bench/platform"
	"agent/journal"
)

// ownAgent is a copy of the program, to be replaced.
func ownAgent(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bin", "agent")
	b, err := os.ReadFile(built.agent)
	if err = errors.Join(err, os.Mkdir(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

// replaceBy puts text in the place of a program as installers do: in one step.
func replaceBy(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o755), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

var largeFile = tree{}.with("large", 40<<20)

// TestReplacedWhileItRuns proves that a run goes on and ends well when another
// version takes the place of its program, and that the program's removal is no
// harm, either.
func TestReplacedWhileItRuns(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(t *testing.T, path string){
		"replaced": func(t *testing.T, path string) { replaceBy(t, path, "#!/bin/sh\nexit 99\n") },
		"removed": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "-rate", "10MB").withToken()
			self := ownAgent(t)
			p := r.startAs(exec.Command(self, "upload", "--parallel", "2", "--part-size", "5MiB", largeFile.write(t), r.dest))
			r.acked("large", 2)
			replace(t, self)
			if e := p.wait(); e.code != 0 {
				t.Errorf("exit %d\n%s", e.code, e.err)
			}
			r.eachOnce()
			r.holds(largeFile)
		})
	}
}

// TestReplacedBeforeItsChildren: a run that is replaced before it starts itself again
// in the background starts the version that is there now, and that finishes the work.
func TestReplacedBeforeItsChildren(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-rate", "10MB").withToken()
	self := ownAgent(t)
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	// It reads its settings first: from a pipe, which tells when it is there.
	pipe := filepath.Join(r.home, "config.toml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = append(r.env, "AGENT_CONFIG="+pipe)
	over := make(chan struct{})
	var served sync.WaitGroup
	served.Go(func() { servePipe(t, pipe, over, func() { replaceBy(t, self, string(b)) }) })
	t.Cleanup(func() {
		close(over)
		if f, err := os.OpenFile(pipe, os.O_RDWR|syscall.O_NONBLOCK, 0); err == nil { // for who waits for a reader
			served.Wait()
			_ = f.Close()
		}
	})

	e := r.startAs(exec.Command(self, "upload", "--detach", "--parallel", "2", "--part-size", "5MiB", largeFile.write(t), r.dest)).wait()
	said := regexp.MustCompile(`job (\S+), goes on in the background as process (\d+)`).FindStringSubmatch(e.err)
	if e.code != 0 || said == nil {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	dir := filepath.Join(r.state, "jobs", said[1])
	t.Cleanup(func() {
		if h, err := journal.ReadHolder(dir); err == nil {
			_ = syscall.Kill(h.PID, syscall.SIGKILL)
		}
	})
	if exe, err := os.Readlink("/proc/" + said[2] + "/exe"); err != nil || exe != self {
		t.Errorf("the child is %s, %v; want the version that is at %s now", exe, err, self)
	}
	if e := r.run("jobs", "attach", said[1]); e.code != 0 || !strings.Contains(e.err, "is finished") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	r.holds(largeFile)
}

// servePipe gives an empty text to whoever reads the pipe, until over; before the
// first is let go on, it calls first.
func servePipe(t *testing.T, path string, over <-chan struct{}, first func()) {
	for n := 0; ; n++ {
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for a reader
		if err != nil {
			t.Error(err)
			return
		}
		select {
		case <-over:
			_ = f.Close()
			return
		default:
		}
		if n == 0 {
			first()
		}
		_ = f.Close()
	}
}

// TestScheduleOutlivesAnUpgrade: what is scheduled through a link, as Homebrew and
// others keep one to the version at hand, is called by that link.
func TestScheduleOutlivesAnUpgrade(t *testing.T) {
	t.Parallel()
	r := newRig(t).withToken()
	self := ownAgent(t)
	bin := filepath.Join(t.TempDir(), "links")
	link := filepath.Join(bin, "agent")
	if err := errors.Join(os.Mkdir(bin, 0o755), os.Symlink(self, link)); err != nil {
		t.Fatal(err)
	}
	dir := largeFile.write(t)
	script := filepath.Join(r.state, "schedules", "nightly.sbatch")
	for name, c := range map[string]struct {
		path    string
		command *exec.Cmd
		want    string
	}{
		"by the link":         {"", exec.Command(link), link},
		"by its name alone":   {bin, exec.Command("sh", "-c", `exec agent "$@"`, "sh"), link},
		"by its own path":     {bin, exec.Command(self), self},
		"by a name that lies": {bin, &exec.Cmd{Path: self, Args: []string{"/bin/true"}}, self},
	} {
		cmd := c.command
		cmd.Args = append(cmd.Args, "schedule", "install", "nightly", "--yes", "--slurm", "--", "upload", dir, r.dest)
		cmd.Env = r.env
		if c.path != "" {
			cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "PATH="+c.path+":"+os.Getenv("PATH"))
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
			continue
		}
		text, err := os.ReadFile(script)
		if err != nil || !strings.Contains(string(text), c.want+" upload ") {
			t.Errorf("%s: no %s upload in\n%s %v", name, c.want, text, err)
		}
	}
}

// TestMakeInstall installs over a program that runs: that goes on, the next one is
// the new version, and nothing else is left.
func TestMakeInstall(t *testing.T) {
	t.Parallel()
	root, err := platform.Root()
	if err != nil {
		t.Fatal(err)
	}
	prefix := t.TempDir()
	self := filepath.Join(prefix, "bin", "agent")
	install := func(version string) {
		t.Helper()
		cmd := exec.Command("make", "-C", root, "install", "AGENT="+filepath.Join(prefix, "built"), "PREFIX="+prefix, "VERSION="+version)
		cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKEOVERRIDES=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if out, err := exec.Command(self, "--version").Output(); err != nil || !strings.HasPrefix(string(out), "agent "+version) {
			t.Errorf("%q, %v; want %s", out, err, version)
		}
	}
	install("v1.0.0")
	r := newRig(t, "-rate", "10MB").withToken()
	p := r.startAs(exec.Command(self, "upload", "--parallel", "2", "--part-size", "5MiB", largeFile.write(t), r.dest))
	r.acked("large", 2)
	install("v2.0.0")
	if e := p.wait(); e.code != 0 {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	r.eachOnce()
	r.holds(largeFile)
	if entries, err := os.ReadDir(filepath.Dir(self)); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestUninstallLeavesPackages: what a package manager has installed is named with
// its command, and not removed, also where it was asked for.
func TestUninstallLeavesPackages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	root := t.TempDir()
	for _, c := range []struct{ at, beside, want string }{
		{"opt/Cellar/agent/1.2.3/bin/agent", "", "brew uninstall agent"},
		{"env/bin/agent", "env/conda-meta/agent-1.2.3-0.json", "conda remove agent"},
		{"env2/bin/agent", "env2/conda-meta/agents-1.2.3-0.json", ""},
		{"home/.local/bin/agent", "", ""},
	} {
		path := filepath.Join(root, filepath.FromSlash(c.at))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Link(ownAgent(t), path)); err != nil {
			t.Fatal(err)
		}
		if c.beside != "" {
			note := filepath.Join(root, filepath.FromSlash(c.beside))
			if err := errors.Join(os.MkdirAll(filepath.Dir(note), 0o755), os.WriteFile(note, nil, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		e := r.startAs(exec.Command(path, "uninstall", "--binary", "--yes")).wait()
		_, err := os.Stat(path)
		if gone := err != nil; e.code != 0 || gone != (c.want == "") || !strings.Contains(e.err, c.want) {
			t.Errorf("%s: exit %d, %v\n%s", c.at, e.code, err, e.err)
		}
	}
}

// TestUninstallAsksThePackageManager: for a program in /usr/bin the system's own
// databases are asked.
func TestUninstallAsksThePackageManager(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if got := packaged(t.Context(), "/usr/bin/agent"); got != "" {
		t.Errorf("without any: %q", got)
	}
	for _, c := range []struct{ tool, script, want string }{
		{"rpm", `[ "$*" = "--query --queryformat %{NAME}:  --file /usr/bin/agent" ] && printf 'agent: '`, "sudo dnf remove agent"},
		{"dpkg-query", `[ "$*" = "--search /usr/bin/agent" ] && echo "agent: /usr/bin/agent"`, "sudo apt remove agent"},
	} {
		if err := os.WriteFile(filepath.Join(bin, c.tool), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := packaged(t.Context(), "/usr/bin/agent"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		if got := packaged(t.Context(), "/usr/local/bin/agent"); got != "" {
			t.Errorf("another folder: %q", got)
		}
	}
}
