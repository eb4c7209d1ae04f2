//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smallDisk is a file system of its own, of this many bytes. It takes root.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	at := t.TempDir()
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size="+size); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("no small disk to fill: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return at
}

// remount changes a smallDisk.
func remount(t *testing.T, at string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", at, "tmpfs", syscall.MS_REMOUNT|flags, options); err != nil {
		t.Fatal(err)
	}
}

// says checks what a run has ended with.
func (e ended) says(t *testing.T, code int, texts ...string) {
	t.Helper()
	if e.code != code {
		t.Errorf("exit %d, want %d", e.code, code)
	}
	for _, text := range texts {
		if !strings.Contains(e.err, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if t.Failed() {
		t.Log(e.err)
	}
}

// TestDiskFull proves that a disk without room for the journal ends an upload
// with 8 and the remedy, and that with room the same command goes on.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	files := tree{}
	for i := range 4000 {
		files.with(fmt.Sprintf("a-directory-of-its-own/and-a-name-that-takes-room-%04d", i), 10)
	}
	dir := files.write(t)
	r := newRig(t).withToken()
	r.state = smallDisk(t, "600k")
	r.env = append(r.env, "AGENT_STATE_DIR="+r.state)
	r.upload(8, dir).says(t, 8, "no space left on device", "make room or choose another folder with --state-dir", goesOn)
	first := ops(stored(r.requests(0), "PutObject"))["PutObject"]
	remount(t, r.state, 0, "size=50m")
	r.upload(0, dir)
	r.holds(files)
	again := ops(stored(r.requests(0), "PutObject"))["PutObject"] - len(files)
	t.Logf("%d of %d objects were stored when the disk was full; %d were sent again", first, len(files), again)
	// What is acknowledged between two commits of the journal is not in it.
	if first == 0 || again < 0 || again > 1000 {
		t.Errorf("%d stored, %d again", first, again)
	}
}

// TestDiskFullDownload is the same for a directory without room for what is
// fetched.
func TestDiskFullDownload(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 30<<20).with("sub/small", 1000)
	r := newRig(t).withToken()
	r.fill(files)
	to := smallDisk(t, "20m")
	e := r.download(8, "--part-size", "5MiB", "--parallel", "2", to)
	e.says(t, 8, "the disk does not take it", "no space left on device", "make room in the directory", goesOn)
	if _, err := os.Stat(filepath.Join(to, "large")); err == nil {
		t.Error("half a file has the name of the whole")
	}
	remount(t, to, 0, "size=80m")
	r.download(0, "--part-size", "5MiB", to)
	files.isIn(t, to)
}

// TestDiskReadOnly proves that a disk that takes nothing is said before anything
// is moved, wherever it is.
func TestDiskReadOnly(t *testing.T) {
	t.Parallel()
	files := tree{}.with("a", 1000).with("b/c", 10)
	dir := files.write(t)
	r := newRig(t).withToken()
	at := smallDisk(t, "20m")
	remount(t, at, syscall.MS_RDONLY, "")
	state := r.env
	r.env = append(r.env, "AGENT_STATE_DIR="+filepath.Join(at, "state"))
	r.upload(8, dir).says(t, 8, "read-only file system", "--state-dir")
	if n := len(stored(r.requests(0), "PutObject")); n > 0 {
		t.Errorf("%d objects were sent without a journal", n)
	}
	remount(t, at, 0, "size=20m")
	r.upload(0, dir)
	r.holds(files)

	r.env = state
	to := filepath.Join(at, "fetched")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	remount(t, at, syscall.MS_RDONLY, "")
	mark := r.mark()
	r.download(8, to).says(t, 8, "read-only file system", "make it writable")
	if n := ops(r.requests(mark))["GetObject"]; n > 0 {
		t.Errorf("%d objects were fetched to nowhere", n)
	}
	remount(t, at, 0, "size=20m")
	r.download(0, to)
	files.isIn(t, to)
}

// TestDiskFullManifest proves that a manifest for which there is no room leaves the one
// before it as it was, and nothing else, and that the same command writes it later.
func TestDiskFullManifest(t *testing.T) {
	t.Parallel()
	files := tree{}
	for i := range 400 {
		files.with(fmt.Sprintf("a-directory-of-its-own/and-a-name-that-takes-room-%04d", i), 10)
	}
	dir := files.write(t)
	r := newRig(t).withToken()
	at := smallDisk(t, "64k")
	path := filepath.Join(at, "manifest")
	if err := os.WriteFile(path, []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.upload(8, "--manifest", path, dir).says(t, 8, "the manifest "+path, "no space left on device", "the same command writes the manifest alone")
	b, err := os.ReadFile(path)
	entries, derr := os.ReadDir(at)
	if err != nil || derr != nil || string(b) != "old\n" || len(entries) != 1 {
		t.Errorf("%.20q, %v; there are %v, %v", b, err, entries, derr)
	}
	remount(t, at, 0, "size=50m")
	mark := r.mark()
	r.upload(0, "--manifest", path, dir)
	if b, err = os.ReadFile(path); err != nil || strings.Count(string(b), "\n") != len(files) {
		t.Errorf("%d lines, %v", strings.Count(string(b), "\n"), err)
	}
	if n := len(stored(r.requests(mark), "PutObject")); n > 0 {
		t.Errorf("%d objects were sent again", n)
	}
}

// TestSyncDownThatCannotDelete proves that a file which can't be deleted is named and ends
// the sync with 1, and that the others go.
func TestSyncDownThatCannotDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t).withToken()
	r.fill(tree{}.with("a", 10))
	dir := tree{}.with("goes", 10).with("stuck", 10).with("sub/goes", 10).write(t)
	stuck := filepath.Join(dir, "stuck")
	other := filepath.Join(tree{}.with("other", 10).write(t), "other")
	if err := syscall.Mount(other, stuck, "", syscall.MS_BIND, ""); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("nothing that can't be deleted: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(stuck, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	e := r.syncDown(exitFailures, dir, "--delete", "--max-delete", "10")
	e.says(t, exitFailures, "stuck", "device or resource busy")
	for name, there := range map[string]bool{"a": true, "stuck": true, "goes": false, "sub": false} {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}
