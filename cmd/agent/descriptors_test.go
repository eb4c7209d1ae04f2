//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"agent/bench/sink"
	"agent/transfer/s3store"
)

// newSinkRig is a rig without a platform: its server is a sink that keeps small
// objects, behind a way that takes latency.
func newSinkRig(t *testing.T, latency time.Duration) (*rig, *sink.Server) {
	t.Helper()
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	s.Keep(8 << 20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		time.Sleep(latency)
		s.ServeHTTP(w, req)
	}))
	t.Cleanup(func() {
		server.Close()
		_ = s.Close()
	})
	dir := t.TempDir()
	r := searched(&rig{t: t, home: filepath.Join(dir, "home"), state: filepath.Join(dir, "state"), dest: "s3://bench/ws/data/", prefix: "ws/data/"})
	if err := os.MkdirAll(r.home, 0o700); err != nil {
		t.Fatal(err)
	}
	r.env = r.given(append(cleanEnv(r.home, r.state), "AWS_ENDPOINT_URL="+server.URL, "AWS_REGION=eu-west-2",
		"AWS_ACCESS_KEY_ID=AKIASINK", "AWS_SECRET_ACCESS_KEY=secret-of-the-sink"))
	return r, s
}

// TestFewFilesAreEnough proves that what lanes and scans may have open together keeps
// below the limit, whatever it is.
func TestFewFilesAreEnough(t *testing.T) {
	for limit := 32; limit < 2000; limit++ {
		lanes := min(lanesFor(limit), s3store.MaxLanes)
		if n := lanes*filesForLane + 2*readersFor(limit-lanes*filesForLane) + filesAnyway; n > limit {
			t.Errorf("with a limit of %d there are %d lanes, and %d files open", limit, lanes, n)
		}
		reading := readingFor(limit)
		if n := reading*filesForReading + readersFor(limit-reading*filesForReading) + filesAnyway; n > limit {
			t.Errorf("with a limit of %d, %d files are verified at once, and %d open", limit, reading, n)
		}
	}
	if n := readersFor(1024 - s3store.MaxLanes*filesForLane); n != 16 {
		t.Errorf("where all lanes are to be had, %d directories are read at once", n)
	}
}

// TestOpensNoMoreThanItsLanesNeed proves that where many files may be open, no more
// are than what the limit of few is reckoned by: so many for each lane.
func TestOpensNoMoreThanItsLanesNeed(t *testing.T) {
	t.Parallel()
	const limit, most = 20_000, filesForLane*s3store.MaxLanes + filesBeside
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Max < limit && os.Geteuid() != 0 {
		t.Skipf("the limit of open files can't be raised to %d here: it is %d, %v", limit, l.Max, err)
	}
	files := tree{}.with("large", 3<<20)
	for i := range 2000 {
		files.with(fmt.Sprintf("%02d/%04d", i%50, i), 100+i%9)
	}
	dir := files.write(t)
	// Each request takes so long that more lanes are always of use.
	r, s := newSinkRig(t, 20*time.Millisecond)
	copied := filepath.Join(t.TempDir(), "copied")
	for _, c := range []struct {
		most int
		args []string
	}{
		{most, []string{"upload", dir, r.dest}},
		{8*filesForLane + filesBeside, []string{"upload", "--parallel", "8", dir, r.dest + "again/"}},
		{most, []string{"download", r.dest, copied}},
		{8*filesForReading + filesBeside, []string{"verify", "--no-extra", dir, r.dest}},
		{8*filesForLane + filesBeside, []string{"sync", "--checksum", "--parallel", "8", dir, r.dest}},
		{most, []string{"sync", "--checksum", r.dest, copied}},
	} {
		p := r.startAs(exec.Command("/bin/sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, limit), built.agent}, c.args...)...))
		seen := p.mostOpen()
		e := p.wait()
		if e.code != 0 || strings.Contains(e.err, "may be open at once") {
			t.Errorf("%q: exit %d\n%s", c.args, e.code, e.err)
		}
		t.Logf("%-8s %d open at most, of %d for its lanes", c.args[0], seen, c.most)
		if seen > c.most || seen < 10 {
			t.Errorf("%q: %d open, want at most %d", c.args, seen, c.most)
		}
	}
	n := 0
	for range s.Objects() {
		n++
	}
	if n != 2*len(files) {
		t.Errorf("%d objects are stored", n)
	}
	for name, body := range files {
		if b, err := os.ReadFile(filepath.Join(copied, name)); err != nil || string(b) != string(body) {
			t.Fatalf("%s: %d bytes, %v", name, len(b), err)
		}
	}
}

// mostOpen is how many descriptors a process was ever seen with, until it has ended.
func (p *proc) mostOpen() (most int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return most
		case <-tick.C:
			all, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)) // it may have gone
			most = max(most, len(all))
		}
	}
}

// TestPartThatIsTooLong proves that a key with a part that no file system takes is
// named as a failure, and is in nobody's way: the others are fetched, a sync deletes
// nothing while it is there, and it is listed and deleted like others.
func TestPartThatIsTooLong(t *testing.T) {
	t.Parallel()
	r, s := newSinkRig(t, 0)
	long := strings.Repeat("n", 256)
	most := strings.Repeat("m", 255)
	for _, name := range []string{long, long + "/below", most, "d/" + most + "/" + most, "short"} {
		s.Store("bench", r.prefix+name, []byte("body of "+name))
	}
	dir := t.TempDir()
	e := r.run("download", r.dest, dir)
	for _, name := range []string{long, long + "/below"} {
		if !strings.Contains(e.err, "failed: "+r.prefix+name+": name: key cannot be a file name here: a part of it has 256 bytes, of at most 255") {
			t.Errorf("%s is not named:\n%s", name, e.err)
		}
	}
	if e.code != exitFailures || !strings.Contains(e.err, "have it renamed in the store") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	for _, name := range []string{most, "d/" + most + "/" + most, "short"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); string(b) != "body of "+name {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	own := filepath.Join(dir, "own")
	if err := os.WriteFile(own, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := r.run("sync", "--delete", "--max-delete", "50%", r.dest, dir); e.code != exitFailures || !strings.Contains(e.err, "nothing was deleted") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	if _, err := os.Stat(own); err != nil {
		t.Error(err)
	}
	if e := r.run("ls", "-r", r.dest); e.code != 0 || strings.Count(e.out, long) != 2 {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
	if e := r.run("rm", "-r", "-y", r.dest); e.code != 0 {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	for o := range s.Objects() {
		t.Errorf("%s is left", o.Key)
	}
}
