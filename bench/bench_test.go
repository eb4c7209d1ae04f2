package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBench proves that the benchmark as a whole works: every contest, and
// all who can take part, on a two-hundredth of its data. Its figures mean nothing.
func TestBench(t *testing.T) {
	report := filepath.Join(t.TempDir(), "RESULTS.md")
	var out, errs bytes.Buffer
	code := run([]string{"-agent", built, "-rounds", "2", "-scale", "0.005", "-dir", t.TempDir(), "-out", report}, &out, &errs)
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contests {
		there, _ := c.present()
		for _, r := range there {
			if !strings.Contains(string(text), "| "+r.name+" |") {
				t.Errorf("no line for %s in\n%s", r.name, text)
			}
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want spread
	}{
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{3, 1, 2}, spread{1, 2, 3}},
		{[]float64{4, 1, 2, 3}, spread{1, 2.5, 4}},
	} {
		if got := spreadOf(c.in); got != c.want {
			t.Errorf("spreadOf(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

// TestUsage proves that a mistake is told before files are made.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-only", "nothing"}, {"-rounds", "0"}, {"-scale", "0"}, {"word"}, {"-agent", "/nowhere"}} {
		var out, errs bytes.Buffer
		if code := run(args, &out, &errs); code != 1 || errs.Len() == 0 {
			t.Errorf("%v: exit %d, it says %q", args, code, errs.String())
		}
	}
}
