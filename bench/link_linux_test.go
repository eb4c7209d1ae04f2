package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"agent/bench/shaped"
)

// TestLinkReport: every load arrives over a link of known rate, and none faster
// than it allows.
func TestLinkReport(t *testing.T) {
	if err := shaped.Able(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	var out bytes.Buffer
	err := benchLink(t.Context(), []string{"-agent", built, "-mbit", "20", "-rtt", "20ms", "-mtu", "1500", "-seconds", "3", "-small", "100", "-dir", t.TempDir()}, &out, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	for _, l := range linkLoads {
		if !strings.Contains(out.String(), "\n| "+l.name+" | ") {
			t.Errorf("nothing of %s in\n%s", l.name, out.Bytes())
		}
	}
}
