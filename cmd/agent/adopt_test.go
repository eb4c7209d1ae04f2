//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// TestAdopt proves that what another tool has stored is not sent again: its
// bytes are compared by whatever the store keeps of them, of the whole or of
// parts, and what differs is sent.
func TestAdopt(t *testing.T) {
	t.Parallel()
	files := tree{"empty": {}}.with("single", 100_000).with("parts", 12<<20).
		with("crcs", 12<<20+1).with("md5s", 11<<20).with("differs", 5000).with("new", 10)
	r := newRig(t).withToken()
	r.store("empty", nil, minio.PutObjectOptions{})
	r.store("single", files["single"], minio.PutObjectOptions{})
	r.store("parts", files["parts"], minio.PutObjectOptions{PartSize: 5 << 20, AutoChecksum: minio.ChecksumCRC64NVME})
	r.store("crcs", files["crcs"], minio.PutObjectOptions{PartSize: 5 << 20, AutoChecksum: minio.ChecksumCRC32})
	r.store("md5s", files["md5s"], minio.PutObjectOptions{PartSize: 5 << 20, SendContentMd5: true})
	r.store("differs", noise("something else", 5000), minio.PutObjectOptions{})
	mark := r.mark()
	e := r.upload(0, files.write(t))
	r.sentExactly(mark, "differs", "new")
	if !strings.Contains(e.err, "already there  5 files") {
		t.Errorf("it says\n%s", e.err)
	}
	r.holds(files)
}

// TestLongerGlob proves that one more source makes no second upload of the
// others, although it is another job.
func TestLongerGlob(t *testing.T) {
	t.Parallel()
	files := tree{}.with("a.tif", 3000).with("b.tif", 9<<20).with("c.tif", 4000)
	dir := files.write(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	r := newRig(t).withToken()
	r.upload(0, "--part-size", "5MiB", path("a.tif"), path("b.tif"))
	mark := r.mark()
	r.upload(0, "--part-size", "5MiB", path("a.tif"), path("b.tif"), path("c.tif"))
	r.sentExactly(mark, "c.tif")
	r.holds(files)
}

// TestMovedSource proves that a source which was moved is known again: what is
// stored is not sent, and the parts of a half-sent upload are taken over.
func TestMovedSource(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 30<<20).with("a", 100).with("b", 200)
	dir := files.write(t)
	r := newRig(t, "-rate", "10MB").withToken()
	args := []string{"--parallel", "2", "--part-size", "5MiB"}
	killed := r.killMidway(dir, args...)

	moved := filepath.Join(t.TempDir(), "elsewhere")
	rename(t, dir, moved)
	e := r.upload(0, append(args, moved)...)
	if !strings.Contains(e.err, "took over") {
		t.Errorf("it says\n%s", e.err)
	}
	noneTwice(t, r.requests(0), []kill{aKill(killed)})
	if n := ops(r.requests(0))["CreateMultipartUpload"]; n != 1 {
		t.Errorf("%d uploads were begun", n)
	}
	r.holds(files)

	again := filepath.Join(t.TempDir(), "third")
	rename(t, moved, again)
	mark := r.mark()
	r.upload(0, append(args, again)...)
	r.sendsNothing(mark)
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// killMidway starts an upload of a tree with a file "large" and kills it when
// two of that file's parts are safe. It returns when that was.
func (r *rig) killMidway(dir string, args ...string) time.Time {
	r.t.Helper()
	p := r.startUpload(append(args, dir)...)
	r.acked("large", 2)
	at := time.Now()
	p.signal(syscall.SIGKILL)
	if e := p.wait(); e.code >= 0 {
		r.t.Fatalf("it was to be killed in the middle, but: exit %d\n%s", e.code, e.err)
	}
	return at
}
