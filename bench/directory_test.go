//go:build long && linux

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agent/bench/sink"
)

// TestLongOneDirectory proves that a directory of 100,000 files is sent, compared,
// listed, verified and fetched in memory that does not grow with it, and that each
// of them sees every file. s5cmd#745, azcopy#2632, rclone#7974.
func TestLongOneDirectory(t *testing.T) {
	const gone = 50
	all := tiles{files: 100_000}
	dir, copied := inRAM(t), filepath.Join(inRAM(t), "copy")
	all.link(t, dir)
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Keep(100)
	u := user{t, s, t.TempDir(), budget}
	const dest = "s3://bench/data/"

	u.run(0, "upload", "--quiet", dir, dest)
	if n := all.check(t, s, "data/"); n != all.files {
		t.Fatalf("%d files are stored", n)
	}
	for _, args := range [][]string{nil, {"--delete"}, {"--state-dir", t.TempDir()}} {
		_, did := u.run(0, append([]string{"sync", "--quiet", dir, dest}, args...)...)
		if did.Objects > 0 || did.Requests != did.Lists || did.Lists > int64(all.files/1000)+1 {
			t.Errorf("%q: of unchanged files it made %+v", args, did)
		}
	}
	all.listed(u, dest, "data/")

	u.run(0, "verify", "--quiet", dir, dest)
	const changed = 77_777
	s.Store("bench", "data/"+all.name(changed), all.body(changed+1))
	out, _ := u.run(3, "verify", "--quiet", dir, dest)
	if strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "content ") || !strings.Contains(out, all.name(changed)) {
		t.Errorf("it finds %.2000q", out)
	}
	s.Store("bench", "data/"+all.name(changed), all.body(changed))

	u.run(0, "download", "--quiet", dest, copied)
	all.sameAs(t, copied)
	plain, _ := s.URL()
	for i := range gone {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, plain+"/bench/data/"+all.name(i*2000), nil)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	if _, did := u.run(0, "sync", "--quiet", "--delete", dest, copied); did.Requests != did.Lists {
		t.Errorf("of unchanged objects it made %+v", did)
	}
	entries, err := os.ReadDir(copied)
	if err != nil || len(entries) != all.files-gone {
		t.Errorf("%d files are left, %v", len(entries), err)
	}
	for i := range gone {
		if _, err := os.Lstat(filepath.Join(copied, all.name(i*2000))); err == nil {
			t.Error(fmt.Sprint(all.name(i*2000), " is left"))
		}
	}
}
