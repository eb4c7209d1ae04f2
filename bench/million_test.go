package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestBenchMillion proves that 'bench million' works, on few files. Its figures
// mean nothing.
func TestBenchMillion(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"million", "-agent", built, "-files", "1500", "-one", "1100", "-rounds", "1", "-dir", t.TempDir()}, &out, &errs); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
	}
	for name, lists := range map[string]string{"1500, 1000 a directory": "2", "1100, in one directory": "2"} {
		_, row, found := strings.Cut(out.String(), "| "+name+" | ")
		row, _, _ = strings.Cut(row, "\n")
		cells := strings.Split(row, " | ")
		if !found || len(cells) != 15 || cells[7] != "0" || cells[11] != lists {
			t.Errorf("of %s it tells %q", name, cells)
		}
	}
}
