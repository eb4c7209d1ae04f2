//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// through puts handler between the rig's agents and its platform; it gets the
// way on to the platform as next.
func (r *rig) through(handler func(next http.Handler) http.Handler) *rig {
	r.t.Helper()
	to, err := url.Parse(r.sb.Endpoint())
	if err != nil {
		r.t.Fatal(err)
	}
	next := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host // it is signed
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	srv := httptest.NewServer(handler(next))
	r.t.Cleanup(srv.Close)
	r.env = append(r.env, "AWS_ENDPOINT_URL="+srv.URL)
	return r
}

// TestCaptivePortal proves that a network which answers everything with its
// login page is waited out: a page is no answer of the store, whatever its
// status, so nothing of it counts as stored or as an empty listing.
func TestCaptivePortal(t *testing.T) {
	t.Parallel()
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>Welcome! Please log in.</body></html>")
	}
	for name, portal := range map[string]http.HandlerFunc{
		"200 and a page": page,
		"302 to a page": func(w http.ResponseWriter, q *http.Request) {
			if strings.HasSuffix(q.URL.Path, "/login") {
				page(w, q)
				return
			}
			http.Redirect(w, q, "/login", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := slowFiles.write(t)
			var on atomic.Bool
			var shown atomic.Int64
			r := newRig(t, "-rate", "10MB").withToken().through(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					if on.Load() {
						shown.Add(1)
						_, _ = io.Copy(io.Discard, q.Body)
						portal(w, q)
						return
					}
					next.ServeHTTP(w, q)
				})
			})
			p := r.startUpload("--parallel", "2", "--part-size", "5MiB", "-v", dir)
			r.acked("large", 2)
			on.Store(true)
			until(t, "answers of the portal", func() bool { return shown.Load() >= 4 })
			on.Store(false)
			if e := p.wait(); e.code != 0 || !strings.Contains(e.err, "login page") {
				t.Errorf("exit %d\n%s", e.code, e.err)
			}
			r.eachOnce()
			r.holds(slowFiles)
		})
	}
}

// TestPortalStays proves that a portal which does not go away ends the run as
// a store that can't be reached, after --patience, and that the run can be
// resumed.
func TestPortalStays(t *testing.T) {
	t.Parallel()
	dir := slowFiles.write(t)
	var on atomic.Bool
	r := newRig(t, "-rate", "10MB").withToken().through(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if on.Load() {
				_, _ = io.Copy(io.Discard, q.Body)
				_, _ = io.WriteString(w, "<html>log in</html>")
				return
			}
			next.ServeHTTP(w, q)
		})
	})
	p := r.startUpload("--parallel", "2", "--part-size", "5MiB", "--patience", "2s", dir)
	r.acked("large", 2)
	on.Store(true)
	if e := p.wait(); e.code != 5 || !strings.Contains(e.err, "could not be reached") || !strings.Contains(e.err, "goes on from here") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	on.Store(false)
	r.upload(0, "--parallel", "2", "--part-size", "5MiB", dir)
	r.holds(slowFiles)
}

// TestChecksumStepDown proves that a store which refuses a checksum gets the
// next weaker one, that the user is told so, and that the bytes arrive.
func TestChecksumStepDown(t *testing.T) {
	t.Parallel()
	files := tree{"empty": {}}.with("large", 12<<20).with("small", 100)
	for want, refused := range map[string][]string{
		"crc32c": {"crc64nvme"},
		"none":   {"crc64nvme", "crc32c"},
	} {
		t.Run(want, func(t *testing.T) {
			r := newRig(t).withToken().through(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					if !slices.Contains(refused, checksumOf(q)) {
						next.ServeHTTP(w, q)
						return
					}
					_, _ = io.Copy(io.Discard, q.Body)
					w.Header().Set("Content-Type", "application/xml")
					w.WriteHeader(http.StatusBadRequest)
					_, _ = fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>InvalidRequest</Code><Message>unknown checksum</Message></Error>`)
				})
			})
			dir := files.write(t)
			e := r.upload(0, "--part-size", "5MiB", dir)
			if !strings.Contains(e.err, "going on with "+want) {
				t.Errorf("it does not say that it uses %s:\n%s", want, e.err)
			}
			if n := strings.Count(e.err, "the store refuses the checksum"); n != len(refused) {
				t.Errorf("it says so %d times\n%s", n, e.err)
			}
			r.holds(files)
			mark := r.mark()
			r.upload(0, "--part-size", "5MiB", dir)
			r.sendsNothing(mark)
		})
	}
}

// checksumOf is the algorithm that a request names, "" for none.
func checksumOf(q *http.Request) string {
	if a := q.Header.Get("X-Amz-Checksum-Algorithm"); a != "" {
		return strings.ToLower(a)
	}
	for name := range q.Header {
		if a, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-checksum-"); ok && a != "type" {
			return a
		}
	}
	return ""
}

// TestPortalFirst proves that a portal before the first answer of the store is
// not taken for an empty bucket either.
func TestPortalFirst(t *testing.T) {
	t.Parallel()
	files := tree{}.with("a", 10)
	var shown atomic.Int64
	r := newRig(t).withToken().through(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if shown.Add(1) <= 3 {
				_, _ = io.WriteString(w, "<html>log in</html>")
				return
			}
			next.ServeHTTP(w, q)
		})
	})
	began := time.Now()
	r.upload(0, files.write(t))
	t.Logf("three pages cost %v", time.Since(began))
	r.holds(files)
}
