//go:build linux

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nobody is a user of the machine who means ill.
const nobody = 65534

// asRoot skips what only root can prepare.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make what belongs to somebody else")
	}
}

// public is a folder such as /tmp.
func public(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tmp")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777|fs.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// precious is a file of the user that somebody else wants to have overwritten.
func precious(t *testing.T, dir string) (path string, check func(after string)) {
	t.Helper()
	path = filepath.Join(dir, "precious")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func(after string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
			t.Errorf("after %s it holds %.80q, %v", after, b, err)
		}
	}
}

// chown gives a path, and not where it leads, to nobody.
func chown(t *testing.T, path string) {
	t.Helper()
	if err := os.Lchown(path, nobody, nobody); err != nil {
		t.Fatal(err)
	}
}

// TestPreparedState proves that a state folder, or one of those within it, that
// somebody else made first, or can write to, is refused by every command that
// would believe what is in it, and that nothing is written there.
func TestPreparedState(t *testing.T) {
	t.Parallel()
	asRoot(t)
	r := newRig(t).withToken()
	dir := tree{}.with("f", 1).write(t)
	for name, prepare := range map[string]func(state string){
		"another's folder": func(state string) { mkdirs(t, state, 0o777); chown(t, state) },
		"another's link":   func(state string) { mkdirs(t, state+"-to", 0o700); symlink(t, state+"-to", state); chown(t, state) },
		"another's jobs":   func(state string) { mkdirs(t, state, 0o777, "jobs"); chown(t, filepath.Join(state, "jobs")) },
		"open jobs":        func(state string) { mkdirs(t, state, 0o777, "jobs"); chmod(t, filepath.Join(state, "jobs"), 0o777) },
		"another's logins": func(state string) { mkdirs(t, state, 0o777, "logins"); chown(t, filepath.Join(state, "logins")) },
		"another's pastes": func(state string) { mkdirs(t, state, 0o777, "creds"); chown(t, filepath.Join(state, "creds")) },
		"jobs of a link": func(state string) {
			mkdirs(t, state, 0o777)
			mkdirs(t, state+"-jobs", 0o700)
			symlink(t, state+"-jobs", filepath.Join(state, "jobs"))
			chown(t, filepath.Join(state, "jobs"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			state := filepath.Join(public(t), "state")
			prepare(state)
			before := listing(t, filepath.Dir(state))
			for _, args := range [][]string{
				{"upload", dir, r.dest}, {"upload", "--detach", dir, r.dest}, {"jobs", "list"}, {"jobs", "resume", "--all"}, {"ls", r.dest},
				{"creds", "paste", r.sb.Workspace()}, {"login", r.sb.Workspace(), "--key-file", "-"}, {"download", r.dest, filepath.Join(r.home, "to")},
			} {
				e := r.run(append(args, "--state-dir", state)...)
				if e.code != 8 || !strings.Contains(e.err, "belongs to somebody else") && !strings.Contains(e.err, "others can write to it") ||
					!strings.Contains(e.err, "--state-dir") && !strings.Contains(e.err, "chmod 700") {
					t.Errorf("%q: exit %d\n%s", args, e.code, e.err)
				}
			}
			if e := r.run("doctor", r.dest, "--state-dir", state); e.code == 0 || !strings.Contains(e.out+e.err, state) {
				t.Errorf("doctor: exit %d\n%s%s", e.code, e.out, e.err)
			}
			if after := listing(t, filepath.Dir(state)); after != before {
				t.Errorf("before\n%safter\n%s", before, after)
			}
		})
	}
	if n := len(stored(r.requests(0), "PutObject")); n != 0 {
		t.Errorf("%d objects were stored", n)
	}
}

// A state folder in one that is loose, as volumes of containers are, is good: it is
// made for its user only.
func TestStateInASharedFolder(t *testing.T) {
	t.Parallel()
	r := newRig(t).withToken()
	dir := tree{}.with("f", 1).write(t)
	for _, state := range []string{public(t), filepath.Join(public(t), "agent")} {
		r.upload(0, "--state-dir", state, dir)
		r.upload(0, "--state-dir", state, dir)
		modes(t, filepath.Join(state, "jobs"))
		// Kubernetes gives all of a volume to a group, whenever it is mounted (fsGroup).
		err := filepath.WalkDir(state, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() {
				return errors.Join(err, os.Chmod(path, 0o660))
			}
			return os.Chmod(path, 0o770|fs.ModeSetgid)
		})
		if err != nil {
			t.Fatal(err)
		}
		r.upload(0, "--state-dir", state, dir)
	}
}

func mkdirs(t *testing.T, dir string, mode fs.FileMode, inner ...string) {
	t.Helper()
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
		t.Fatal(err)
	}
	for _, name := range inner {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func symlink(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// listing is all that is below dir.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		b.WriteString(path + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// modes checks that dir and all below it is for this user only.
func modes(t *testing.T, dir string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := os.Lstat(path)
		if err != nil {
			return err
		}
		n++
		want := fs.FileMode(0o600)
		if fi.IsDir() {
			want = 0o700
		}
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, fi.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil || n < 2 {
		t.Errorf("%s: %d files, %v", dir, n, err)
	}
}

// TestTrapsInAJob proves that links and second names that lie in a job's folder
// under the names of what a run writes there are not written through.
func TestTrapsInAJob(t *testing.T) {
	t.Parallel()
	r := newRig(t).withToken()
	dir := tree{}.with("large", 6<<20).write(t)
	r.upload(0, dir)
	job := theJob(t, r.state)
	victim, intact := precious(t, r.home)
	for _, plant := range []func(old, path string) error{os.Symlink, os.Link} {
		for _, name := range []string{"run.json.tmp", "job.json.tmp", "last.json.tmp", "run.json", "job.json", "last.json", "output", "journal.db.new"} {
			path := filepath.Join(job, name)
			_ = os.Remove(path)
			if err := plant(victim, path); err != nil {
				t.Fatal(err)
			}
			r.upload(0, "--restart", dir)
			intact(name)
		}
		path := filepath.Join(job, "output")
		_ = os.Remove(path)
		if err := plant(victim, path); err != nil {
			t.Fatal(err)
		}
		r.upload(0, "--detach", dir)
		intact("output of a detached run")
	}
	asRoot(t)
	path := filepath.Join(job, "journal.db")
	if err := os.Rename(path, path+"-away"); err != nil {
		t.Fatal(err)
	}
	symlink(t, victim, path)
	if e := r.upload(8, dir); !strings.Contains(e.err, "journal.db is no regular file") {
		t.Errorf("%s", e.err)
	}
	intact("journal.db")
}

// theJob is the folder of the one job that there is.
func theJob(t *testing.T, state string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(state, "jobs", "*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return found[0]
}

// TestTrapsInTmp proves that what runs are told to write in a folder that is
// everybody's goes through no link and into no file that somebody else put there.
func TestTrapsInTmp(t *testing.T) {
	t.Parallel()
	asRoot(t)
	r := newRig(t).withToken()
	dir := tree{}.with("f", 1).write(t)
	tmp := public(t)
	victim, intact := precious(t, filepath.Dir(tmp))
	for name, plant := range map[string]func(path string){
		"link":        func(path string) { symlink(t, victim, path); chown(t, path) },
		"second name": func(path string) { _ = os.Link(victim, path) },
		"their file":  func(path string) { _ = os.WriteFile(path, nil, 0o666); chown(t, path) },
	} {
		for flag, code := range map[string]int{"--log-file": 8, "--summary": 0, "--status-file": 0, "--manifest": 0} {
			path := filepath.Join(tmp, strings.ReplaceAll(name, " ", "-")+flag)
			plant(path)
			e := r.upload(code, flag, path, dir)
			intact(name + " " + flag)
			refused := strings.Contains(e.err, "belongs to somebody else") || strings.Contains(e.err, "has other names")
			fi, err := os.Lstat(path)
			switch {
			case err != nil:
				t.Error(err)
			case flag == "--status-file" || flag == "--manifest": // put in its place, whole
				if !fi.Mode().IsRegular() || fi.Size() == 0 || refused {
					t.Errorf("%s %s: %v\n%s", name, flag, fi.Mode(), e.err)
				}
			case !refused:
				t.Errorf("%s %s: it does not say so\n%s", name, flag, e.err)
			}
		}
	}
}

// TestTrapsAtTheTarget proves that a download replaces what has the name of one
// of its files, and never writes through it, nor into what lies where it keeps
// what is half fetched.
func TestTrapsAtTheTarget(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 24<<20)
	r := newRig(t).withToken()
	r.fill(files)
	l := &link{rate: 8 << 20}
	r.through(l.handler)
	for name, plant := range map[string]func(victim, path string) error{"link": os.Symlink, "second name": os.Link} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "to")
			args := []string{"download", "--parallel", "2", "--part-size", "2MiB", r.dest, to}
			p, goal := r.start(args...), l.came.Load()+8<<20
			until(t, "ranges", func() bool { return l.came.Load() >= goal || !p.running() })
			p.signal(os.Kill)
			p.wait()
			found, err := filepath.Glob(filepath.Join(to, ".large*"))
			if err != nil || len(found) != 1 {
				t.Fatal(found, err)
			}
			part := found[0]
			// Within the target: out of it no link leads anyway.
			victim, intact := precious(t, to)
			if err := errors.Join(os.Remove(part), plant(victim, part), plant(victim, filepath.Join(to, "large"))); err != nil {
				t.Fatal(err)
			}
			e := r.run(append(args, "--existing", "replace")...)
			intact("a download")
			if b, err := os.ReadFile(filepath.Join(to, "large")); e.code != 0 || err != nil || string(b) != string(files["large"]) {
				t.Errorf("exit %d, %v\n%s", e.code, err, e.err)
			}
		})
	}
}
