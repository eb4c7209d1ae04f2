//go:build long && linux

package main

import (
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
