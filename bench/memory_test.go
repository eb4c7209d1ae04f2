//go:build long && linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"agent/bench/sink"
)

// The default of --memory, and what everything else may take beside it.
const (
	budget = 64 * mib
	beside = 32 * mib
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

// inBudget uploads dir at defaults and checks the most anonymous memory that
// the agent ever had.
func inBudget(t *testing.T, dir string) sink.Counts {
	t.Helper()
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plain, _ := s.URL()
	home := t.TempDir()
	cmd := exec.Command(built, "upload", "--quiet", "--state-dir", filepath.Join(home, "state"), dir, "s3://bench/data/")
	cmd.Env = []string{
		"HOME=" + home, "AWS_ENDPOINT_URL=" + plain, "AWS_REGION=eu-west-2", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=AKIABENCH", "AWS_SECRET_ACCESS_KEY=bench",
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var most, samples int64
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s", err, out.Bytes())
			}
			t.Logf("RssAnon at most %.1f MiB in %d samples over %v; allowed %d MiB",
				float64(most)/mib, samples, time.Since(began).Round(time.Millisecond), (budget+beside)/mib)
			if most > budget+beside || samples < 10 {
				t.Errorf("RssAnon %d bytes in %d samples", most, samples)
			}
			return s.Counts()
		case <-tick.C:
			if n, ok := rssAnon(cmd.Process.Pid); ok {
				most = max(most, n)
				samples++
			}
		}
	}
}
