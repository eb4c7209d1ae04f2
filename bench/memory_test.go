//go:build long && linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"agent/bench/sink"
)

// TestLongMemorySmall proves that memory does not grow with the number of
// files. aws-cli#1775, rclone#7966: gigabytes for many small files.
func TestLongMemorySmall(t *testing.T) {
	dir := t.TempDir()
	const files, perInode = 100_000, 1000
	var first string
	for i := range files {
		if i%1000 == 0 {
			if err := os.Mkdir(filepath.Join(dir, fmt.Sprintf("%03d", i/1000)), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, fmt.Sprintf("%03d", i/1000), fmt.Sprintf("%06d.json", i))
		var err error
		if i%perInode == 0 { // a file system has a limit of links
			first = path
			err = os.WriteFile(path, bytes.Repeat([]byte{byte(i)}, 1024), 0o600)
		} else {
			err = os.Link(first, path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got := inBudget(t, dir)
	if got.Objects != files || got.Bytes != files*1024 {
		t.Errorf("the server got %+v", got)
	}
}

// TestLongMemoryLarge proves that memory does not grow with the size of a file.
func TestLongMemoryLarge(t *testing.T) {
	dir := t.TempDir()
	const size = 20 * gib
	path := filepath.Join(dir, "large.tif")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	got := inBudget(t, dir)
	if got.Objects != 1 || got.Bytes != size {
		t.Errorf("the server got %+v", got)
	}
}

// TestLongMemoryMillion proves that memory does not grow with a million files, in
// one directory or in many, and that a run which finds a tenth of them done asks
// for no more than what is behind. The first run is killed when so much is stored;
// what is stored then has the names and the bytes of files.
func TestLongMemoryMillion(t *testing.T) {
	const files, done = 1_000_000, 100_000
	for name, all := range map[string]tiles{"one directory": {files: files}, "a tree": {files, true}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			all.link(t, dir)
			s, err := sink.Start("")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			s.Keep(0)
			home := t.TempDir()
			for _, until := range []int64{done, done + 1000} {
				before := s.Counts()
				cmd := uploading(s, home, dir)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				ended := killAt(cmd, func() bool { return s.Counts().Objects >= until })
				rss, _ := watched(cmd)
				ended()
				got := s.Counts().Sub(before)
				t.Logf("RssAnon at most %.1f MiB; %+v", float64(rss)/mib, got)
				if rss == 0 || rss > allowed || s.Counts().Objects < until {
					t.Errorf("RssAnon %d bytes; the server got %+v: %v", rss, got, cmd.ProcessState)
				}
				// One for what is behind the mark, and one for the key at most.
				if got.Lists > 2 {
					t.Errorf("%d listings", got.Lists)
				}
			}
			g, err := journalIn(t.Context(), filepath.Join(home, "state"))
			// Each kill may have cost what was not yet on disk.
			if err != nil || g.Files < done-files/100 || g.Files > done+files/100 {
				t.Errorf("the journal knows %d files, %v", g.Files, err)
			}
			if n := all.check(t, s, "data/"); n < done || n > done+files/100 {
				t.Errorf("%d are stored", n)
			}
		})
	}
}

// uploading is the agent that uploads dir at defaults.
func uploading(s *sink.Server, home, dir string) *exec.Cmd {
	return using(s, home, "upload", "--quiet", dir, "s3://bench/data/")
}

// inBudget uploads dir at defaults and checks the most anonymous memory that
// the agent ever had.
func inBudget(t *testing.T, dir string) sink.Counts {
	t.Helper()
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cmd := uploading(s, t.TempDir(), dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	most, err := watched(cmd)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	t.Logf("RssAnon at most %.1f MiB; allowed %d MiB", float64(most)/mib, budget/mib)
	if most == 0 || most > budget {
		t.Errorf("RssAnon %d bytes", most)
	}
	return s.Counts()
}
