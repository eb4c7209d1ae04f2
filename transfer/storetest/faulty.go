package storetest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
)

// Doer makes one HTTP request.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Fault is what happens to one request.
type Fault struct {
	// After lets the request reach the server first; what it answers is lost
	// or changed.
	After bool
	// Answer makes what the client sees of the server's answer, which is nil
	// where After is not set.
	Answer func(*http.Request, *http.Response) (*http.Response, error)
}

// Faulty is an HTTP client between a store and another client, that misbehaves
// where it is told to.
type Faulty struct {
	Next Doer

	mu    sync.Mutex
	rules []*rule
}

type rule struct {
	match   func(*http.Request) bool
	n, seen int
	fault   Fault
}

// On makes the n-th request from now on that match matches (from 1; 0 is every
// one) suffer fault. A nil match matches all.
func (f *Faulty) On(n int, match func(*http.Request) bool, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &rule{match: match, n: n, fault: fault})
}

// Clear ends all faults.
func (f *Faulty) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

func (f *Faulty) fault(req *http.Request) (fault Fault, found bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		if r.match != nil && !r.match(req) {
			continue
		}
		r.seen++
		if !found && (r.n == 0 || r.seen == r.n) {
			fault, found = r.fault, true
		}
	}
	return fault, found
}

// Do implements Doer.
func (f *Faulty) Do(req *http.Request) (*http.Response, error) {
	fault, found := f.fault(req)
	if !found {
		return f.Next.Do(req)
	}
	if !fault.After {
		return fault.Answer(req, nil)
	}
	resp, err := f.Next.Do(req)
	if err != nil {
		return resp, err
	}
	return fault.Answer(req, resp)
}

// Op matches requests by S3's name of the operation.
func Op(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return OpOf(r) == name }
}

// OpOf names the S3 operation of a request with a path-style or virtual-host
// address, "" where the transfer makes none such.
func OpOf(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return "UploadPart"
	case r.Method == http.MethodPut:
		return "PutObject"
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return "CompleteMultipartUpload"
	case r.Method == http.MethodPost && q.Has("delete"):
		return "DeleteObjects"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "AbortMultipartUpload"
	case r.Method == http.MethodDelete:
		return "DeleteObject"
	case r.Method == http.MethodHead:
		return "HeadObject"
	case r.Method == http.MethodGet && q.Has("uploadId"):
		return "ListParts"
	case r.Method == http.MethodGet && q.Has("list-type"):
		return "ListObjectsV2"
	case r.Method == http.MethodGet:
		return "GetObject"
	}
	return ""
}

// Reset breaks the connection before the request reaches the server, or, with
// after, behind it: the answer is lost.
func Reset(after bool) Fault {
	return Fault{After: after, Answer: func(_ *http.Request, resp *http.Response) (*http.Response, error) {
		discard(resp)
		return nil, fmt.Errorf("read tcp: %w", syscall.ECONNRESET)
	}}
}

// Refuse answers with an S3 error, without asking the server.
func Refuse(status int, code string) Fault {
	return Fault{Answer: func(r *http.Request, _ *http.Response) (*http.Response, error) {
		return Response(r, status, "application/xml",
			fmt.Sprintf(`<?xml version="1.0"?><Error><Code>%s</Code><Message>as the test wants it</Message></Error>`, code)), nil
	}}
}

// HTML answers a login page with status 200, as a captive portal does.
func HTML() Fault {
	return Fault{Answer: func(r *http.Request, _ *http.Response) (*http.Response, error) {
		return Response(r, http.StatusOK, "text/html", "<!DOCTYPE html><html><body>Please log in<br></body></html>"), nil
	}}
}

// Garbage replaces the body of the server's answer with broken XML.
func Garbage() Fault {
	return Fault{After: true, Answer: func(r *http.Request, resp *http.Response) (*http.Response, error) {
		discard(resp)
		return Response(r, resp.StatusCode, "application/xml", `<?xml version="1.0"?><ListBucketResult><Name>b</Na`), nil
	}}
}

// Header changes a header of the server's answer; "" removes it.
func Header(name, value string) Fault {
	return Fault{After: true, Answer: func(_ *http.Request, resp *http.Response) (*http.Response, error) {
		if value == "" {
			resp.Header.Del(name)
		} else {
			resp.Header.Set(name, value)
		}
		return resp, nil
	}}
}

func discard(resp *http.Response) {
	if resp != nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// Response makes an answer out of nothing.
func Response(r *http.Request, status int, contentType, body string) *http.Response {
	if r.Method == http.MethodHead {
		body = ""
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Request: r,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}
