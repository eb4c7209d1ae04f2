// Command gate runs go test for CI, notes what became of every test, and at the end
// says which of those that may not be left out were skipped, or did not run:
//
//	gate run -log FILE -- [go test's arguments]
//	gate check -log FILE [-list FILE] [-promises FILE]
//
// A test that skips is green, and a list of promises whose tests skip proves
// nothing.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	err := run(os.Args[1:], os.Stdout)
	var ended *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &ended):
		os.Exit(max(1, ended.ExitCode()))
	default:
		fmt.Fprintln(os.Stderr, "gate:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("run or check?")
	}
	f := flag.NewFlagSet("gate", flag.ContinueOnError)
	log := f.String("log", "", "where the results are noted, one JSON object a line")
	list := f.String("list", "", "tests that have to run: PACKAGE TEST, one a line")
	promises := f.String("promises", "", "a page with a table whose last column names tests that have to run")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "run":
		return runTests(f.Args(), *log, out)
	case "check":
		return checkTests(*log, *list, *promises, out)
	}
	return fmt.Errorf("%q: run or check?", args[0])
}

// event is a line of go test -json, and in the log what is kept of it.
type event struct {
	Action  string `json:"Action"` // "pass", "fail", "skip", "output", "build-output", …
	Package string `json:"Package"`
	Test    string `json:"Test,omitempty"` // "" for what is of the whole package
	Output  string `json:"Output,omitempty"`
}

// ended reports whether e tells how a test, or a package, ended.
func (e event) ended() bool { return e.Action == "pass" || e.Action == "fail" || e.Action == "skip" }

func runTests(args []string, log string, out io.Writer) error {
	w, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer w.Close()
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...) //nolint:noctx // it ends with its group
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = pass(pipe, out, w, slices.Contains(args, "-v"))
	return errors.Join(cmd.Wait(), err) // go test's verdict first
}

// pass prints what go test -json says as go test would say it, all of it where
// verbose, and notes the results.
func pass(in io.Reader, out, log io.Writer, verbose bool) error {
	said := map[string][]string{} // by package and test, of those under way
	notes := json.NewEncoder(log)
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if e, ok := parse(line); ok {
				show(e, said, out, verbose)
				if e.ended() {
					if err := notes.Encode(event{Action: e.Action, Package: e.Package, Test: e.Test}); err != nil {
						return err
					}
				}
			} else {
				_, _ = out.Write(line) // go's own words
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func parse(line []byte) (e event, ok bool) {
	err := json.Unmarshal(line, &e)
	return e, err == nil && e.Action != ""
}

func show(e event, said map[string][]string, out io.Writer, verbose bool) {
	id := e.Package + "\x00" + e.Test
	switch {
	case e.Action == "build-output", e.Action == "output" && (verbose || e.Test == "" && e.Output != "PASS\n"):
		_, _ = io.WriteString(out, e.Output)
	case e.Action == "output":
		said[id] = append(said[id], e.Output)
	case e.Action == "fail" && e.Test == "":
		// Whatever was under way when the package died.
		for id, lines := range said {
			if strings.HasPrefix(id, e.Package+"\x00") {
				_, _ = io.WriteString(out, strings.Join(lines, ""))
				delete(said, id)
			}
		}
	case e.Action == "fail":
		_, _ = io.WriteString(out, strings.Join(said[id], ""))
		delete(said, id)
	case e.ended():
		delete(said, id)
	}
}
