package s3store

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// quiet is an environment that holds nothing but what is given.
func quiet(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func newTestHTTP(t *testing.T, o HTTPOptions) *HTTPClient {
	t.Helper()
	if o.Getenv == nil {
		o.Getenv = quiet(nil)
	}
	h, err := NewHTTPClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.CloseIdle)
	return h
}

func get(t *testing.T, h *HTTPClient, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	return resp, err
}

// countingBody tells how much of it was read.
type countingBody struct {
	io.Reader
	read atomic.Int64
}

func (c *countingBody) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.read.Add(int64(n))
	return n, err
}

func TestHTTPContinueIsHonoured(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "ExpiredToken", http.StatusBadRequest)
	}))
	defer srv.Close()
	h := newTestHTTP(t, HTTPOptions{})
	for range 20 {
		body := &countingBody{Reader: bytes.NewReader(make([]byte, 8<<20))}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = 8 << 20
		req.Header.Set("Expect", "100-continue")
		req.Proto, req.ProtoMajor, req.ProtoMinor = "", 0, 0 // as smithy builds them
		resp, err := h.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "ExpiredToken") || body.read.Load() != 0 {
			t.Fatalf("%d %q, %d bytes of the body read", resp.StatusCode, text, body.read.Load())
		}
	}
}

func TestHTTPKeepsConnections(t *testing.T) {
	var opened atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(time.Millisecond)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	h := newTestHTTP(t, HTTPOptions{})
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 20 {
				if _, err := get(t, h, srv.URL); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	// A request may dial while another's connection comes free, hence the slack.
	if n := opened.Load(); n > 128 {
		t.Errorf("%d connections for 64 at once", n)
	}
}

func bundleOf(t *testing.T, srv *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func quietTLS(h http.Handler) *httptest.Server {
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	return srv
}

func TestHTTPBundle(t *testing.T) {
	srv := quietTLS(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	defer srv.Close()

	_, err := get(t, newTestHTTP(t, HTTPOptions{}), srv.URL)
	if !strings.Contains(Advice(err), "AWS_CA_BUNDLE") {
		t.Errorf("unknown authority: %v; advice %q", err, Advice(err))
	}
	h := newTestHTTP(t, HTTPOptions{CABundle: bundleOf(t, srv)})
	resp, err := get(t, h, srv.URL)
	if err != nil || resp.ProtoMajor != 1 {
		t.Errorf("with the bundle: %v, %v", resp, err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	if resp, err := h.Buildable().Do(req); err != nil {
		t.Errorf("the SDK's form of the client: %v", err)
	} else {
		_ = resp.Body.Close()
	}
	if _, err := get(t, newTestHTTP(t, HTTPOptions{Insecure: true}), srv.URL); err != nil {
		t.Errorf("insecure: %v", err)
	}

	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, empty + ".missing"} {
		if _, err := NewHTTPClient(HTTPOptions{CABundle: path}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("bundle %s: %v", path, err)
		}
	}
}

// proxyServer is a CONNECT proxy that wants a password, and leads to one
// address whatever is asked for.
func proxyServer(t *testing.T, want, to string) *httptest.Server {
	t.Helper()
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(want)) {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		if r.Method != http.MethodConnect {
			_, _ = io.WriteString(w, "proxied")
			return
		}
		up, err := net.Dial("tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		down, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = up.Close()
			return
		}
		_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(up, down); _ = up.Close() }()
		go func() { _, _ = io.Copy(down, up); _ = down.Close() }()
	}))
}

func TestHTTPProxy(t *testing.T) {
	srv := quietTLS(http.NotFoundHandler())
	defer srv.Close()
	proxy := proxyServer(t, "user:p@ss word", srv.Listener.Addr().String())
	defer proxy.Close()
	host := strings.TrimPrefix(proxy.URL, "http://")
	with := func(userinfo string, more map[string]string) *HTTPClient {
		vars := map[string]string{"https_proxy": "http://" + userinfo + host, "HTTP_PROXY": "http://" + userinfo + host}
		for k, v := range more {
			vars[k] = v
		}
		return newTestHTTP(t, HTTPOptions{CABundle: bundleOf(t, srv), Getenv: quiet(vars)})
	}
	// Loopback never goes through a proxy; the test certificate is for this name.
	target := "https://example.com/"
	if resp, err := get(t, with("user:p%40ss%20word@", nil), target); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("with the password: %v", err)
	}
	if resp, err := get(t, with("user:p%40ss%20word@", nil), "http://store.invalid/"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("plain http with the password: %v", err)
	}
	for _, url := range []string{target, "http://store.invalid/"} {
		_, err := get(t, with("user:wrongword@", nil), url)
		var refused *ProxyError
		if !errors.As(err, &refused) || refused.Status != http.StatusProxyAuthRequired {
			t.Fatalf("%s with a wrong password: %v", url, err)
		}
		if a := Advice(err); !strings.Contains(a, "HTTPS_PROXY=http://user:password@") || strings.Contains(a+err.Error(), "wrongword") {
			t.Errorf("advice %q for %v", a, err)
		}
	}
	_, err := get(t, with("user:wrongword@", map[string]string{"NO_PROXY": "store.invalid"}), "http://store.invalid/")
	var refused *ProxyError
	if errors.As(err, &refused) {
		t.Error("NO_PROXY is not honoured")
	}
}

func TestHTTPProxyErrorsHideThePassword(t *testing.T) {
	for _, value := range []string{"http://user:hunter2@ho st:1", "http://user:hunter2@", "://user:hunter2@%zz"} {
		_, err := NewHTTPClient(HTTPOptions{Getenv: quiet(map[string]string{"HTTPS_PROXY": value})})
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "HTTPS_PROXY") {
			t.Errorf("%q: %v", value, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	_ = l.Close()
	for _, scheme := range []string{"http", "https", "socks5"} {
		h := newTestHTTP(t, HTTPOptions{Getenv: quiet(map[string]string{"HTTPS_PROXY": scheme + "://user:hunter2@" + dead})})
		_, err := get(t, h, "https://store.invalid")
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "hunter2") {
			t.Errorf("%s: %v", scheme, err)
		}
		if scheme != "socks5" && !strings.Contains(Advice(err), "HTTPS_PROXY") {
			t.Errorf("%s: advice %q for %v", scheme, Advice(err), err)
		}
	}
	h := newTestHTTP(t, HTTPOptions{Getenv: quiet(map[string]string{"HTTPS_PROXY": "http://user:hunter2@" + dead})})
	if err := h.redact(fmt.Errorf("at http://user:hunter2@%s: %w", dead, io.EOF)); strings.Contains(err.Error(), "hunter2") || !errors.Is(err, io.EOF) {
		t.Errorf("redact: %v", err)
	}
}

func TestHTTPWriteStall(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }() // accepts, and never reads
		}
	}()
	h := newTestHTTP(t, HTTPOptions{WriteTimeout: 300 * time.Millisecond})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+l.Addr().String(), io.LimitReader(zeros{}, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 1 << 30
	began := time.Now()
	_, err = h.Do(req)
	if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A line that is slow but moves is not a stall, even within one write.
func TestHTTPSlowIsNoStall(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	got := make(chan int64, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- 0
			return
		}
		defer func() { _ = c.Close() }()
		var n int64
		for buf := make([]byte, 64<<10); ; {
			k, err := io.ReadFull(c, buf)
			n += int64(k)
			if err != nil {
				got <- n
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := newStallConn(raw, 400*time.Millisecond)
	const size = 64 << 20 // takes longer than the limit as a whole
	n, err := bufio.NewWriterSize(c, 1).Write(make([]byte, size))
	_ = c.Close()
	if n != size || err != nil || <-got != size {
		t.Errorf("wrote %d: %v", n, err)
	}
}

func TestHTTPHeaderTimeoutAndRedirect(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/move" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return
		}
		<-release
	}))
	defer srv.Close()
	defer close(release)
	h := newTestHTTP(t, HTTPOptions{HeaderTimeout: 100 * time.Millisecond})
	if resp, err := get(t, h, srv.URL+"/move"); err != nil || resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("a redirect was followed: %v, %v", resp, err)
	}
	_, err := get(t, h, srv.URL)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("no header: %v", err)
	}
}

func TestAdvice(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	h := newTestHTTP(t, HTTPOptions{})
	_, err := get(t, h, strings.Replace(srv.URL, "http:", "https:", 1))
	if !strings.Contains(Advice(err), "does not speak TLS") {
		t.Errorf("http at an https port: %v; %q", err, Advice(err))
	}
	srv.Close()
	_, err = get(t, h, srv.URL)
	if !strings.Contains(Advice(err), "nothing listens") {
		t.Errorf("refused: %v; %q", err, Advice(err))
	}
	err = fmt.Errorf("put: %w", &net.DNSError{Name: "s3.exmaple.org", IsNotFound: true})
	if !strings.Contains(Advice(err), `"s3.exmaple.org"`) {
		t.Errorf("dns: %q", Advice(err))
	}
	if Advice(nil) != "" || Advice(io.ErrUnexpectedEOF) != "" {
		t.Error("advice where there is none")
	}
}
