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
// listing of 1,000 keys a request and nothing else, with a journal and without.
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
	sync := func(state string) map[string]int {
		began, mark := time.Now(), r.mark()
		e := r.start("sync", "--state-dir", state, dir, r.dest).waitFor(10 * patience)
		if e.code != 0 {
			t.Fatalf("exit %d\n%s", e.code, e.err)
		}
		did := ops(r.requests(mark))
		t.Logf("%v: %v", time.Since(began).Round(time.Millisecond), did)
		return did
	}
	if did := sync(r.state); did["PutObject"] != files {
		t.Fatalf("%d files of %d were sent", did["PutObject"], files)
	}
	for _, state := range []string{r.state, filepath.Join(r.home, "without-journal")} {
		if did := sync(state); len(did) != 1 || did["ListObjectsV2"] == 0 || did["ListObjectsV2"] > files/page {
			t.Errorf("of %d unchanged files it makes the requests %v", files, did)
		}
	}
}
