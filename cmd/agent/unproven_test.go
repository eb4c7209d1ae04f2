//go:build linux

package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

var sumElement = regexp.MustCompile(`<Checksum\w+>[^<]*</Checksum\w+>`)

// TestAnswersWithoutChecksums proves that the summary says for how many objects the
// store's answers named no checksum, and says nothing of those where it did.
func TestAnswersWithoutChecksums(t *testing.T) {
	t.Parallel()
	files := tree{"empty": {}}.with("small", 10).with("proved", 1000).with("parts.tif", 11<<20)
	dir := files.write(t)
	r := newRig(t).withToken()
	if e := r.upload(0, dir); strings.Contains(e.err, "not verified") {
		t.Errorf("each answer named a checksum, and it says\n%s", e.err)
	}

	r = newRig(t).withToken().through(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if strings.HasSuffix(q.URL.Path, "/proved") {
				next.ServeHTTP(w, q)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, q)
			maps.DeleteFunc(rec.Header(), func(name string, _ []string) bool {
				return strings.HasPrefix(name, "X-Amz-Checksum-") || name == "Content-Length"
			})
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
			_, _ = w.Write(sumElement.ReplaceAll(rec.Body.Bytes(), nil))
		})
	})
	e := r.upload(0, "--part-size", "5MiB", dir)
	if want := "the store answered without a checksum for 3 objects: their stored bytes are not verified"; strings.Count(e.err, want) != 1 {
		t.Errorf("it does not say %q:\n%s", want, e.err)
	}
	r.holds(files)
}
