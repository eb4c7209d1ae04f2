//go:build long && linux

package main

import (
	"net"
	"os"
	"os/exec"
	"testing"
)

// needed finds a program. Where it is missing the test is skipped, but not
// where all must be there.
func needed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return path
}

// freePort is an address where nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// background starts a server that ends with the test.
func background(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	var said output
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said.String())
		}
	})
}
