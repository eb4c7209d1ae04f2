//go:build unix

package ownfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// other is a user who is not us.
const other = 65534

// asRoot skips what only root can prepare.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make what belongs to somebody else")
	}
	t.Setenv("SUDO_UID", "")
}

// public is a folder such as /tmp, with a file in it elsewhere that is not to
// be touched.
func public(t *testing.T) (dir, victim string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "tmp")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chmod(dir, 0o777|fs.ModeSticky))
	victim = filepath.Join(t.TempDir(), "victim")
	must(t, os.WriteFile(victim, []byte("precious"), 0o600))
	return dir, victim
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func untouched(t *testing.T, victim string) {
	t.Helper()
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("the victim holds %q, %v", b, err)
	}
}

func TestAppendInASharedFolder(t *testing.T) {
	asRoot(t)
	for name, c := range map[string]struct {
		plant func(path, victim string) error
		want  error
	}{
		"nothing":  {func(string, string) error { return nil }, nil},
		"own file": {func(path, _ string) error { return os.WriteFile(path, []byte("old\n"), 0o600) }, nil},
		"link of another": {func(path, victim string) error {
			return errors.Join(os.Symlink(victim, path), os.Lchown(path, other, other))
		}, ErrForeign},
		"dangling link of another": {func(path, victim string) error {
			return errors.Join(os.Symlink(victim+"-new", path), os.Lchown(path, other, other))
		}, ErrForeign},
		"own dangling link": {func(path, victim string) error { return os.Symlink(victim+"-new", path) }, ErrLeads},
		"file of another": {func(path, _ string) error {
			return errors.Join(os.WriteFile(path, nil, 0o666), os.Lchown(path, other, other))
		}, ErrForeign},
		"second name": {func(path, victim string) error { return os.Link(victim, path) }, ErrLinked},
		"fifo of another": {func(path, _ string) error {
			return errors.Join(syscall.Mkfifo(path, 0o666), os.Lchown(path, other, other))
		}, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := public(t)
			victim := filepath.Join(filepath.Dir(dir), "victim") // on the same file system
			must(t, os.WriteFile(victim, []byte("precious"), 0o600))
			path := filepath.Join(dir, "log")
			must(t, c.plant(path, victim))
			f, err := Append(path, 0o600)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if err == nil {
				_, err = f.WriteString("new\n")
				must(t, errors.Join(err, f.Close()))
				if b, err := os.ReadFile(path); err != nil || string(b[len(b)-4:]) != "new\n" {
					t.Errorf("%q, %v", b, err)
				}
			}
			untouched(t, victim)
			if _, err := os.Lstat(victim + "-new"); err == nil {
				t.Error("a file was made at the end of a link")
			}
		})
	}
}

// Where only we can put links they are ours, and meant.
func TestAppendFollowsOwnLinks(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "to")
	must(t, os.WriteFile(to, []byte("old\n"), 0o600))
	path := filepath.Join(dir, "log")
	must(t, os.Symlink(to, path))
	f, err := Append(path, 0o600)
	must(t, err)
	_, err = f.WriteString("new\n")
	must(t, errors.Join(err, f.Close()))
	if b, err := os.ReadFile(to); err != nil || string(b) != "old\nnew\n" {
		t.Errorf("%q, %v", b, err)
	}
	shared, _ := public(t)
	must(t, os.Symlink(to, filepath.Join(shared, "log")))
	if f, err = Append(filepath.Join(shared, "log"), 0o600); err != nil {
		t.Fatalf("a link of our own in a shared folder: %v", err)
	}
	must(t, f.Close())
}

func TestFreshWritesToNothingThatIsThere(t *testing.T) {
	dir, victim := public(t)
	for name, plant := range map[string]func(path string) error{
		"nothing": func(string) error { return nil },
		"file":    func(path string) error { return os.WriteFile(path, []byte("old, and longer"), 0o666) },
		"link":    func(path string) error { return os.Symlink(victim, path) },
		"second name": func(path string) error {
			if err := os.Link(victim, path); err != nil {
				return os.Symlink(victim, path) // on another file system
			}
			return nil
		},
	} {
		path := filepath.Join(dir, name)
		must(t, plant(path))
		f, err := Fresh(path, 0o600)
		must(t, err)
		_, err = f.WriteString("new")
		must(t, errors.Join(err, f.Close()))
		fi, err := os.Lstat(path)
		must(t, err)
		if b, err := os.ReadFile(path); err != nil || string(b) != "new" || !fi.Mode().IsRegular() || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %q, %v, %v", name, b, fi.Mode(), err)
		}
		untouched(t, victim)
	}
	must(t, os.MkdirAll(filepath.Join(dir, "folder", "full"), 0o700))
	if _, err := Fresh(filepath.Join(dir, "folder"), 0o600); err == nil {
		t.Error("a folder with something in it was replaced")
	}
}

func TestHomeAndInner(t *testing.T) {
	asRoot(t)
	foreign := func(path string) error { return os.Lchown(path, other, other) }
	mkdir := func(mode fs.FileMode) func(string) error {
		return func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, mode)) }
	}
	both := func(a, b func(string) error) func(string) error {
		return func(path string) error { return errors.Join(a(path), b(path)) }
	}
	linkTo := func(owner int) func(string) error {
		return func(path string) error {
			return errors.Join(os.Mkdir(path+"-to", 0o700), os.Lchown(path+"-to", owner, owner), os.Symlink(path+"-to", path))
		}
	}
	for name, c := range map[string]struct {
		plant       func(path string) error
		home, inner error
	}{
		"nothing":                   {func(string) error { return nil }, nil, nil},
		"own":                       {mkdir(0o700), nil, nil},
		"readable":                  {mkdir(0o755), nil, nil},
		"group may write":           {mkdir(0o770), nil, nil},
		"all may write":             {mkdir(0o777), nil, ErrOpen},
		"another's":                 {both(mkdir(0o700), foreign), ErrForeign, ErrForeign},
		"own link":                  {linkTo(0), nil, nil},
		"own link to another's":     {linkTo(other), ErrForeign, ErrForeign},
		"another's link":            {both(linkTo(0), foreign), ErrForeign, ErrForeign},
		"another's link to its own": {both(linkTo(other), foreign), ErrForeign, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := public(t)
			path := filepath.Join(dir, "state")
			must(t, c.plant(path))
			for what, got := range map[string]error{"home": Home(path), "inner": Inner(path)} {
				want := map[string]error{"home": c.home, "inner": c.inner}[what]
				if !errors.Is(got, want) || (got == nil) != (want == nil) {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
			left, err := filepath.Glob(filepath.Join(path, ".whose*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// A volume that root mounted for a container may belong to whomever.
func TestHomeWhereOnlyRootPutsThings(t *testing.T) {
	asRoot(t)
	dir := filepath.Join(t.TempDir(), "volume")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Lchown(dir, other, other))
	if err := Home(dir); err != nil {
		t.Error(err)
	}
	if err := Inner(dir); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
}

// sudo may keep the home: what is there is the caller's.
func TestSudoKeepsTheHome(t *testing.T) {
	asRoot(t)
	dir, _ := public(t)
	path := filepath.Join(dir, "state")
	must(t, os.Mkdir(path, 0o700))
	must(t, os.Lchown(path, 1234, 1234))
	if err := Inner(path); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
	t.Setenv("SUDO_UID", "1234")
	if err := errors.Join(Inner(path), Home(path)); err != nil {
		t.Error(err)
	}
}

func TestToldByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := Told(path); err != nil {
		t.Error(err)
	}
	must(t, os.WriteFile(path, nil, 0o600))
	for mode, want := range map[fs.FileMode]error{0o600: nil, 0o644: nil, 0o664: nil, 0o666: ErrOpen, 0o602: ErrOpen} {
		must(t, os.Chmod(path, mode))
		if err := Told(path); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%o: %v", mode, err)
		}
	}
}
