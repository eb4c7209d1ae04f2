//go:build long && linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLongSyncUnchanged proves what a sync costs where nothing has changed: one
// listing of 1,000 keys a request and nothing else, with a journal and without, and
// with --delete.
func TestLongSyncUnchanged(t *testing.T) {
	t.Parallel()
	const files, page = 100_000, 1000
	dir := t.TempDir()
	for i := range files {
		folder := filepath.Join(dir, fmt.Sprintf("%03d", i/1000))
		if i%1000 == 0 {
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%06d.json", i)), fmt.Appendf(nil, "{%d}", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t).withToken()
	sync := func(args ...string) map[string]int {
		began, mark := time.Now(), r.mark()
		e := r.start(append([]string{"sync", dir, r.dest}, args...)...).waitFor(10 * patience)
		if e.code != 0 {
			t.Fatalf("exit %d\n%s", e.code, e.err)
		}
		did := ops(r.requests(mark))
		t.Logf("%q: %v, %v", args, time.Since(began).Round(time.Millisecond), did)
		return did
	}
	if did := sync(); did["PutObject"] != files {
		t.Fatalf("%d files of %d were sent", did["PutObject"], files)
	}
	for _, args := range [][]string{nil, {"--delete"}, {"--state-dir", filepath.Join(r.home, "without-journal")}} {
		if did := sync(args...); len(did) != 1 || did["ListObjectsV2"] == 0 || did["ListObjectsV2"] > files/page {
			t.Errorf("%q: of %d unchanged files it makes the requests %v", args, files, did)
		}
	}
}
