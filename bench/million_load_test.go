//go:build load && linux

package main

import (
	"fmt"
	"strings"
	"testing"

	"agent/bench/sink"
)

// TestLoadMillion proves that a million files are sent to the last one, although
// the upload is killed in the middle, twice; that each object has then the name and
// the bytes of its file; and that sync, ls, verify and a deletion of 100,000 get
// along with a million objects in the memory of a few.
func TestLoadMillion(t *testing.T) {
	const extra = 100_000
	all := tiles{1_000_000, true}
	dir := t.TempDir()
	all.link(t, dir)
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Keep(0)
	u := user{t, s, t.TempDir(), allowed}
	const dest = "s3://bench/data/"

	for _, until := range []int64{300_000, 700_000} {
		cmd := using(s, u.home, "upload", "--quiet", dir, dest)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := killAt(cmd, func() bool { return s.Counts().Objects >= until })
		rss, err := watched(cmd)
		ended()
		if n := s.Counts().Objects; err == nil || n < until || rss > allowed {
			t.Fatalf("killed at %d objects, RssAnon %d: %v", n, rss, err)
		}
		t.Logf("killed   RssAnon at most %5.1f MiB; %d objects are stored", float64(rss)/mib, s.Counts().Objects)
	}
	u.run(0, "upload", "--quiet", dir, dest)
	if n := all.check(t, s, "data/"); n != all.files {
		t.Fatalf("%d files are stored", n)
	}
	// What was acknowledged shortly before a kill went again.
	sent := s.Counts().Objects
	t.Logf("%d files were sent %d times", all.files, sent)
	if again := sent - int64(all.files); again > 2*int64(all.files)/100 {
		t.Errorf("%d files were sent again", again)
	}

	for _, args := range [][]string{nil, {"--state-dir", t.TempDir()}} {
		_, did := u.run(0, append([]string{"sync", "--quiet", dir, dest}, args...)...)
		if did.Objects > 0 || did.Requests != did.Lists || did.Lists > int64(all.files/1000)+1 {
			t.Errorf("%q: of unchanged files it made %+v", args, did)
		}
	}
	all.listed(u, dest, "data/")

	const changed = 777_777
	s.Store("bench", "data/"+all.name(changed), all.body(changed+1))
	out, _ := u.run(3, "verify", "--quiet", dir, dest)
	if strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "content ") || !strings.Contains(out, all.name(changed)) {
		t.Errorf("it finds %.2000q", out)
	}
	s.Store("bench", "data/"+all.name(changed), all.body(changed))

	for i := range extra {
		s.Store("bench", fmt.Sprintf("data/%04d/extra-%d", i%1000, i), nil)
	}
	u.run(0, "sync", "--quiet", "--delete", dir, dest)
	if n := all.check(t, s, "data/"); n != all.files {
		t.Errorf("%d files are stored when others were deleted", n)
	}
}
