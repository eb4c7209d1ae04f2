//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// TestSecondRun proves that a finished job, run again, asks for a listing and
// nothing else; and that it sends again what somebody has since removed or
// replaced in the store, and only that.
func TestSecondRun(t *testing.T) {
	t.Parallel()
	files := tree{}
	for i := range 3000 {
		files.with(fmt.Sprintf("%02d/%04d.bin", i%30, i), 10+i%50)
	}
	dir := files.write(t)
	r := newRig(t).withToken()
	r.upload(0, dir)

	mark, began := r.mark(), time.Now()
	e := r.upload(0, dir)
	t.Logf("the second run over %d files took %v", len(files), time.Since(began))
	if n := ops(r.requests(mark)); len(n) != 1 || n["ListObjectsV2"] < 1 || n["ListObjectsV2"] > 4 {
		t.Errorf("the second run asked for %v", n)
	}
	if !strings.Contains(e.err, "sent               0 files  0 B") || !strings.Contains(e.err, "already there  3,000 files") {
		t.Errorf("it says\n%s", e.err)
	}

	gone := slices.Sorted(maps.Keys(files))[100:110]
	for _, key := range gone {
		r.remove(key)
	}
	mark = r.mark()
	r.upload(0, dir)
	r.sentExactly(mark, gone...)

	const other = "07/0007.bin"
	r.store(other, noise("of the same size", len(files[other])), minio.PutObjectOptions{})
	mark = r.mark()
	r.upload(0, dir)
	r.sentExactly(mark, other)
	r.holds(files)
}

// sentExactly checks that the server took these keys since mark, each once.
func (r *rig) sentExactly(mark int, keys ...string) {
	r.t.Helper()
	var got []string
	for _, q := range r.requests(mark) {
		if q.Op == "PutObject" || q.Op == "CreateMultipartUpload" {
			got = append(got, strings.TrimPrefix(q.Key, r.prefix))
		}
	}
	slices.Sort(got)
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		r.t.Errorf("sent %q, want %q", got, keys)
	}
}

// sendsNothing checks that nothing was put since mark.
func (r *rig) sendsNothing(mark int) {
	r.t.Helper()
	for _, q := range r.requests(mark) {
		switch q.Op {
		case "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload":
			r.t.Errorf("sent: %s", describe(q))
		}
	}
}
