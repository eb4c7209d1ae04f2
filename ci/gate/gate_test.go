package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written is a file of a test.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const stream = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    x_test.go:1: because\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestOff","Output":"    x_test.go:2: no such thing\n"}
{"Action":"skip","Package":"p","Test":"TestOff"}
{"Action":"output","Package":"p","Test":"TestDying","Output":"panic: oh\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"ImportPath":"q","Action":"build-output","Output":"q/x.go:1: syntax\n"}
go: some words of its own
`

func TestPass(t *testing.T) {
	var out, log bytes.Buffer
	if err := pass(strings.NewReader(stream), &out, &log, false); err != nil {
		t.Fatal(err)
	}
	want := "    x_test.go:1: because\nFAIL\tp\t0.1s\npanic: oh\nq/x.go:1: syntax\ngo: some words of its own\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	want = `{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"skip","Package":"p","Test":"TestOff"}
{"Action":"fail","Package":"p"}
`
	if log.String() != want {
		t.Errorf("%s", log.String())
	}
	out.Reset()
	if err := pass(strings.NewReader(stream), &out, &log, true); err != nil || !strings.Contains(out.String(), "=== RUN   TestGood\n") {
		t.Errorf("%v, %q", err, out.String())
	}
}

const results = `{"Action":"pass","Package":"agent/p","Test":"TestGood"}
{"Action":"pass","Package":"agent/p","Test":"TestLongMemoryOne"}
{"Action":"pass","Package":"agent/p","Test":"TestScripts/filter"}
{"Action":"skip","Package":"agent/p","Test":"TestOff"}
{"Action":"skip","Package":"agent/p","Test":"TestLater"}
{"Action":"pass","Package":"agent/p","Test":"TestLater"}
{"Action":"fail","Package":"agent/p","Test":"TestBad"}
{"Action":"pass","Package":"agent/p","Test":"FuzzIt"}
{"Action":"skip","Package":"agent/p","Test":"FuzzIt/seed#3"}
{"Action":"pass","Package":"agent/p","Test":"TestStores/one"}
{"Action":"skip","Package":"agent/p","Test":"TestStores/two"}
{"Action":"pass","Package":"agent/p","Test":"TestStores/three"}
{"Action":"skip","Package":"agent/p","Test":"TestStores/three/a_part"}
{"Action":"skip","Package":"agent/p","Test":"TestStores/four"}
{"Action":"pass","Package":"agent/p","Test":"TestStores/four"}
{"Action":"pass","Package":"agent/p","Test":"TestStores"}
{"Action":"pass","Package":"agent/p","Test":"TestStoresTable"}
{"Action":"skip","Package":"agent/p","Test":"TestStoresTable/two"}
`

func TestCheck(t *testing.T) {
	log := written(t, results)
	for _, c := range []struct {
		list, promises string
		want           string // what the error says; "" for none
	}{
		{"# those\nagent/p TestGood\n\nagent/p TestLater # in the second run\n", "", ""},
		{"agent/p TestOff\n", "", "agent/p TestOff was skipped"},
		{"agent/p TestGone\n", "", "agent/p TestGone did not run"},
		{"agent/q TestGood\n", "", "agent/q TestGood did not run"},
		{"agent/p TestBad\n", "", "agent/p TestBad failed"},
		{"TestGood\n", "", "is not PACKAGE TEST"},
		{"agent/p TestGood\n", "| p | tests |\n|---|---|\n| a | `TestGood`, `FuzzIt`, script `filter`, `TestLongMemory…` in `bench/x` (`make x`) |\n", ""},
		{"agent/p TestGood\n- TestSoak # make soak\n", "| a | `TestSoak` |\n", ""},
		{"", "| `TestNot` is only named | `TestOff` |\n", "1 of 1 tests that may not be left out:\n  TestOff was skipped"},
		{"", "| a | scripts `filter`, `sync-down` |\n", "1 of 2 tests that may not be left out:\n  TestScripts/sync-down did not run"},
		{"", "| a | `TestLongNot…` |\n", "TestLongNot… did not run"},
		{"agent/p TestStores/one\nagent/p TestStores/four\n", "", ""},
		{"agent/p TestStores/two\n", "", "agent/p TestStores/two was skipped"},
		{"agent/p TestStores/five\n", "", "agent/p TestStores/five did not run"},
		{"agent/p TestStores/three\n", "", "agent/p TestStores/three passed without TestStores/three/a_part"},
		{"agent/p TestStores\n", "", "agent/p TestStores passed without TestStores/three/a_part, TestStores/two"},
		{"- TestStores/two # is not installed\n", "| a | `TestStores` |\n", "TestStores passed without TestStores/three/a_part"},
		{"- TestStores/two\n- TestStores/three\n", "| a | `TestStores` |\n", ""},
		{"- TestStores/two\n- TestStores/three/a\n", "| a | `TestStores` |\n", "TestStores passed without TestStores/three/a_part"},
		{"- TestStores/two\n- TestStores/three\nagent/p TestStores/two\n", "", "agent/p TestStores/two was skipped"},
		{"- TestStores/two\n- TestStores/three/a_part\n", "| a | `TestStores…` |\n", "TestStores… passed without TestStoresTable/two"},
		{"", "no table\n", "names no test"},
		{"", "", "nothing is asked for"},
	} {
		args := []string{"check", "-log", log}
		if c.list != "" {
			args = append(args, "-list", written(t, c.list))
		}
		if c.promises != "" {
			args = append(args, "-promises", written(t, c.promises))
		}
		var out bytes.Buffer
		err := run(args, &out)
		if c.want == "" {
			if err != nil || !strings.Contains(out.String(), "have passed") || !strings.Contains(out.String(), "skipped, as it may be: agent/p TestOff") {
				t.Errorf("%q %q: %v\n%s", c.list, c.promises, err, out.String())
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: %v, want %q", c.list, c.promises, err, c.want)
		}
	}
}

// TestTheList: the list of this repository can be read, and the page of promises
// names tests that are there.
func TestTheList(t *testing.T) {
	list, err := readList("../../.ci/required")
	if err != nil || len(list) < 10 {
		t.Errorf("%d tests: %v", len(list), err)
	}
	promised, err := readPromises("../../docs/guarantees.md")
	if err != nil || len(promised) < 50 {
		t.Errorf("%d tests: %v", len(promised), err)
	}
}

// TestRunFails: go test's verdict is ours.
func TestRunFails(t *testing.T) {
	var out bytes.Buffer
	log := filepath.Join(t.TempDir(), "log")
	if err := run([]string{"run", "-log", log, "--", "./no-such-package"}, &out); err == nil {
		t.Errorf("%s", out.String())
	}
}
