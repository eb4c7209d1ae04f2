package main

import (
	"testing"

	"github.com/spf13/cobra"
)

// TestProfilesAreKept proves that commands made anew, as at the end of a run,
// leave the profiles that were asked for.
func TestProfilesAreKept(t *testing.T) {
	p := &profiles{}
	first := &cobra.Command{}
	p.addFlags(first)
	if err := first.PersistentFlags().Parse([]string{"--memprofile", "m", "--cpuprofile", "c"}); err != nil {
		t.Fatal(err)
	}
	p.addFlags(&cobra.Command{})
	if p.mem != "m" || p.cpu != "c" {
		t.Errorf("the profiles are %q and %q, want m and c", p.mem, p.cpu)
	}
}
