//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRmAsks proves that nothing is deleted unless the answer was yes, and all
// of a workspace only when its name is typed, also under --yes.
func TestRmAsks(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-role", "full").withToken()
	files := tree{}.with("a", 10).with("b/c", 20)
	r.upload(0, files.write(t))
	for _, c := range []struct {
		args   []string
		asks   string
		types  string
		code   int
		remain int
	}{
		{[]string{"-r", r.dest}, "Delete them? [y/N]", "n\n", 1, 2},
		{[]string{"-r", r.dest}, "Delete them? [y/N]", "\n", 1, 2},
		{[]string{"-r", r.dest}, "Delete them? [y/N]", "\x03", 130, 2},
		{[]string{"-r", "-y", r.sb.Workspace()}, "That is ALL of " + r.sb.Workspace(), "yes\n", 1, 2},
		{[]string{"-r", "-y", "s3://" + r.sb.Bucket()}, "That is ALL of " + r.sb.Bucket(), r.sb.Workspace() + "\n", 1, 2},
		{[]string{r.dest + "/a"}, "Delete them? [y/N]", "y\n", 0, 1},
		{[]string{"-r", "-y", r.sb.Workspace()}, "To delete it, type its name:", r.sb.Workspace() + "\n", 0, 0},
	} {
		s := r.onScreen(r.command(append([]string{"rm"}, c.args...)...))
		s.says(c.asks)
		s.types(c.types)
		e := s.wait()
		if got := len(r.objects()); e.code != c.code || got != c.remain {
			t.Errorf("rm %q, %q: exit %d, %d objects remain\n%s", c.args, c.types, e.code, got, e.err)
		}
		if c.code == 1 && !strings.Contains(e.err, "nothing was deleted") {
			t.Errorf("it says\n%s", e.err)
		}
	}
}

// TestUninstallAsks proves that jobs, without which nothing can be resumed, are removed
// only after a yes.
func TestUninstallAsks(t *testing.T) {
	t.Parallel()
	r := newRig(t).withToken()
	r.upload(0, tree{}.with("a", 10).write(t))
	jobs := func() int {
		entries, err := os.ReadDir(filepath.Join(r.state, "jobs"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	for types, code := range map[string]int{"n\n": 1, "\n": 1, "yy\n": 1, "\x03": 130} {
		s := r.onScreen(r.command("uninstall", "--state"))
		s.says("Remove them? [y/N]")
		s.types(types)
		if e := s.wait(); e.code != code || jobs() != 1 || code == 1 && !strings.Contains(e.err, "nothing was removed") {
			t.Errorf("%q: exit %d, %d jobs\n%s", types, e.code, jobs(), e.err)
		}
	}
}

// TestRmUnfinished proves that an unfinished upload does not believe that what
// was deleted meanwhile is there.
func TestRmUnfinished(t *testing.T) {
	t.Parallel()
	files := tree{}.with("a", 100).with("b", 200).with("large", 30<<20)
	dir := files.write(t)
	r := newRig(t, "-rate", "10MB").withToken()
	args := []string{"--parallel", "2", "--part-size", "5MiB"}
	r.killMidway(dir, args...)
	if e := r.run("rm", "-r", "-y", r.dest); e.code != 0 {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	r.upload(0, append(args, dir)...)
	r.holds(files)
}
