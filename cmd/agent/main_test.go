//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"agent/bench/platform"
)

// built are the binaries under test: the plain agent, as users have it, and
// the local platform, and tmp, where all agents keep what is temporary. They are
// made once, before any test runs.
var built struct{ agent, sandbox, tmp string }

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.fuzz"); f.Value.String() != "" {
		os.Exit(m.Run()) // each worker is another process, and none needs the binaries
	}
	if signal.Ignored(syscall.SIGHUP) {
		// Under nohup the agents that tests start would ignore it, too, and some wait for
		// what it does. What a process listens for is as usual in its children.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "agent-test-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := leftBehind(built.tmp); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if code == 0 {
		// The log's library never ends the one goroutine that rotates its files.
		if err := goleak.Find(goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// coverVariable names the folder where the agents that tests start leave what they
// ran of their code: see ci/cover.
const coverVariable = "AGENT_COVER_DIR"

func build(ctx context.Context, dir string) error {
	built.tmp = filepath.Join(dir, "tmp")
	if err := os.Mkdir(built.tmp, 0o700); err != nil {
		return err
	}
	root, err := platform.Root()
	if err != nil {
		return err
	}
	if built.sandbox, err = platform.Build(ctx, root, dir); err != nil {
		return err
	}
	built.agent = filepath.Join(dir, "agent")
	args := []string{"build", "-o", built.agent}
	if os.Getenv(coverVariable) != "" {
		args = append(args, "-cover", "-coverpkg=./...")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/agent")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the agent: %w\n%s", err, out)
	}
	return nil
}
