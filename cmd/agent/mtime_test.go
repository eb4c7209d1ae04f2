//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// The time of a file goes with it as rclone writes it, by one request and by
// parts, and a download brings it back. Another time alone sends nothing again.
func TestMTimeGoesWithTheFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-role", "platform").withToken()
	dir := t.TempDir()
	when := time.Unix(1354040105, 123456789)
	for name, size := range map[string]int{"small": 10, "large": 11 << 20} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, noise(name, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	r.upload(exitDone, "--part-size", "5MiB", dir)
	for _, name := range []string{"small", "large"} {
		info, err := r.witness.StatObject(t.Context(), r.sb.Bucket(), r.prefix+name, minio.StatObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := info.UserMetadata["Mtime"]; got != "1354040105.123456789" {
			t.Errorf("%s: mtime %q among %v", name, got, info.UserMetadata)
		}
	}
	back := t.TempDir()
	if e := r.run("download", r.dest, back); e.code != exitDone {
		t.Fatalf("exit %d: %s", e.code, e.err)
	}
	for _, name := range []string{"small", "large"} {
		fi, err := os.Stat(filepath.Join(back, name))
		if err != nil {
			t.Fatal(err)
		}
		if !fi.ModTime().Equal(when) {
			t.Errorf("%s came back with %v", name, fi.ModTime())
		}
	}
	if err := os.Chtimes(filepath.Join(dir, "small"), when, when.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	seen := len(mustRequests(t, r))
	r.upload(exitDone, dir)
	for _, q := range mustRequests(t, r)[seen:] {
		if q != "ListObjectsV2" {
			t.Errorf("a file that was only touched made a %s", q)
		}
	}
}

// mustRequests are the operations the platform has seen.
func mustRequests(t *testing.T, r *rig) []string {
	t.Helper()
	all, err := r.sb.Requests()
	if err != nil {
		t.Fatal(err)
	}
	ops := make([]string, len(all))
	for i, q := range all {
		ops[i] = q.Op
	}
	return ops
}
