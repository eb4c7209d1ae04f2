package main

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
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

// TestStart proves that the agent starts at once. It is CPU time that is held
// against the limit: it does not depend on who else uses the machine.
func TestStart(t *testing.T) {
	const runs = 20
	var cpu, wall []time.Duration
	for range runs {
		cmd := exec.Command(built, "--version")
		began := time.Now()
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		wall = append(wall, time.Since(began))
		cpu = append(cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	slices.Sort(cpu)
	slices.Sort(wall)
	t.Logf("--version: CPU %v, wall %v (medians of %d)", cpu[runs/2], wall[runs/2], runs)
	if cpu[runs/2] > 30*time.Millisecond {
		t.Errorf("--version takes %v of CPU: more than 30 ms", cpu[runs/2])
	}
}
