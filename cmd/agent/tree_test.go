//go:build linux

package main

import (
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is the files of a directory, by their slash-separated paths.
type tree map[string][]byte

// noise is n bytes that depend on name alone.
func noise(name string, n int) []byte {
	h := fnv.New64a()
	h.Write([]byte(name))
	var seed [32]byte
	h.Sum(seed[:0])
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

// with adds a file of n bytes.
func (f tree) with(name string, n int) tree {
	f[name] = noise(name, n)
	return f
}

// and adds the files of another tree.
func (f tree) and(g tree) tree {
	maps.Copy(f, g)
	return f
}

func (f tree) bytes() (n int64) {
	for _, b := range f {
		n += int64(len(b))
	}
	return n
}

// write makes the files in a new directory.
func (f tree) write(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dataset")
	f.writeTo(t, dir)
	return dir
}

func (f tree) writeTo(t *testing.T, dir string) {
	t.Helper()
	for name, b := range f {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// awkward are names that went wrong in other tools: whoever quotes, cleans,
// trims or normalizes them loses a file. aws-cli#1639 is about the two é.
func awkward() tree {
	f := tree{}
	for i, name := range []string{
		"a/inside", "a.txt", "a-b", "a/deeper/b c", // a directory sorts as "a/", behind "a-b" and "a.txt"
		"with space", " leading", "trailing ", "line\nbreak", "tab\there", "cr\rhere",
		"per%cent", "%41", "plus+plus", "question?mark=1&x", "hash#tag", "semi;colon", "at@colon:star*",
		"quote'\"`", "back\\slash", "<xml>&amp;", "[brackets]{braces}|~^", "$HOME", "-dash", "..dots", "trailing.",
		"caf\u00e9", "cafe\u0301", // NFC and NFD: two files
		"\u6f22\u5b57/\U0001f30d.tif", "\u202eright-to-left", "\ufeffmark",
		".hidden", ".config/settings.json", strings.Repeat("n", 255),
	} {
		f.with(name, 100+i)
	}
	return f
}

// flip changes one byte of a file and keeps its size.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x55
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}
