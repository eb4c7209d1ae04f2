package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// need is a test that has to have passed.
type need struct {
	pkg    string // "" for any
	test   string
	prefix bool // whatever begins with test, and at least one
}

func (n need) String() string {
	s := strings.TrimSpace(n.pkg + " " + n.test)
	if n.prefix {
		s += "…"
	}
	return s
}

// result is what became of a test, over all runs of it: by package and name.
type result map[[2]string]map[string]bool

// excuses are tests that CI does not run, and subtests of needed ones that it may skip.
type excuses map[string]bool

// cover reports whether a test, or what it is a part of, is among them.
func (e excuses) cover(test string) bool {
	for name := range e {
		if test == name || strings.HasPrefix(test, name+"/") {
			return true
		}
	}
	return false
}

// checkTests fails if a test that is needed, or a part of it, was skipped or did not
// run. That one failed has been said where it ran, and is said again.
func checkTests(log, list, promises string, out io.Writer) error {
	got, err := readResults(log)
	if err != nil {
		return err
	}
	needs, err := readList(list)
	if err != nil {
		return err
	}
	more, err := readPromises(promises)
	if err != nil {
		return err
	}
	needs, excused := joined(needs, more)
	if len(needs) == 0 {
		return errors.New("nothing is asked for")
	}
	var wrong []string
	for _, n := range needs {
		if w := got.lacks(n, excused); w != "" {
			wrong = append(wrong, fmt.Sprintf("%s %s", n, w))
		}
	}
	for _, s := range got.skipped() {
		fmt.Fprintln(out, "skipped, as it may be:", s)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d of %d tests that may not be left out:\n  %s", len(wrong), len(needs), strings.Join(wrong, "\n  "))
	}
	fmt.Fprintf(out, "all %d tests that may not be left out have passed\n", len(needs))
	return nil
}

// joined are needs and promises, without those that the list excuses.
func joined(list, promises []need) (all []need, excused excuses) {
	excused = excuses{}
	for _, n := range list {
		if n.pkg == "-" {
			excused[n.test] = true
			continue
		}
		all = append(all, n)
	}
	for _, n := range promises {
		if !excused[n.test] {
			all = append(all, n)
		}
	}
	return all, excused
}

func readResults(path string) (result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	got := result{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		e, ok := parse(lines.Bytes())
		if !ok {
			return nil, fmt.Errorf("%s: %q", path, lines.Text())
		}
		id := [2]string{e.Package, e.Test}
		if got[id] == nil {
			got[id] = map[string]bool{}
		}
		got[id][e.Action] = true
	}
	return got, lines.Err()
}

// lacks says what is wrong with n, "" for nothing. A test that is skipped in one
// run and passes in another has passed. One whose subtest was skipped is said to have
// passed by go test, and has not. A fuzz target may leave out inputs.
func (r result) lacks(n need, excused excuses) string {
	found := false
	var without []string
	for id, became := range r {
		named := id[1] == n.test || n.prefix && strings.HasPrefix(id[1], n.test)
		part := strings.HasPrefix(id[1], n.test+"/") && !strings.HasPrefix(n.test, "Fuzz")
		if !named && !part || n.pkg != "" && id[0] != n.pkg {
			continue
		}
		switch {
		case became["fail"]:
			return "failed"
		case became["pass"]:
			found = found || named
		case id[1] == n.test:
			return "was skipped"
		case !excused.cover(id[1]):
			without = append(without, id[1])
		}
	}
	if len(without) > 0 {
		slices.Sort(without)
		return "passed without " + strings.Join(without, ", ")
	}
	if !found {
		return "did not run"
	}
	return ""
}

// skipped are the tests that never ran, for whoever reads CI's output.
func (r result) skipped() (names []string) {
	for id, became := range r {
		if id[1] != "" && became["skip"] && !became["pass"] && !became["fail"] {
			names = append(names, id[0]+" "+id[1])
		}
	}
	slices.Sort(names)
	return names
}

// readList reads lines of PACKAGE TEST; # begins a comment. TEST may be a subtest, as
// go test names it. Where PACKAGE is -, CI does not run the test although it is promised,
// or may skip it as a part of one that is needed.
func readList(path string) (needs []need, err error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch len(words) {
		case 0:
		case 2:
			needs = append(needs, need{pkg: words[0], test: words[1]})
		default:
			return nil, fmt.Errorf("%s: %q is not PACKAGE TEST", path, strings.TrimSpace(line))
		}
	}
	return needs, nil
}

var (
	quoted     = regexp.MustCompile("`([^`]+)`")
	testName   = regexp.MustCompile(`^(?:Test|Fuzz)[A-Z]\w*(/\S+)?$`)
	scriptName = regexp.MustCompile(`^[a-z][a-z-]*$`)
)

// readPromises reads the tests in the last column of a page's tables: `TestName`,
// `TestBeginning…`, and `name` for a script of TestScripts.
func readPromises(path string) (needs []need, err error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := map[need]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for _, m := range quoted.FindAllStringSubmatch(cells[len(cells)-1], -1) {
			name, prefix := strings.CutSuffix(m[1], "…")
			switch {
			case testName.MatchString(name):
				all[need{test: name, prefix: prefix}] = true
			case scriptName.MatchString(name):
				all[need{test: "TestScripts/" + name}] = true
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s names no test", path)
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b need) int { return strings.Compare(a.test, b.test) }), nil
}
