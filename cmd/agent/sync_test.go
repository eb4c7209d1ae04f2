//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"agent/journal"
	"agent/transfer"
)

// stored are the keys below r.prefix, without it.
func (r *rig) stored() []string {
	r.t.Helper()
	var keys []string
	for o := range r.witness.ListObjects(r.t.Context(), r.sb.Bucket(), minio.ListObjectsOptions{Prefix: r.prefix, Recursive: true}) {
		if o.Err != nil {
			r.t.Fatal(o.Err)
		}
		keys = append(keys, strings.TrimPrefix(o.Key, r.prefix))
	}
	return keys
}

// sync runs a sync from dir to r.dest, which must end with code.
func (r *rig) sync(code int, dir string, args ...string) ended {
	r.t.Helper()
	e := r.run(append(append([]string{"sync"}, args...), dir, r.dest)...)
	if e.code != code {
		r.t.Fatalf("sync %q: exit %d, want %d\n%s%s", args, e.code, code, e.out, e.err)
	}
	return e
}

// A sync of unchanged files costs one listing for a thousand of them, and no
// other request; so does --delete.
func TestSyncOfUnchangedFilesOnlyLists(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-role", "platform").withToken()
	dir := t.TempDir()
	const n = 2500
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%04d", i)), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.sync(exitDone, dir, "-q")
	for _, args := range [][]string{nil, {"--delete"}, {"--size-only"}, {"--delete", "--dry-run", "-q"}} {
		seen := len(mustRequests(t, r))
		e := r.sync(exitDone, dir, args...)
		ops := mustRequests(t, r)[seen:]
		if len(ops) > (n+999)/1000 || slices.ContainsFunc(ops, func(op string) bool { return op != "ListObjectsV2" }) {
			t.Errorf("%q: %d requests %q\n%s", args, len(ops), ops, e.err)
		}
	}
}

// inSeconds has a store tell times by the second, as AWS does.
type inSeconds struct{ http.Handler }

func (s inSeconds) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if !q.URL.Query().Has("list-type") {
		s.Handler.ServeHTTP(w, q)
		return
	}
	rec := httptest.NewRecorder()
	s.Handler.ServeHTTP(rec, q)
	body := regexp.MustCompile(`\.\d+Z</LastModified>`).ReplaceAll(rec.Body.Bytes(), []byte(".000Z</LastModified>"))
	maps.Copy(w.Header(), rec.Header())
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body)
}

// TestSyncOfWhatNoRecordTells proves that what the first run of a job stored in its first
// instants, and could not record before it was killed, is compared by the next one: its
// time, in seconds, may be before the job's. A later version of the same size and an
// older time was taken for stored.
func TestSyncOfWhatNoRecordTells(t *testing.T) {
	t.Parallel()
	files := tree{"f": []byte("first")}
	dir := files.write(t)
	path, hourAgo := filepath.Join(dir, "f"), time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	r := newRig(t).withToken().through(func(next http.Handler) http.Handler { return inSeconds{next} })
	r.sync(exitDone, dir)
	found, err := filepath.Glob(filepath.Join(r.state, "jobs", "*", "journal.db"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	folder := filepath.Dir(found[0])
	job, err := journal.JobIn(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	db, err := journal.Open(t.Context(), folder, job, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Forget(r.prefix+"f"), db.SetMark(transfer.Mark{}), db.Close()); err != nil {
		t.Fatal(err)
	}
	r.sync(exitDone, dir)
	if n := len(stored(r.requests(0), "PutObject")); n != 1 {
		t.Errorf("%d objects were stored", n)
	}
	files["f"] = []byte("other")
	if err := errors.Join(os.WriteFile(path, files["f"], 0o600), os.Chtimes(path, hourAgo, hourAgo)); err != nil {
		t.Fatal(err)
	}
	r.sync(exitDone, dir)
	r.holds(files)
}

// It-must-show 6: a captive portal's page, an empty listing, a listing that is
// denied or breaks off, each under --delete: nothing is deleted.
func TestSyncDeletesNothingOnAFalseListing(t *testing.T) {
	t.Parallel()
	answer := func(status int, kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	const head = `<?xml version="1.0" encoding="UTF-8"?>`
	for name, c := range map[string]struct {
		lie  http.HandlerFunc
		code int
		says string
	}{
		"captive portal": {answer(200, "text/html", "<html><body>Please log in.</body></html>"), exitUnreachable, ""},
		"cut off":        {answer(200, "application/xml", head+`<ListBucketResult><Name>b</Name><Contents><Key>`), exitUnreachable, ""},
		"empty page":     {answer(200, "application/xml", ""), exitUnreachable, ""},
		"empty listing":  {answer(200, "application/xml", head+`<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>`), exitDone, ""},
		"denied":         {answer(403, "application/xml", head+`<Error><Code>AccessDenied</Code><Message>no</Message></Error>`), exitFailures, "nothing was deleted: the destination could not be listed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "-role", "platform").withToken()
			r.through(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					if q.URL.Query().Get("list-type") == "2" {
						c.lie(w, q)
						return
					}
					next.ServeHTTP(w, q)
				})
			})
			dir := t.TempDir()
			for _, f := range []string{"a", "b"} {
				if err := os.WriteFile(filepath.Join(dir, f), []byte(f), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, key := range []string{"a", "old1", "old2"} {
				_, err := r.witness.PutObject(t.Context(), r.sb.Bucket(), r.prefix+key, strings.NewReader("a"), 1, minio.PutObjectOptions{})
				if err != nil {
					t.Fatal(err)
				}
			}
			e := r.sync(c.code, dir, "--delete", "--max-delete", "100%", "--patience", "2s")
			if got := r.stored(); !slices.Contains(got, "old1") || !slices.Contains(got, "old2") || !slices.Contains(got, "a") {
				t.Errorf("left: %q\n%s", got, e.err)
			}
			if !strings.Contains(e.err, c.says) {
				t.Errorf("it does not say %q:\n%s", c.says, e.err)
			}
		})
	}
}

// An object that may not be deleted is named, and ends the sync with 1; what may be is gone.
func TestSyncThatCannotDelete(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-role", "full").withToken()
	r.upload(exitDone, tree{}.with("stays", 1).with("goes", 1).write(t))
	r.through(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Query().Has("delete") || q.Method == http.MethodDelete && strings.HasSuffix(q.URL.Path, "/stays") {
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code><Message>no</Message></Error>`)
				return
			}
			next.ServeHTTP(w, q)
		})
	})
	e := r.sync(exitFailures, tree{}.with("a", 1).write(t), "--delete", "--max-delete", "100%")
	if got := r.stored(); !slices.Equal(got, []string{"a", "stays"}) || !strings.Contains(e.err, "stays") {
		t.Errorf("left: %q\n%s", got, e.err)
	}
}

// Who is killed in the middle of deleting leaves no other job that believes in
// what is gone: an unfinished one trusts its journal, and would never send it again.
func TestSyncKilledWhileDeleting(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-role", "platform").withToken()
	victim := make(chan *proc, 1)
	r.through(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			next.ServeHTTP(w, q)
			if q.Method == http.MethodDelete {
				p := <-victim
				_ = p.cmd.Process.Kill() // its end shows below
				<-p.done
			}
		})
	})
	other := tree{}.with("x", 1).write(t)
	if err := os.Symlink("nowhere", filepath.Join(other, "z")); err != nil {
		t.Fatal(err)
	}
	r.upload(exitFailures, other) // it stays unfinished
	dir := tree{}.with("a", 1).write(t)
	p := r.start("sync", "--delete", "--max-delete", "1", dir, r.dest)
	victim <- p
	if e := p.wait(); e.code != -1 {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	if got := r.stored(); slices.Contains(got, "x") {
		t.Fatalf("left: %q", got)
	}
	r.upload(exitFailures, other)
	if got := r.stored(); !slices.Contains(got, "x") {
		t.Errorf("left: %q", got)
	}
}

// A run that is stopped before its end deletes nothing, neither by a signal nor
// by --max-duration; the next one does. While it runs, another leaves at once.
func TestSyncStoppedDeletesNothing(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	r := newRig(t, "-rate", "4MB").withToken()
	if _, err := r.witness.PutObject(t.Context(), r.sb.Bucket(), r.prefix+"old", strings.NewReader("a"), 1, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	args := []string{"--delete", "--max-delete", "1", "--part-size", "5MiB"}
	r.sync(exitStopped, dir, append(args, "--max-duration", "1s")...)
	p := r.start(append(append([]string{"sync"}, args...), dir, r.dest)...)
	until(t, "run.json", func() bool {
		found, _ := filepath.Glob(filepath.Join(r.state, "jobs", "*", "run.json"))
		return len(found) == 1
	})
	if e := r.sync(exitBusy, dir, "--quiet"); e.out != "" || !strings.Contains(e.err, "held by process") {
		t.Errorf("the second says %q%q", e.out, e.err)
	}
	p.signal(syscall.SIGINT)
	if e := p.wait(); e.code != exitSignal+int(syscall.SIGINT) {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	if got := r.stored(); !slices.Contains(got, "old") {
		t.Errorf("left: %q", got)
	}
	r.sync(exitDone, dir, args...)
	if got := r.stored(); slices.Contains(got, "old") {
		t.Errorf("left: %q", got)
	}
}
