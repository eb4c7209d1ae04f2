package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const code = `package p

type T struct{}

func (t *T) Do(f func() error) error {
	if err := f(); err != nil {
		return err
	}
	println("fine")
	return nil
}

func other(n int) {
	if n > 1 {
		println("many")
	}
}
`

func TestErrorPaths(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "p"), 0o700); err != nil {
		t.Fatal(err)
	}
	profile := filepath.Join(root, "a.profile")
	one := "mode: set\nagent/p/p.go:5.40,6.30 1 1\nagent/p/p.go:6.30,8.3 1 0\nagent/p/p.go:9.2,10.12 2 0\nagent/p/p.go:13.19,14.11 1 0\nagent/p/p.go:14.11,16.3 1 0\nagent/bench/b.go:1.1,2.2 6 0\n"
	two := "mode: set\nagent/p/p.go:9.2,10.12 2 1\n"
	for path, text := range map[string]string{filepath.Join(root, "p", "p.go"): code, profile: one, profile + "2": two} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bs := blocks{}
	for _, p := range []string{profile, profile + "2"} {
		if err := bs.read(p); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := bs.errorPaths(root)
	if want := "p/p.go:6\tT.Do\tif err := f(); err != nil {\treturn err\n"; err != nil || len(paths) != 1 || paths[0] != want {
		t.Errorf("%q, %v; want %q", paths, err, want)
	}
	var b bytes.Buffer
	if err := bs.summary(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"50.0 %           6  agent/p\n", "0.0 %           6  agent/bench\n", "50.0 %           6  what users run\n", "25.0 %          12  all\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if err := (blocks{}).read(filepath.Join(root, "p", "p.go")); err == nil {
		t.Error("a file that is no profile was read as one")
	}
}
