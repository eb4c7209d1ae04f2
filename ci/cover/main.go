// Command cover says which statements the tests of both modules run, counted over
// all packages whatever package the test is in, and in the agents that tests start;
// and lists the error paths that no test takes.
//
//	cover [-out DIR] [-- more arguments of go test]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

// dirVariable tells the tests of cmd/agent to start agents that count, too, and
// where those leave their counts.
const dirVariable = "AGENT_COVER_DIR"

func main() {
	out := flag.String("out", filepath.Join("bench", "out", "cover"), "where profiles and lists go")
	reuse := flag.Bool("reuse", false, "run nothing: look at the profiles of the last run")
	flag.Parse()
	if err := run(*out, *reuse, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "cover:", err)
		os.Exit(1)
	}
}

func run(out string, reuse bool, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	var failed error
	if !reuse {
		if err := os.RemoveAll(out); err != nil {
			return err
		}
		failed = measure(ctx, out, args)
	}
	profiles, err := filepath.Glob(filepath.Join(out, "*.profile"))
	if err != nil || len(profiles) == 0 {
		return errors.Join(failed, err, errors.New("there are no profiles"))
	}
	blocks := blocks{}
	for _, p := range profiles {
		if err := blocks.read(p); err != nil {
			return errors.Join(failed, err)
		}
	}
	if err := blocks.summary(os.Stdout); err != nil {
		return err
	}
	paths, err := blocks.errorPaths(".")
	if err != nil {
		return err
	}
	list := filepath.Join(out, "errors.txt")
	if err := os.WriteFile(list, []byte(strings.Join(paths, "")), 0o600); err != nil {
		return err
	}
	fmt.Printf("%d error paths are not taken: %s\n", len(paths), list)
	return failed
}

// measure runs the tests. When some fail the counts are good all the same.
func measure(ctx context.Context, out string, args []string) error {
	started := filepath.Join(out, "started")
	if err := os.MkdirAll(started, 0o700); err != nil {
		return err
	}
	err := test(ctx, ".", filepath.Join(out, "agent.profile"), started, args)
	err = errors.Join(err, test(ctx, filepath.Join("bench", "sandbox"), filepath.Join(out, "sandbox.profile"), "", nil))
	if entries, rerr := os.ReadDir(started); rerr != nil || len(entries) == 0 {
		return errors.Join(err, rerr) // no agent was started
	}
	cmd := exec.CommandContext(ctx, "go", "tool", "covdata", "textfmt", "-i="+started, "-o="+filepath.Join(out, "started.profile"))
	cmd.Stderr = os.Stderr
	return errors.Join(err, cmd.Run())
}

func test(ctx context.Context, dir, profile, started string, args []string) error {
	if len(args) == 0 {
		args = []string{"-timeout", "40m", "./..."}
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-coverpkg=./...", "-covermode=set", "-coverprofile=" + profile}, args...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	if started != "" {
		cmd.Env = append(os.Environ(), dirVariable+"="+started)
	}
	said, err := cmd.Output()
	for line := range strings.Lines(string(said)) {
		if !strings.HasPrefix(line, "ok ") && !strings.Contains(line, "coverage: 0.0%") {
			fmt.Print(line)
		}
	}
	if err != nil {
		return fmt.Errorf("tests in %s: %w", dir, err)
	}
	return nil
}
