package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// testTimeout ends a test that a mutant leaves waiting. That counts as an error:
// a test has to say what is wrong.
const testTimeout = "15m"

// runner runs tests of the repository at root.
type runner struct {
	root  string
	dir   string // for the overlays
	flags string // GOFLAGS as they are without us
}

func newRunner(ctx context.Context, root, dir string) (*runner, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOFLAGS")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOFLAGS: %w", err)
	}
	return &runner{root: root, dir: dir, flags: strings.TrimSpace(string(out))}, nil
}

// place is where a mutant is shown to its test.
type place struct {
	dir     string // of the go command: the repository, or a copy of it
	overlay string // as go build takes it; "" for none
}

// place makes one for a mutant. The working tree stays as it is: what go builds
// is laid over it, and where other files are changed, which tests read by
// themselves, all that git knows of is copied.
func (r *runner) place(ctx context.Context, m *mutant) (place, error) {
	texts, err := m.mutate(func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(r.root, name)) })
	if err != nil {
		return place{}, err
	}
	for name := range texts {
		if filepath.Ext(name) != ".go" {
			return r.copied(ctx, texts)
		}
	}
	replace := map[string]string{}
	for name, text := range texts {
		to := filepath.Join(r.dir, strings.ReplaceAll(name, "/", "+"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return place{}, err
		}
		replace[filepath.Join(r.root, filepath.FromSlash(name))] = to
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return place{}, err
	}
	path := filepath.Join(r.dir, "overlay.json")
	return place{r.root, path}, os.WriteFile(path, list, 0o600)
}

// copied is a copy of the working tree with some texts changed.
func (r *runner) copied(ctx context.Context, texts map[string]string) (place, error) {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z")
	cmd.Dir = r.root
	out, err := cmd.Output()
	if err != nil {
		return place{}, fmt.Errorf("git ls-files: %w", err)
	}
	at := place{dir: filepath.Join(r.dir, "copy")}
	if err := os.RemoveAll(at.dir); err != nil {
		return place{}, err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if err := r.copyFile(at.dir, name, texts); err != nil {
			return place{}, err
		}
	}
	return at, nil
}

func (r *runner) copyFile(dir, name string, texts map[string]string) error {
	from, to := filepath.Join(r.root, filepath.FromSlash(name)), filepath.Join(dir, filepath.FromSlash(name))
	fi, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is removed, and nobody has told git
	}
	if err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if text, changed := texts[name]; changed {
		b = []byte(text)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, b, fi.Mode().Perm())
}

// test runs tests of a package in a place, and returns what go test says. An overlay
// goes by the environment, so that a go build within a test sees it too.
func (r *runner) test(ctx context.Context, at place, pkg, tags, pattern string) (out string, passed bool, _ error) {
	args := []string{"test", "-count=1", "-vet=off", "-v", "-fullpath", "-timeout", testTimeout, "-run", pattern}
	if tags != "" {
		args = append(args, "-tags", tags)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...) //nolint:gosec // the table says which
	cmd.Dir = at.dir
	flags := r.flags
	if at.overlay != "" {
		flags = strings.TrimSpace(flags + " -overlay=" + at.overlay)
	}
	cmd.Env = append(os.Environ(), "GOFLAGS="+flags)
	b, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", false, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", false, err
	}
	return string(b), err == nil, nil
}

// pattern is what -run takes for a test, and for one below it.
func pattern(test string) string {
	return "^" + strings.Join(strings.Split(regexp.QuoteMeta(test), "/"), "$/^") + "$"
}

// run shows one mutant to its test.
func (r *runner) run(ctx context.Context, m *mutant) (outcome, string, error) {
	at, err := r.place(ctx, m)
	if err != nil {
		return outcome{}, "", err
	}
	out, passed, err := r.test(ctx, at, m.Package, m.Tags, pattern(m.Test))
	if err != nil {
		return outcome{}, "", err
	}
	return judge(m, out, passed, sourceLine), out, nil
}

// split takes the last part from a test's name; parent is "" where there is no other.
func split(test string) (parent, name string) {
	i := strings.LastIndexByte(test, '/')
	return test[:max(0, i)], test[i+1:]
}

// baseline runs the tests of all mutants without any, several at a time where
// they are of one package, and returns what does not pass.
func (r *runner) baseline(ctx context.Context, all []mutant) (bad []string, _ error) {
	type group struct{ pkg, tags, parent string }
	groups := map[group][]string{}
	var order []group
	seen := map[string]bool{}
	for i := range all {
		m := &all[i]
		parent, name := split(m.Test)
		g := group{m.Package, m.Tags, parent}
		if id := m.Package + " " + m.Test; seen[id] {
			continue
		} else {
			seen[id] = true
		}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], name)
	}
	for _, g := range order {
		p := "^(" + strings.Join(groups[g], "|") + ")$"
		prefix := ""
		if g.parent != "" {
			p, prefix = pattern(g.parent)+"/"+p, g.parent+"/"
		}
		out, _, err := r.test(ctx, place{dir: r.root}, g.pkg, g.tags, p)
		if err != nil {
			return nil, err
		}
		for _, name := range groups[g] {
			if !strings.Contains(out, "--- PASS: "+prefix+name+" ") {
				bad = append(bad, g.pkg+" "+prefix+name)
			}
		}
		if len(bad) > 0 {
			bad = append(bad, out)
			return bad, nil
		}
	}
	return nil, nil
}
