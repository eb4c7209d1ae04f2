package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"agent/bench/platform"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := platform.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func promised(t *testing.T) []row {
	t.Helper()
	all, err := rows(readFile(t, "docs/guarantees.md"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%d promises, %v", len(all), err)
	}
	return all
}

func loaded(t *testing.T) []mutant {
	t.Helper()
	all, err := load()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d mutants, %v", len(all), err)
	}
	return all
}

// tests are the names of all tests and fuzz targets, by package, and of scripts.
func tests(t *testing.T) map[string][]string {
	t.Helper()
	dir := root(t)
	found := map[string][]string{}
	name := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && rel != ".":
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		pkg := "./" + filepath.ToSlash(filepath.Dir(rel))
		if script, ok := strings.CutSuffix(d.Name(), ".txtar"); ok {
			pkg = strings.TrimSuffix(pkg, "/testdata/script")
			found[pkg] = append(found[pkg], "TestScripts/"+script)
		}
		if !strings.HasSuffix(d.Name(), "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			found[pkg] = append(found[pkg], m[1])
		}
		return err
	})
	if err != nil || len(found) < 10 {
		t.Fatalf("%d packages, %v", len(found), err)
	}
	return found
}

// TestPromisesHaveTests: every test that docs/guarantees.md names is there.
func TestPromisesHaveTests(t *testing.T) {
	there := tests(t)
	for _, r := range promised(t) {
		for _, name := range r.tests {
			begin, more := strings.CutSuffix(name, "…")
			found := false
			for _, names := range there {
				found = found || slices.ContainsFunc(names, func(n string) bool { return n == name || more && strings.HasPrefix(n, begin) })
			}
			if !found {
				t.Errorf("%s: there is no %s", r.name, name)
			}
		}
	}
}

// TestPromisesHaveMutants: every promise is broken at least once, by a mutant
// whose test is among those that docs/guarantees.md names for it.
func TestPromisesHaveMutants(t *testing.T) {
	there, all := tests(t), loaded(t)
	for _, r := range promised(t) {
		broken := 0
		for _, m := range all {
			if m.Promise != r.name {
				continue
			}
			broken++
			name := m.Test
			if top, _, sub := strings.Cut(name, "/"); sub && top != "TestScripts" {
				name = top
			}
			if !slices.Contains(r.tests, name) {
				t.Errorf("%s: docs/guarantees.md does not name %s for %s", m.at, name, r.name)
			}
			if !slices.Contains(there[m.Package], name) {
				t.Errorf("%s: there is no %s in %s", m.at, name, m.Package)
			}
		}
		if broken == 0 {
			t.Errorf("no mutant breaks the promise %s", r.name)
		}
	}
	for _, m := range all {
		if !slices.ContainsFunc(promised(t), func(r row) bool { return r.name == m.Promise }) {
			t.Errorf("%s: docs/guarantees.md has no promise %s", m.at, m.Promise)
		}
	}
}

// TestMutantsStillFit: the lines that mutants change are where they were, once.
func TestMutantsStillFit(t *testing.T) {
	read := func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(root(t), filepath.FromSlash(name)))
	}
	seen := map[string]string{}
	for _, m := range loaded(t) {
		texts, err := m.mutate(read)
		if err != nil {
			t.Errorf("%s: %v", m.at, err)
		}
		for name, text := range texts {
			if before, err := read(name); err != nil || string(before) == text {
				t.Errorf("%s: %s stays as it is (%v)", m.at, name, err)
			}
		}
		if at := seen[m.Promise+m.Broken]; at != "" {
			t.Errorf("%s is said as %s is", m.at, at)
		}
		seen[m.Promise+m.Broken] = m.at
	}
}

// TestPageOfMutants: docs/mutants.md has the list as it is now.
func TestPageOfMutants(t *testing.T) {
	all := loaded(t)
	inOrder(all, promised(t))
	page := readFile(t, "docs/mutants.md")
	if !strings.HasPrefix(page, pageHead) || !strings.HasSuffix(page, list(all)) {
		t.Error("docs/mutants.md is of other mutants: run make mutants")
	}
}

const sample = `
== sure: it is broken
test: ./p TestX/sub
says: so
file: a.go
 keep
-	old
+new

-other
+	more
+	lines

== sure: again
test: ./p TestY
tags: long
says: no
file: b.go
-x
`

func TestParse(t *testing.T) {
	all, err := parse("t", sample)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	m := &all[0]
	if m.Promise != "sure" || m.Broken != "it is broken" || m.Package != "./p" || m.Test != "TestX/sub" || m.Says != "so" || len(m.Changes) != 2 || all[1].Tags != "long" {
		t.Errorf("%+v", all)
	}
	texts, err := m.mutate(func(string) ([]byte, error) { return []byte("\tkeep\n\t old\nkeep\n\tother\nend\n"), nil })
	if want := "keep\nnew\nkeep\nmore\nlines\nend\n"; err != nil || texts["a.go"] != want {
		t.Errorf("%q, %v; want %q", texts["a.go"], err, want)
	}
	for name, text := range map[string]string{
		"twice": "keep\nold\nkeep\nold\nother\n", "gone": "keep\nolder\nother\n", "apart": "keep\n\nold\nother\n",
	} {
		if _, err := m.mutate(func(string) ([]byte, error) { return []byte(text), nil }); err == nil {
			t.Errorf("%s: it was applied", name)
		}
	}
	for name, text := range map[string]string{
		"no test": "== a: b\nsays: x\nfile: f\n-x\n", "no change": "== a: b\ntest: ./p T\nsays: x\n", "nothing changed": "== a: b\ntest: ./p T\nsays: x\nfile: f\n x\n",
		"no file": "== a: b\ntest: ./p T\nsays: x\n-x\n", "nobody's": "-x\n", "unknown": "== a: b\nwhat: x\n", "no words": "== a\n",
	} {
		if _, err := parse("t", text); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

// TestPlace: what is Go is laid over the sources, and for anything else they are
// copied, with the change; the working tree stays as it is.
func TestPlace(t *testing.T) {
	r := &runner{root: root(t), dir: t.TempDir()}
	for file, old := range map[string]string{"Makefile": "install: agent", "bench/mutants/page.go": "package main"} {
		before := readFile(t, file)
		at, err := r.place(t.Context(), &mutant{Changes: []change{{File: file, Old: []string{old}, New: []string{"# " + old}}}})
		if err != nil {
			t.Fatal(err)
		}
		if code := strings.HasSuffix(file, ".go"); code != (at.overlay != "") || code != (at.dir == r.root) {
			t.Errorf("%s: %+v", file, at)
		}
		b, err := os.ReadFile(filepath.Join(at.dir, file))
		want := strings.Replace(before, old, "# "+old, 1)
		if at.overlay != "" {
			want = before
		}
		if err != nil || string(b) != want || readFile(t, file) != before {
			t.Errorf("%s: the copy has %d bytes, of %d: %v", file, len(b), len(want), err)
		}
		if _, err := os.Stat(filepath.Join(at.dir, "go.mod")); err != nil {
			t.Error(err)
		}
	}
}

// TestJudge: only an assertion with the words that are expected counts.
func TestJudge(t *testing.T) {
	m := &mutant{Test: "TestX/sub", Says: "sent again"}
	const (
		verdict = "--- FAIL: TestX (0.00s)\n    --- FAIL: TestX/sub (0.00s)\nFAIL\n"
		fail    = "=== RUN   TestX/sub\n    /p/x_test.go:7: part 3 was sent again\n" + verdict
		script  = "    /m/testscript.go:600: > exits 0 agent\n        [stderr]\n        "
		other   = `it fails for another reason than "sent again": `
	)
	source := func(file string, line int) string {
		return map[string]string{"/p/x_test.go7": "\t\tt.Errorf(", "/p/x_test.go8": "\t\tt.Logf(", "/p/x_test.go9": "\tr.t.Skip(", "/m/testscript.go600": "\tts.t.Log("}[file+strconv.Itoa(line)]
	}
	for name, c := range map[string]struct {
		out    string
		passed bool
		want   outcome
	}{
		"as it should":   {fail, false, outcome{true, "part 3 was sent again"}},
		"further line":   {"    /p/x_test.go:7: it said:\n        part 3\n            was sent again\n" + verdict, false, outcome{true, "was sent again"}},
		"helper":         {"    /p/y_test.go:1: part 3 was sent again\n" + verdict, false, outcome{true, "part 3 was sent again"}},
		"survived":       {"--- PASS: TestX (0.00s)\nPASS\n", true, outcome{false, "SURVIVED: the test passes"}},
		"another reason": {"    /p/x_test.go:7: no disk\n" + verdict, false, outcome{false, other + "no disk"}},
		"its name":       {"=== RUN   TestX/sent again\n    /p/x_test.go:7: no disk\n" + verdict, false, outcome{false, other + "no disk"}},
		"its place":      {"    /p/sent again/x_test.go:7: no disk\n" + verdict, false, outcome{false, other + "without a word"}},
		"note":           {"    /p/x_test.go:8: it was\n        sent again\n    /p/x_test.go:7: no disk\n    /p/x_test.go:9: sent again\n" + verdict, false, outcome{false, other + "no disk"}},
		"of a child":     {"    /p/x_test.go:7: no disk\npart 3 was sent again\n" + verdict, false, outcome{false, other + "no disk"}},
		"another test":   {"    /p/x_test.go:7: part 3 was sent again\n--- FAIL: TestX (0.00s)\n    --- PASS: TestX/sub (0.00s)\n", false, outcome{false, "it ended without a verdict"}},
		"script":         {script + "x\n        FAIL: /p/x.txtar:7: it was sent again\n" + verdict, false, outcome{true, "it was sent again"}},
		"what it ran":    {script + "sent again\n        FAIL: /p/x.txtar:7: exit 1, want 0\n" + verdict, false, outcome{false, other + "exit 1, want 0"}},
		"its file":       {script + "x\n        FAIL: /p/sent again.txtar:7: exit 1, want 0\n" + verdict, false, outcome{false, other + "without a word"}},
		"panic":          {fail + "panic: nil map\n", false, outcome{false, "panic: nil map"}},
		"timeout":        {"panic: test timed out after 5m0s\n", false, outcome{false, "panic: test timed out after 5m0s"}},
		"no build":       {"# agent\nx.go:1: undefined\nFAIL\tagent [build failed]\n", false, outcome{false, "it does not build"}},
		"no test":        {"ok  \tagent\t0.1s [no tests to run]\n", true, outcome{false, "there is no such test"}},
		"no verdict":     {"exit status 2\nFAIL\n", false, outcome{false, "it ended without a verdict"}},
	} {
		if got := judge(m, c.out, c.passed, source); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestNotesAndErrors: go test prints both in the same form, with whole paths, and
// the source tells one from the other; whatever comes from a script is a note.
func TestNotesAndErrors(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module x\n",
		"x_test.go": `package x

import "testing"

func TestX(t *testing.T) {
	t.Log("a note")
	t.Run("sub", func(t *testing.T) {
		t.Skipf("no %s", "store")
	})
	t.Error(
		"it broke", "\nin two lines",
	)
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := &runner{root: dir, dir: dir}
	out, passed, err := r.test(t.Context(), place{dir: dir}, ".", "", "^TestX$")
	if err != nil || passed {
		t.Fatalf("passed %v, %v\n%s", passed, err, out)
	}
	if got := assertions(out, sourceLine); !slices.Equal(got, []string{"it broke", "in two lines"}) {
		t.Errorf("%q are taken for assertions in\n%s", got, out)
	}
}

// TestSaysWords: what a mutant is noticed by is an assertion's words, and not the
// name of a file or what any failure would say.
func TestSaysWords(t *testing.T) {
	for _, m := range loaded(t) {
		if len(strings.Fields(m.Says)) < 2 || strings.Contains(m.Says, ".txtar") {
			t.Errorf("%s: %q would be said of other things too", m.at, m.Says)
		}
	}
}

func TestRows(t *testing.T) {
	const page = "| | promise | tests |\n|---|---|---|\n| `one` | It `is` so | `TestA`, script `x`, `TestB` |\n| `two-b` | And so | scripts `y`, `z`, `FuzzC` (`make it`) |\n"
	all, err := rows(page)
	if err != nil || len(all) != 2 || !slices.Equal(all[0].tests, []string{"TestA", "TestScripts/x", "TestB"}) ||
		!slices.Equal(all[1].tests, []string{"TestScripts/y", "TestScripts/z", "FuzzC"}) || all[1].name != "two-b" {
		t.Errorf("%+v, %v", all, err)
	}
	for _, bad := range []string{"| `one` | no tests |\n", "| `one` | so | `nothing` |\n", "| `one` | so | none |\n"} {
		if all, err := rows("\n" + bad); err == nil {
			t.Errorf("%q: %+v", bad, all)
		}
	}
}
