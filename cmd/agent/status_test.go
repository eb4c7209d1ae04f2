package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"agent/journal"
)

func TestStatusForPrometheus(t *testing.T) {
	end := time.Unix(1_800_000_000, 500e6).UTC()
	left := 90.0
	s := &status{Version: "1", Job: "abc", Command: "upload", Destination: "s3://b/a\"\\\n\xff", KeyExpires: &end, TokenLeft: &left,
		Outcome: journal.Outcome{Exit: 6, Started: end.Add(-time.Minute), Ended: end, Warnings: []string{"w"},
			Sums: journal.Sums{FilesSent: 1, FilesThere: 2, FilesFailed: 3, FilesLeft: 4, BytesSent: 1 << 40, BytesThere: 6, BytesSaved: 7, BytesFailed: 8, BytesLeft: 9}}}
	golden(t, "status.prom", string(s.prom("night \"1\"")))
	file := filepath.Join(t.TempDir(), "x.prom")
	s.Exit = 0
	if err := writeStatus(file, s); err != nil {
		t.Fatal(err)
	}
	if got := lastSuccess(file); got == nil || !got.Equal(end) {
		t.Errorf("last success: %v", got)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// golden compares with a file in testdata/golden. With UPDATE_GOLDEN set it
// writes it instead.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}
