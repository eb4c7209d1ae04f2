package s3store

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agent/transfer"
	"agent/transfer/storetest"
)

// elsewhere is a server that is to get nothing: it counts the connections, and
// so what is sent before a request, too.
func elsewhere(t *testing.T, secure bool) (url string, touched *atomic.Int64) {
	t.Helper()
	touched = new(atomic.Int64)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			touched.Add(1)
		}
	}
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv.URL, touched
}

// hostile is an S3 server that sends one operation elsewhere.
type hostile struct {
	fake   fakeS3
	op     string
	status int
	code   string // of S3; "" answers with no XML
	to     string
	sent   atomic.Int64 // how often it did so
}

func (h *hostile) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	op := storetest.OpOf(q)
	if op == "" && q.Method == http.MethodDelete {
		op = "DeleteObject"
	}
	if op == h.op {
		h.sent.Add(1)
		_, _ = io.Copy(io.Discard, q.Body)
		w.Header().Set("Location", h.to+q.URL.RequestURI())
		w.Header().Set("X-Amz-Bucket-Region", "elsewhere-1")
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(h.status)
		if h.code != "" && q.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>moved</Message><Endpoint>%s</Endpoint></Error>", h.code, strings.TrimPrefix(h.to, "http://"))
		}
		return
	}
	resp, err := h.fake.Do(q)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// TestNothingGoesElsewhere proves that no answer of a store, whatever its status
// and S3 code, makes any request go to another address: neither signature nor
// token nor body nor as much as a connection.
func TestNothingGoesElsewhere(t *testing.T) {
	operations := map[string]func(*rig) error{
		"PutObject":               func(r *rig) error { _, err := r.Put(t.Context(), r.in("k", []byte("body"), nil)); return err },
		"CreateMultipartUpload":   putLarge(t),
		"UploadPart":              putLarge(t),
		"CompleteMultipartUpload": putLarge(t),
		"HeadObject":              func(r *rig) error { _, err := r.Inspect(t.Context(), "k"); return err },
		"ListObjectsV2": func(r *rig) error {
			for _, err := range r.List(t.Context(), "", "") {
				return err
			}
			return nil
		},
		"GetObject": func(r *rig) error {
			_, err := r.Get(t.Context(), transfer.GetInput{Key: "k", ETag: `"e"`, Size: 4, Whole: true, Body: discard{}, Event: r.event})
			return err
		},
		"DeleteObject": func(r *rig) error { return r.Delete(t.Context(), "k") },
	}
	for op, do := range operations {
		for _, h := range []*hostile{
			{op: op, status: 301, code: "PermanentRedirect"}, {op: op, status: 307, code: "TemporaryRedirect"}, {op: op, status: 307},
			{op: op, status: 302}, {op: op, status: 303}, {op: op, status: 308}, {op: op, status: 400, code: "AuthorizationHeaderMalformed"},
		} {
			for _, secure := range []bool{false, true} {
				if secure && h.code != "TemporaryRedirect" {
					continue
				}
				t.Run(fmt.Sprint(op, " ", h.status, h.code, " ", secure), func(t *testing.T) {
					h := &hostile{op: op, status: h.status, code: h.code}
					var touched *atomic.Int64
					h.to, touched = elsewhere(t, secure)
					srv := httptest.NewServer(h)
					defer srv.Close()
					r := newRig(func(o *Options) {
						o.HTTP, o.Endpoint = newTestHTTP(t, HTTPOptions{Insecure: true}), srv.URL
						o.FirstPatience, o.Patience, o.KeyPatience = time.Nanosecond, time.Nanosecond, time.Nanosecond
					})
					if err := do(r); err == nil {
						t.Error("it is taken for an answer")
					}
					if h.sent.Load() == 0 {
						t.Error("nothing was redirected")
					}
					if n := touched.Load(); n != 0 {
						t.Errorf("%d connections to another address", n)
					}
				})
			}
		}
	}
}

func putLarge(t *testing.T) func(*rig) error {
	body := make([]byte, 2*MinPartSize)
	return func(r *rig) error {
		_, err := r.Put(t.Context(), r.in("k", body, nil))
		return err
	}
}

type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// TestSDKFollowsNothing proves it of the client that the SDK gets for STS, SSO
// and the metadata services: by itself it would follow, with the token that is
// in the body or in a header.
func TestSDKFollowsNothing(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		to, touched := elsewhere(t, false)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, to, status)
		}))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader("WebIdentityToken=planted"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Security-Token", "planted")
		resp, err := newTestHTTP(t, HTTPOptions{}).Buildable().Do(req)
		if err == nil {
			_ = resp.Body.Close()
		} else if !errors.Is(err, errRedirected) {
			t.Error(err)
		}
		if n := touched.Load(); n != 0 {
			t.Errorf("%d: %d connections to another address", status, n)
		}
		srv.Close()
	}
}

// TestOldTLSIsRefused proves that nothing below TLS 1.2 is spoken, and that the
// user is told so.
func TestOldTLSIsRefused(t *testing.T) {
	for version, good := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		var asked atomic.Int64
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
		srv.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		for _, insecure := range []bool{false, true} {
			asked.Store(0)
			h := newTestHTTP(t, HTTPOptions{CABundle: bundleOf(t, srv), Insecure: insecure})
			_, err := get(t, h, srv.URL)
			switch {
			case good && (err != nil || asked.Load() != 1):
				t.Errorf("%s: %v", tls.VersionName(version), err)
			case !good && (err == nil || asked.Load() != 0):
				t.Errorf("%s is spoken", tls.VersionName(version))
			case !good && !strings.Contains(Advice(err), "TLS 1.2"):
				t.Errorf("%s: %v; advice %q", tls.VersionName(version), err, Advice(err))
			}
		}
		srv.Close()
	}
}

// TestNoFallbackToHTTP proves that an https endpoint which does not speak TLS,
// or breaks it off, gets nothing but attempts at TLS, however often it is tried.
func TestNoFallbackToHTTP(t *testing.T) {
	for name, answer := range map[string]string{
		"speaks http": "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
		"hangs up":    "",
		"sends http":  "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var heads [][]byte
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					head := make([]byte, 512)
					n, _ := c.Read(head)
					mu.Lock()
					heads = append(heads, head[:n])
					mu.Unlock()
					_, _ = io.WriteString(c, answer)
					_ = c.Close()
				}
			})
			r := newRig(func(o *Options) {
				o.HTTP, o.Endpoint = newTestHTTP(t, HTTPOptions{}), "https://"+l.Addr().String()
				o.FirstPatience, o.Patience = 100*time.Millisecond, 100*time.Millisecond
			})
			if _, err := r.put(t, "k", []byte("body")); err == nil {
				t.Error("stored")
			}
			_ = l.Close()
			wg.Wait()
			if len(heads) == 0 {
				t.Fatal("nothing was tried")
			}
			for _, head := range heads {
				const handshake = 0x16
				if len(head) == 0 || head[0] != handshake || bytes.Contains(head, []byte("AWS4")) || bytes.Contains(head, []byte("HTTP/1")) {
					t.Errorf("it sent %q", head)
				}
			}
		})
	}
}
