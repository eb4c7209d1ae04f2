package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocsNameTests: the tests and scripts by which the pages prove what they
// promise are there.
func TestDocsNameTests(t *testing.T) {
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	err := filepath.WalkDir(sourceRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range declared.FindAllStringSubmatch(readPage(t, path), -1) {
			there[m[1]] = true
		}
		return nil
	})
	if err != nil || len(there) < 300 {
		t.Fatal(len(there), err)
	}
	n := 0
	for _, page := range []string{"guarantees.md", "security.md"} {
		text := readPage(t, filepath.Join(sourceRoot, "docs", page))
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark)\\w+)(…?)`").FindAllStringSubmatch(text, -1) {
			n++
			if m[2] == "" && m[1] != "TestLong" && !there[m[1]] {
				t.Errorf("%s: there is no %s", page, m[1])
			}
		}
		for _, m := range regexp.MustCompile("scripts? `([a-z][\\w-]*)`(?:, `([a-z][\\w-]*)`)?").FindAllStringSubmatch(text, -1) {
			for _, name := range m[1:] {
				if name == "" {
					continue
				}
				if _, err := os.Stat(filepath.Join("testdata", "script", name+".txtar")); err != nil {
					t.Errorf("%s: there is no script %s", page, name)
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d tests are named", n)
	}
}
