package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"agent/bench/platform"
)

// TestBenchSync proves that 'bench sync' works, on few files. Its figures mean
// nothing.
func TestBenchSync(t *testing.T) {
	root, err := platform.Root()
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := platform.Build(context.Background(), root, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"sync", "-agent", built, "-sandbox", sandbox, "-files", "1500", "-rounds", "1", "-dir", t.TempDir()}, &out, &errs); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
	}
	for _, r := range syncRunners[:2] {
		line := out.String()[max(strings.LastIndex(out.String(), "| "+r.name+" |"), 0):]
		if line, _, _ = strings.Cut(line, "\n"); !strings.HasSuffix(line, "| 2 ListObjectsV2 |") {
			t.Errorf("of %s it tells %q", r.name, line)
		}
	}
}
