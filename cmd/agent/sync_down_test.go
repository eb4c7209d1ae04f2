//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// syncDown runs a sync from r.dest to dir, which must end with code.
func (r *rig) syncDown(code int, dir string, args ...string) ended {
	r.t.Helper()
	e := r.run(append(append([]string{"sync"}, args...), r.dest, dir)...)
	if e.code != code {
		r.t.Fatalf("sync %q: exit %d, want %d\n%s%s", args, e.code, code, e.out, e.err)
	}
	return e
}

// TestSyncDownOfUnchangedFilesOnlyLists proves that files which are as the job
// left them cost one listing for a thousand of them, with --delete too.
func TestSyncDownOfUnchangedFilesOnlyLists(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-role", "platform").withToken()
	files := tree{}
	const n = 1500
	for i := range n {
		files.with(fmt.Sprintf("d%d/f%04d", i%7, i), 1)
	}
	r.upload(exitDone, files.write(t), "-q")
	dir := filepath.Join(t.TempDir(), "copy")
	r.syncDown(exitDone, dir, "-q")
	files.isIn(t, dir)
	for _, args := range [][]string{nil, {"--delete"}, {"--size-only"}, {"--delete", "--dry-run", "-q"}} {
		seen := len(mustRequests(t, r))
		e := r.syncDown(exitDone, dir, args...)
		ops := mustRequests(t, r)[seen:]
		if len(ops) > (n+999)/1000 || slices.ContainsFunc(ops, func(op string) bool { return op != "ListObjectsV2" }) {
			t.Errorf("%q: %d requests %q\n%s", args, len(ops), ops, e.err)
		}
	}
}

// TestSyncDownDeletesNothingOnAFalseListing is It-must-show 6 in this direction: a
// captive portal's page, an empty listing, one that is denied, and one that breaks
// off after its first page, each under --delete: nothing is deleted.
func TestSyncDownDeletesNothingOnAFalseListing(t *testing.T) {
	t.Parallel()
	const (
		head   = `<?xml version="1.0" encoding="UTF-8"?>`
		portal = "<html><body>Please log in.</body></html>"
	)
	type answer struct {
		status     int
		kind, text string
	}
	xml := func(text string) answer { return answer{200, "application/xml", head + text} }
	page := func(r *rig, more string) answer {
		return xml(`<ListBucketResult><Name>` + r.sb.Bucket() + `</Name>` + more + `<Contents><Key>` + r.prefix +
			`a</Key><LastModified>2020-01-01T00:00:00.000Z</LastModified><ETag>"0cc175b9c0f1b6a831c399e269772661"</ETag><Size>1</Size></Contents></ListBucketResult>`)
	}
	const next = `<IsTruncated>true</IsTruncated><NextContinuationToken>next</NextContinuationToken>`
	for name, c := range map[string]struct {
		answers func(r *rig) []answer // one after the other, and the last for ever
		code    int
	}{
		"captive portal":        {func(*rig) []answer { return []answer{{200, "text/html", portal}} }, exitUnreachable},
		"portal on its way":     {func(r *rig) []answer { return []answer{page(r, next), {200, "text/html", portal}} }, exitUnreachable},
		"cut off":               {func(*rig) []answer { return []answer{xml(`<ListBucketResult><Name>b</Name><Contents><Key>`)} }, exitUnreachable},
		"cut off in the middle": {func(r *rig) []answer { return []answer{page(r, next), xml(`<ListBucketResult><Name>`)} }, exitUnreachable},
		"empty page":            {func(*rig) []answer { return []answer{{200, "application/xml", ""}} }, exitUnreachable},
		"empty listing": {func(r *rig) []answer {
			return []answer{xml(`<ListBucketResult><Name>` + r.sb.Bucket() + `</Name><IsTruncated>false</IsTruncated></ListBucketResult>`)}
		}, exitFailures},
		"denied": {func(*rig) []answer {
			return []answer{{403, "application/xml", head + `<Error><Code>AccessDenied</Code><Message>no</Message></Error>`}}
		}, exitRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "-role", "platform").withToken()
			r.fill(tree{"a": []byte("a"), "old1": []byte("1"), "old2": []byte("2")})
			dir := filepath.Join(t.TempDir(), "copy")
			r.syncDown(exitDone, dir)
			mine := tree{"a": []byte("a"), "old1": []byte("1"), "old2": []byte("2"), "own/mine": []byte("mine")}
			if err := os.Mkdir(filepath.Join(dir, "own"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "own/mine"), mine["own/mine"], 0o600); err != nil {
				t.Fatal(err)
			}
			answers := c.answers(r)
			var asked atomic.Int64
			r.through(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					if q.URL.Query().Get("list-type") != "2" {
						next.ServeHTTP(w, q)
						return
					}
					a := answers[min(int(asked.Add(1)), len(answers))-1]
					w.Header().Set("Content-Type", a.kind)
					w.WriteHeader(a.status)
					_, _ = w.Write([]byte(a.text))
				})
			})
			e := r.syncDown(c.code, dir, "--delete", "--max-delete", "100%", "--patience", "2s")
			mine.isIn(t, dir)
			if strings.Contains(e.err, "deleted ") || asked.Load() == 0 {
				t.Errorf("%s", e.err)
			}
			// A directory that is not there, perhaps because its disk is not
			// mounted, has nothing to lose and gains nothing.
			gone := filepath.Join(t.TempDir(), "gone")
			r.syncDown(c.code, gone, "--delete", "--max-delete", "100%", "--patience", "2s")
		})
	}
}

// TestSyncDownStoppedDeletesNothing proves that a run which is stopped before its
// end deletes nothing, and that the next one does.
func TestSyncDownStoppedDeletesNothing(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 24<<20)
	r := newRig(t).withToken()
	r.fill(files)
	l := &link{rate: 6 << 20}
	r.through(l.handler)
	dir := t.TempDir()
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--delete", "--max-delete", "1", "--part-size", "1MiB", "--parallel", "2"}
	e := r.syncDown(exitStopped, dir, append(args, "--max-duration", "1s")...)
	if _, err := os.Stat(old); err != nil || !strings.Contains(e.err, "before everything was fetched") {
		t.Errorf("%v\n%s", err, e.err)
	}
	e = r.syncDown(exitDone, dir, args...)
	files.isIn(t, dir)
	if !strings.Contains(e.err, "deleted") || !strings.Contains(e.err, "resumed") {
		t.Errorf("%s", e.err)
	}
}
