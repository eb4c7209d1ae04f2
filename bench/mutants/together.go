package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// together shows all mutants of one package at once to their tests, which is
// quick, but proves nothing: one may do another's work, or hide it. It is for
// whoever writes them.
func (r *runner) together(ctx context.Context, all []mutant) ([]outcome, string, error) {
	sum := mutant{}
	var names []string
	parent, _ := split(all[0].Test)
	for i := range all {
		m := &all[i]
		if m.Package != all[0].Package || m.Tags != all[0].Tags {
			return nil, "", fmt.Errorf("%s is of another package than %s: choose by -run", m.at, all[0].at)
		}
		above, name := split(m.Test)
		if above != parent {
			return nil, "", fmt.Errorf("%s is not of the level of %s: choose by -run", m.at, all[0].at)
		}
		sum.Changes = append(sum.Changes, m.Changes...)
		if name = regexp.QuoteMeta(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	at, err := r.place(ctx, &sum)
	if err != nil {
		return nil, "", err
	}
	some := "^(" + strings.Join(names, "|") + ")$"
	if parent != "" {
		some = pattern(parent) + "/" + some
	}
	out, passed, err := r.test(ctx, at, all[0].Package, all[0].Tags, some)
	if err != nil {
		return nil, "", err
	}
	var got []outcome
	for i := range all {
		said := out
		if strings.Contains(out, "=== ") && !panicked.MatchString(out) {
			said = section(out, all[i].Test)
			passed = !strings.Contains(said, "--- FAIL: "+all[i].Test)
		}
		got = append(got, judge(&all[i], said, passed, sourceLine))
	}
	return got, out, nil
}

var running = regexp.MustCompile(`^=== (?:RUN|NAME|CONT|PAUSE) +(\S+)`)

// section is what go test -v says of one test and those below it.
func section(out, test string) string {
	var b strings.Builder
	mine := false
	for line := range strings.Lines(out) {
		if m := running.FindStringSubmatch(line); m != nil {
			mine = m[1] == test || strings.HasPrefix(m[1], test+"/")
		}
		if mine || strings.Contains(line, ": "+test+" (") || strings.Contains(line, ": "+test+"/") {
			b.WriteString(line)
		}
	}
	return b.String()
}
