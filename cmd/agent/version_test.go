//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"agent/bench/platform"
)

func TestEdition(t *testing.T) {
	const hash, day = "0123456789abcdef0123456789abcdef01234567", "2026-11-29T09:01:10Z"
	tree := []debug.BuildSetting{{Key: "vcs.revision", Value: hash}, {Key: "vcs.time", Value: day}}
	for name, c := range map[string]struct {
		built edition
		info  *debug.BuildInfo
		want  string
	}{
		"a release":              {edition{"v1.2.3", hash, day}, &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "agent v1.2.3 (commit 0123456789ab, 2026-11-29T09:01:10Z)"},
		"go install at a tag":    {edition{}, &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "agent v1.2.3"},
		"go build in a tree":     {edition{}, &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: tree}, "agent dev (commit 0123456789ab, 2026-11-29T09:01:10Z)"},
		"with changes":           {edition{}, &debug.BuildInfo{Settings: append(tree[:2:2], debug.BuildSetting{Key: "vcs.modified", Value: "true"})}, "agent dev-dirty (commit 0123456789ab, 2026-11-29T09:01:10Z)"},
		"what was told counts":   {edition{version: "v2", commit: "beef"}, &debug.BuildInfo{Main: debug.Module{Version: "v1"}, Settings: tree}, "agent v2 (commit beef)"},
		"nothing known":          {edition{}, nil, "agent dev"},
		"from a tarball, by tag": {edition{version: "v1.2.3"}, &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "agent v1.2.3"},
	} {
		if got := c.built.or(c.info).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestVersionOfABuild proves that the Makefile's build says version, commit and
// date, and that a copy of the same commit says the same.
func TestVersionOfABuild(t *testing.T) {
	t.Parallel()
	root, err := platform.Root()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "agent")
	make := exec.Command("make", "-C", root, "agent", "AGENT="+bin, "VERSION=v1.2.3", "COMMIT=0123456789abcdef", "SOURCE_DATE_EPOCH=1700000000")
	make.Env = append(os.Environ(), "MAKEFLAGS=")
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(bin, "--version").Output()
	if want := "agent v1.2.3 (commit 0123456789ab, 2023-11-14T22:13:20Z)\n"; err != nil || string(out) != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
	// Without being told: of the commit that is checked out.
	out, err = exec.Command("make", "-s", "-C", root, "edition").Output()
	if err != nil || !regexp.MustCompile(`^version \S+\ncommit [0-9a-f]*\ndate (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?\n$`).Match(out) {
		t.Errorf("%q, %v", out, err)
	}
	if head, err := exec.Command("git", "-C", root, "rev-parse", "HEAD").Output(); err == nil && !strings.Contains(string(out), "commit "+string(head)) {
		t.Errorf("%q is not of commit %s", out, head)
	}
}
