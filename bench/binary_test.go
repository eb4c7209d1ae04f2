package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestBinarySize proves that the agent is small enough to be copied around.
func TestBinarySize(t *testing.T) {
	st, err := os.Stat(built)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the binary has %.1f MB", float64(st.Size())/1e6)
	if st.Size() > 25e6 {
		t.Errorf("the binary has %d bytes: more than 25 MB", st.Size())
	}
}

// TestStart proves that the agent starts at once: what packages set up before
// main is held against a limit, as bytes, which are the same on a busy machine.
func TestStart(t *testing.T) {
	cmd := exec.Command(built, "--version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace strings.Builder
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var bytes, allocs int
	for _, m := range setUp.FindAllStringSubmatch(trace.String(), -1) {
		b, _ := strconv.Atoi(m[1])
		a, _ := strconv.Atoi(m[2])
		bytes, allocs = bytes+b, allocs+a
	}
	took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("before main: %d bytes in %d allocations; the whole run took %v of CPU", bytes, allocs, took)
	if bytes == 0 || bytes > 2<<20 {
		t.Errorf("%d bytes set up before main: want some, and at most 2 MiB", bytes)
	}
}

// setUp is the end of a line of GODEBUG=inittrace=1.
var setUp = regexp.MustCompile(`(?m)^init .* (\d+) bytes, (\d+) allocs$`)
