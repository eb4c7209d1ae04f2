// Command mutants breaks the promises of docs/guarantees.md on purpose, one at a
// time, and sees that the test of each notices. A mutant that no test notices ends
// it with 1: that test is weaker than the promise.
//
// It knows nothing of what the program does: what is to be changed, and which test
// has to fail with which words, is in the tables beside it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"agent/bench/platform"
)

func main() {
	only := flag.String("run", "", "try only those whose promise, test or words match this `pattern`")
	write := flag.String("write", "", "write the list to this `file`, if all are tried and fail as they should")
	show := flag.Bool("list", false, "print docs/mutants.md as it is before a run, and try none")
	once := flag.Bool("together", false, "apply the chosen ones, of one package, at once: quick, for whoever writes them, and no proof")
	verbose := flag.Bool("v", false, "show what the test says of each that does not fail as it should")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, options{only: *only, write: *write, verbose: *verbose, together: *once, list: *show}, os.Stdout)
	if err != nil {
		stop()
		fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

type options struct {
	only    string // pattern; "" tries all
	write   string // file; "" for none
	verbose bool

	list     bool // only
	together bool // all at once, without the tests of the untouched code
}

func run(ctx context.Context, o options, out io.Writer) error {
	began := time.Now()
	root, err := platform.Root()
	if err != nil {
		return err
	}
	all, err := chosen(root, o.only)
	if err != nil {
		return err
	}
	if o.list {
		_, err := io.WriteString(out, page(all, notRun))
		return err
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r, err := newRunner(ctx, root, dir)
	if err != nil {
		return err
	}
	if o.together {
		return tryTogether(ctx, r, all, o, out)
	}
	bad, err := r.baseline(ctx, all)
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		return fmt.Errorf("these do not pass without any mutant:\n%s", strings.Join(bad, "\n"))
	}
	promises, tests := counts(all)
	fmt.Fprintf(out, "%d tests pass without a mutant\n\n", tests)
	wrong := 0
	for i := range all {
		m := &all[i]
		at := time.Now()
		got, said, err := r.run(ctx, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.at, err)
		}
		if !got.failed {
			wrong++
			if o.verbose {
				fmt.Fprintln(out, said)
			}
		}
		tell(out, m, got, time.Since(at))
	}
	took := time.Since(began).Round(time.Second)
	seen := fmt.Sprintf("%d mutants of %d promises, %d of which failed as they should, by %d tests, in %v (%s, %s/%s, %d cores).",
		len(all), promises, len(all)-wrong, tests, took, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	fmt.Fprintf(out, "\n%s\n", seen)
	if wrong > 0 {
		return fmt.Errorf("%d of %d did not fail as they should", wrong, len(all))
	}
	if o.write != "" && o.only == "" {
		return os.WriteFile(o.write, []byte(page(all, fmt.Sprintf("Seen on %s: %s", began.Format(time.DateOnly), seen))), 0o644) //nolint:gosec // a page for all to read
	}
	return nil
}

func tell(out io.Writer, m *mutant, got outcome, took time.Duration) {
	verdict := "ok"
	if !got.failed {
		verdict = "WRONG"
	}
	fmt.Fprintf(out, "%-5s %-15s %s\n%22s%s, %.1f s: %.150s\n", verdict, m.Promise, m.Broken, "", m.Test, took.Seconds(), got.said)
}

func tryTogether(ctx context.Context, r *runner, all []mutant, o options, out io.Writer) error {
	at, wrong := time.Now(), 0
	got, said, err := r.together(ctx, all)
	if err != nil {
		return err
	}
	for i := range all {
		if !got[i].failed {
			wrong++
		}
		tell(out, &all[i], got[i], time.Since(at))
	}
	if wrong > 0 && o.verbose {
		fmt.Fprintln(out, said)
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d did not fail as they should", wrong, len(all))
	}
	return nil
}

// chosen are the mutants that match a pattern, in the order of the promises.
func chosen(root, only string) ([]mutant, error) {
	all, err := load()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	if err != nil {
		return nil, err
	}
	promised, err := rows(string(text))
	if err != nil {
		return nil, err
	}
	inOrder(all, promised)
	match, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	var some []mutant
	for _, m := range all {
		if match.MatchString(m.Promise + "\n" + m.Package + " " + m.Test + "\n" + m.Broken) {
			some = append(some, m)
		}
	}
	if len(some) == 0 {
		return nil, fmt.Errorf("none matches %q", only)
	}
	return some, nil
}
