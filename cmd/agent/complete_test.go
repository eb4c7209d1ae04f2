package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestCompletionsAreForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache", "complete-1")
	writeCompletions(path, []string{"a/", "b"})
	if names, ok := readCompletions(path); !ok || !slices.Equal(names, []string{"a/", "b"}) {
		t.Fatal(names, ok)
	}
	old := time.Now().Add(-completeMemory - time.Second)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if names, ok := readCompletions(path); ok {
		t.Error("still known: ", names)
	}
	writeCompletions(filepath.Join(filepath.Dir(path), "complete-2"), nil)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("old listings stay:", err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := readCompletions(path); ok {
		t.Error("a damaged file is believed")
	}
}
