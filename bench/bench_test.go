package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agent/bench/platform"
)

// TestBench proves that the benchmark as a whole works: every contest, with the
// agent, the limits and the sandbox, on a thousandth of its data. Its figures mean nothing.
func TestBench(t *testing.T) {
	root, err := platform.Root()
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := platform.Build(context.Background(), root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text := benched(t, "-alone", "-rounds", "1", "-scale", "0.001", "-sandbox", sandbox)
	for _, c := range contests {
		_, section, ok := strings.Cut(text, "\n`-only "+c.name+"`")
		if !ok {
			t.Fatalf("no section of %s in\n%s", c.name, text)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		there, _ := (&field{agent: built, alone: true}).present(context.Background(), c)
		for _, r := range there {
			if !strings.Contains(section, "\n| "+r.name+" |") {
				t.Errorf("%s: no line for %s in\n%s", c.name, r.name, section)
			}
		}
	}
}

// TestBenchPeers proves that those of the other clients that are here can take
// part, over https and http.
func TestBenchPeers(t *testing.T) {
	text := benched(t, "-only", "small,large-http", "-rounds", "1", "-scale", "0.001")
	f := field{agent: built}
	for _, r := range peers {
		if _, err := f.find(r.program); err == nil && !strings.Contains(text, "\n| "+r.name+" |") {
			t.Errorf("no line for %s in\n%s", r.name, text)
		}
	}
}

// TestKnows proves that flags are told apart which no help mentions.
func TestKnows(t *testing.T) {
	f := field{agent: built}
	if !f.knows(t.Context(), "--quiet") || f.knows(t.Context(), "--no-such-flag") {
		t.Error("--quiet is not known, or --no-such-flag is")
	}
}

// TestFind proves that peers built for the benchmark go before those of PATH, and
// that shims are passed by.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, name := range []string{"shims", "first", "second"} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "client.exe"), nil, 0o700); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	t.Setenv("PATH", strings.Join(paths, string(filepath.ListSeparator)))
	for peers, want := range map[string]string{"": paths[1], paths[2]: paths[2], dir: paths[1]} {
		f := field{peers: peers}
		if got, err := f.find("client.exe"); err != nil || got != filepath.Join(want, "client.exe") {
			t.Errorf("with %q: %s, %v", peers, got, err)
		}
	}
	if _, err := (&field{}).find("nobody.exe"); err == nil {
		t.Error("nobody was found")
	}
}

// benched is the report of a run of the benchmark.
func benched(t *testing.T, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	var out, errs bytes.Buffer
	code := run(append([]string{"-agent", built, "-dir", t.TempDir(), "-out", file}, args...), &out, &errs)
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile(filepath.Join(filepath.Dir(file), chartName))
	if err != nil {
		t.Fatal(err)
	}
	checkChart(t, string(picture))
	return string(text)
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want spread
	}{
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{3, 1, 2}, spread{1, 2, 3}},
		{[]float64{4, 1, 2, 3}, spread{1, 2.5, 4}},
	} {
		if got := spreadOf(c.in); got != c.want {
			t.Errorf("spreadOf(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

// TestUsage proves that a mistake is told before files are made.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-only", "nothing"}, {"-rounds", "0"}, {"-scale", "0"}, {"word"}, {"-agent", "/nowhere"}, {"-agent", built, "-sandbox", "/nowhere"}} {
		var out, errs bytes.Buffer
		if code := run(args, &out, &errs); code != 1 || errs.Len() == 0 {
			t.Errorf("%v: exit %d, it says %q", args, code, errs.String())
		}
	}
}
