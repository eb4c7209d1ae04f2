package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// outcome is what became of a mutant.
type outcome struct {
	failed bool   // as it should
	said   string // the words of the assertion, or why it does not count
}

var panicked = regexp.MustCompile(`(?m)^\s*(panic: .*|fatal error: .*)`)

// judge reads what go test -v -fullpath said: only an assertion that fails, with
// the words that are expected, shows that the test guards the promise. source is
// sourceLine, but in tests.
func judge(m *mutant, out string, passed bool, source func(file string, line int) string) outcome {
	switch {
	case strings.Contains(out, "[build failed]"), strings.Contains(out, "[setup failed]"):
		return outcome{said: "it does not build"}
	case strings.Contains(out, "no tests to run"):
		return outcome{said: "there is no such test"}
	case panicked.MatchString(out):
		return outcome{said: panicked.FindStringSubmatch(out)[1]}
	case passed:
		return outcome{said: "SURVIVED: the test passes"}
	case !strings.Contains(out, "--- FAIL: "+m.Test+" ("):
		return outcome{said: "it ended without a verdict"}
	}
	said := "without a word"
	for _, line := range assertions(out, source) {
		if strings.Contains(line, m.Says) {
			return outcome{failed: true, said: line}
		}
		said = line
	}
	return outcome{said: fmt.Sprintf("it fails for another reason than %q: %s", m.Says, said)}
}

var (
	printed = regexp.MustCompile(`^ {4}(\S+\.go):(\d+): (.*)`) // by a test, with the place
	goesOn  = regexp.MustCompile(`^ {8}(.*)`)                  // a further line of the same
	notes   = regexp.MustCompile(`\.(?:Logf?|Skipf?)\(`)
	broke   = regexp.MustCompile(`^FAIL: \S+:\d+: (.*)`)
)

// assertions are the lines that assertions printed, without their places. go test
// prints errors and notes (t.Log) in the same form: which of both it is, is told by
// the source at its place. That is the caller's where a helper prints: a note of a
// helper can't be told from an error. The whole of a testscript is one note: what
// counts is its line "FAIL:", and what follows.
func assertions(out string, source func(file string, line int) string) []string {
	var all []string
	open, script := false, false // the lines that follow are an assertion's; are a script's
	for line := range strings.Lines(out) {
		text := ""
		if m := printed.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[2])
			script = filepath.Base(m[1]) == "testscript.go"
			open, text = !script && !notes.MatchString(source(m[1], n)), m[3]
		} else if m := goesOn.FindStringSubmatch(line); m != nil {
			text = m[1]
		} else {
			open, script = false, false
		}
		if m := broke.FindStringSubmatch(text); script && m != nil {
			open, text = true, m[1]
		}
		if text = strings.TrimSpace(text); open && text != "" {
			all = append(all, text)
		}
	}
	return all
}

// sourceLine is a line of a file, or "" where there is none.
func sourceLine(file string, line int) string {
	b, err := os.ReadFile(file)
	lines := strings.Split(string(b), "\n")
	if err != nil || line < 1 || line > len(lines) {
		return ""
	}
	return lines[line-1]
}
