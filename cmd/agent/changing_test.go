//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFileBeingWritten proves that a file which grows while it is read is
// named as such and is not stored half-and-half, and that the others are sent.
func TestFileBeingWritten(t *testing.T) {
	t.Parallel()
	files := tree{}.with("before", 100).with("growing.log", 11<<20).with("later", 200)
	dir := files.write(t)
	r := newRig(t, "-rate", "10MB").withToken()
	var wg sync.WaitGroup
	over := make(chan struct{})
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				grow(t, filepath.Join(dir, "growing.log"), []byte("line\n"))
			}
		}
	})
	e := r.upload(1, "--part-size", "5MiB", dir)
	close(over)
	wg.Wait()
	if want := filepath.Join(dir, "growing.log") + ": read"; !strings.Contains(e.err, want) || !strings.Contains(e.err, "file changed while it was read") {
		t.Errorf("it says\n%s", e.err)
	}
	delete(files, "growing.log")
	r.holds(files)
}

// TestFileVanishes proves that a file which is gone when its turn comes fails
// alone. rclone#7449: the source vanished in mid-upload.
func TestFileVanishes(t *testing.T) {
	t.Parallel()
	files := tree{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "z"} {
		files.with(name, 1<<20)
	}
	dir := files.write(t)
	r := newRig(t, "-rate", "2MB").withToken()
	p := r.startUpload("--parallel", "1", dir)
	until(t, "the first object", func() bool { return len(stored(r.requests(0), "PutObject")) > 0 })
	if err := os.Remove(filepath.Join(dir, "z")); err != nil {
		t.Fatal(err)
	}
	if e := p.wait(); e.code != 1 || !strings.Contains(e.err, filepath.Join(dir, "z")+": open") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	delete(files, "z")
	r.holds(files)
}
