//go:build linux && long

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// It-must-show 2: a sync of 100,000 unchanged files makes one ListObjectsV2 for
// each 1,000 of them, and no other request.
func TestLongSyncOf100000Unchanged(t *testing.T) {
	const n = 100_000
	r := newRig(t, "-role", "platform").withToken()
	dir := t.TempDir()
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprintf("%03d", i/1000))
		if i%1000 == 0 {
			if err := os.Mkdir(sub, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("%06d", i)), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	if e := r.start("sync", "-q", dir, r.dest).waitFor(30 * time.Minute); e.code != exitDone {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	t.Logf("sent in %v", time.Since(begin).Round(time.Millisecond))
	for _, args := range [][]string{nil, {"--delete"}} {
		seen, begin := len(mustRequests(t, r)), time.Now()
		r.sync(exitDone, dir, append(args, "-q")...)
		took := time.Since(begin)
		ops := mustRequests(t, r)[seen:]
		if len(ops) > n/1000+1 || slices.ContainsFunc(ops, func(op string) bool { return op != "ListObjectsV2" }) {
			t.Errorf("%q: %d requests", args, len(ops))
		}
		t.Logf("%q: %d requests, %v", args, len(ops), took.Round(time.Millisecond))
	}
}
