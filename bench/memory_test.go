//go:build long && linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"agent/bench/sink"
)

// budget is what the agent may take at defaults, with everything: as much as
// --memory is by itself.
const budget = 64 * mib

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

// allowed is what a million files may take, by the requirements.
const allowed = 150 * mib

// TestLongMemoryMillion proves that memory does not grow with a million files, in
// one directory or in many, and that a run which finds a tenth of them done asks
// for no more than what is behind. The first run is killed when so much is stored.
func TestLongMemoryMillion(t *testing.T) {
	const files, done = 1_000_000, 100_000
	for name, fill := range map[string]func(*testing.T, string){"one directory": linksIn, "a tree": linksTo} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir)
			s, err := sink.Start("")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			home := t.TempDir()
			for _, until := range []int64{done, done + 1000} {
				before := s.Counts()
				cmd := uploading(s, home, dir)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan struct{})
				go func() {
					for tick := time.NewTicker(5 * time.Millisecond); s.Counts().Objects < until; {
						select {
						case <-tick.C:
						case <-ended:
							return
						}
					}
					_ = cmd.Process.Kill()
				}()
				rss, _ := watched(cmd)
				close(ended)
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
		})
	}
}

// linksIn makes a million names in dir.
func linksIn(t *testing.T, dir string) {
	var first string
	for i := range 1_000_000 {
		path := filepath.Join(dir, fmt.Sprintf("tile-%09d.tif", i))
		var err error
		if i%1000 == 0 { // a file system has a limit of links
			first = path
			err = os.WriteFile(path, []byte{byte(i)}, 0o600)
		} else {
			err = os.Link(first, path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// linksTo makes a directory of a thousand files that has a thousand names.
func linksTo(t *testing.T, dir string) {
	there := t.TempDir()
	for i := range 1000 {
		if err := os.WriteFile(filepath.Join(there, fmt.Sprintf("tile-%09d.tif", i)), []byte{byte(i)}, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(there, filepath.Join(dir, fmt.Sprintf("%04d", i))); err != nil {
			t.Fatal(err)
		}
	}
}

// uploading is the agent that uploads dir at defaults.
func uploading(s *sink.Server, home, dir string) *exec.Cmd {
	plain, _ := s.URL()
	cmd := exec.Command(built, "upload", "--quiet", "--state-dir", filepath.Join(home, "state"), dir, "s3://bench/data/")
	cmd.Env = []string{
		"HOME=" + home, "AWS_ENDPOINT_URL=" + plain, "AWS_REGION=eu-west-2", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=AKIABENCH", "AWS_SECRET_ACCESS_KEY=bench",
	}
	return cmd
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
