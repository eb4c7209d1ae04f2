package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"agent/bench/platform"
)

// built is the agent as users have it. It is made once, before any test runs.
var built string

func TestMain(m *testing.M) {
	// The benchmark starts itself for the sink and the limits; here that is
	// this test binary.
	if len(os.Args) > 1 && children[os.Args[1]] != nil {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "agent-bench-test-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		built, err = build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// build builds the agent with the flags of the Makefile.
func build(ctx context.Context, dir string) (string, error) {
	root, err := platform.Root()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "agent.exe") // a name that runs on every system
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=v0.0.0-test", "-o", bin, "./cmd/agent")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the agent: %w\n%s", err, out)
	}
	return bin, nil
}
