package main

import (
	"fmt"
	"slices"
	"strings"
)

const pageHead = `# Mutants

For each promise of [guarantees.md](guarantees.md): what was broken on purpose, one
line or a few at a time, and the test that failed by it. A mutant counts only where
its test passes without it, and fails with it by an assertion that says what was
expected: a build that fails, a panic or a timeout does not count, nor what a test
that fails has noted besides (t.Log) or what a program printed. The changes
themselves are in ` + "`bench/mutants/*.txt`" + `, in the form of patches; the working
tree is not touched.

    make mutants                                  # all of them
    go run ./bench/mutants -run 'crash'           # some, by promise, test or words

`

// notRun stands in place of an outcome in a page that no run has written.
const notRun = "This list is newer than the last run of all of it."

// page is docs/mutants.md. seen tells of the run that it is the outcome of.
func page(all []mutant, seen string) string {
	return pageHead + seen + "\n\n" + list(all)
}

// list is the part of the page that does not depend on a run.
func list(all []mutant) string {
	var b strings.Builder
	b.WriteString("| promise | what was broken | the test that failed |\n|---|---|---|\n")
	for i := range all {
		m := &all[i]
		fmt.Fprintf(&b, "| `%s` | %s | `%s` in `%s` |\n", m.Promise, strings.ReplaceAll(m.Broken, "|", "\\|"), m.Test, strings.TrimPrefix(m.Package, "./"))
	}
	return b.String()
}

// promises are how many different ones the mutants break, and tests likewise.
func counts(all []mutant) (promises, tests int) {
	p, t := map[string]bool{}, map[string]bool{}
	for i := range all {
		p[all[i].Promise], t[all[i].Package+all[i].Test] = true, true
	}
	return len(p), len(t)
}

// inOrder sorts mutants as the promises are in docs/guarantees.md; those of one
// promise keep their order.
func inOrder(all []mutant, rows []row) {
	place := map[string]int{}
	for i, r := range rows {
		place[r.name] = i
	}
	slices.SortStableFunc(all, func(a, b mutant) int { return place[a.Promise] - place[b.Promise] })
}
