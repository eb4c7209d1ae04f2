package stores

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"agent/bench/platform"
	"agent/transfer/storetest"
)

// tap stands between a client and a store, and notes what passes. It changes
// nothing that is signed, also not the host.
type tap struct {
	url    string
	server *http.Server
	to     *http.Transport
	ended  chan struct{}

	mu  sync.Mutex
	all []platform.Request
}

// tapped is one request on its way.
type tapped struct {
	platform.Request
	sent atomic.Int64
}

type tappedKey struct{}

func startTap(store string) (*tap, error) {
	to, err := url.Parse(store)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it lives until stop
	if err != nil {
		return nil, err
	}
	t := &tap{
		url: "http://" + l.Addr().String(), ended: make(chan struct{}),
		to: &http.Transport{DisableCompression: true, ExpectContinueTimeout: 5 * time.Second, MaxIdleConnsPerHost: 100},
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host // the header Host stays: it is signed
		},
		Transport: t.to, ModifyResponse: t.answered, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			panic(http.ErrAbortHandler) // the client is to see what the tap saw: a connection that broke
		},
	}
	t.server = &http.Server{Handler: t.handler(proxy), ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(t.ended)
		_ = t.server.Serve(l) // says that it was closed
	}()
	return t, nil
}

func (t *tap) stop() {
	_ = t.server.Close()
	<-t.ended
	t.to.CloseIdleConnections()
}

func (t *tap) requests() []platform.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.all)
}

var credential = regexp.MustCompile(`Credential=([^/,]+)/`)

func (t *tap) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		one := &tapped{Request: platform.Request{Start: time.Now(), Op: opOf(r), Key: key, UploadID: q.Get("uploadId")}}
		one.Part, _ = strconv.Atoi(q.Get("partNumber"))
		if m := credential.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
			one.AccessKey = m[1]
		}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &counting{r.Body, &one.sent}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tappedKey{}, one)))
	})
}

// opOf names the operation, also those that a transfer does not make.
func opOf(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("delete"):
		return "DeleteObjects"
	case r.Method == http.MethodDelete && !q.Has("uploadId"):
		return "DeleteObject"
	}
	return storetest.OpOf(r)
}

// answered notes a request before the first byte of its answer leaves.
func (t *tap) answered(resp *http.Response) error {
	one, ok := resp.Request.Context().Value(tappedKey{}).(*tapped)
	if !ok {
		return nil
	}
	q := one.Request
	q.Status, q.Bytes = resp.StatusCode, one.sent.Load()
	if resp.StatusCode >= 400 {
		head, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
		if err != nil {
			return err
		}
		q.Code = codeIn(head)
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	}
	q.Time = time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, q)
	return nil
}

var errorCode = regexp.MustCompile(`<Code>([^<]+)</Code>`)

// codeIn is S3's code in an answer; "" without one.
func codeIn(body []byte) string {
	if m := errorCode.FindSubmatch(body); m != nil {
		return string(m[1])
	}
	return ""
}

// counting adds up what is read.
type counting struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.n.Add(int64(n))
	return n, err
}
