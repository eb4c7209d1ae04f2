package storetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// Timeout is an answer that does not come: the client gives up after d. With
// after, the server took the request.
func Timeout(d time.Duration, after bool) Fault {
	return Fault{After: after, Answer: func(r *http.Request, resp *http.Response) (*http.Response, error) {
		discard(resp)
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil, timeoutError{}
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}}
}

// timeoutError is what net/http says where no header comes in time.
type timeoutError struct{}

func (timeoutError) Error() string   { return "timeout awaiting response headers" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// Cut breaks the connection in the midst of the request's body.
func Cut() Fault {
	return Fault{Answer: func(r *http.Request, _ *http.Response) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		}
		return nil, fmt.Errorf("write tcp: %w", syscall.ECONNRESET)
	}}
}

// Truncate ends the server's answer in the midst of its body, or, where it has
// none, in that of its header.
func Truncate() Fault {
	return Fault{After: true, Answer: func(r *http.Request, resp *http.Response) (*http.Response, error) {
		if bodiless(r, resp) {
			discard(resp)
			return nil, io.ErrUnexpectedEOF
		}
		resp.Body = body{io.MultiReader(io.LimitReader(resp.Body, resp.ContentLength/2), broken{}), resp.Body}
		return resp, nil
	}}
}

func bodiless(r *http.Request, resp *http.Response) bool {
	return r.Method == http.MethodHead || resp.ContentLength <= 0
}

type body struct {
	io.Reader
	io.Closer
}

// broken is where an answer broke off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Stall lets half of the answer's body come and then nothing, for as long as
// the client waits; where there is none, no answer comes for d.
func Stall(d time.Duration) Fault {
	timeout := Timeout(d, true)
	return Fault{After: true, Answer: func(r *http.Request, resp *http.Response) (*http.Response, error) {
		if bodiless(r, resp) {
			return timeout.Answer(r, resp)
		}
		ctx, end := context.WithCancel(r.Context())
		rest := silent{ctx, d}
		resp.Body = body{io.MultiReader(io.LimitReader(resp.Body, resp.ContentLength/2), rest), ender{resp.Body, end}}
		return resp, nil
	}}
}

// silent brings nothing until ctx ends, or the connection does after d.
type silent struct {
	ctx context.Context
	d   time.Duration
}

func (s silent) Read([]byte) (int, error) {
	timer := time.NewTimer(10 * s.d)
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-timer.C:
		return 0, timeoutError{}
	}
}

// ender calls end when it is closed.
type ender struct {
	io.Closer
	end func()
}

func (e ender) Close() error {
	e.end()
	return e.Closer.Close()
}

// Skewed refuses because the clocks differ by d, of which the answer's Date
// tells.
func Skewed(d time.Duration) Fault {
	refuse := Refuse(http.StatusForbidden, "RequestTimeTooSkewed")
	return Fault{Answer: func(r *http.Request, _ *http.Response) (*http.Response, error) {
		resp, err := refuse.Answer(r, nil)
		if err == nil {
			resp.Header.Set("Date", time.Now().Add(d).UTC().Format(http.TimeFormat))
		}
		return resp, err
	}}
}

// Tagged answers a login page as HTML does, by a web server that gives its
// pages ETags.
func Tagged() Fault {
	page := HTML()
	return Fault{Answer: func(r *http.Request, _ *http.Response) (*http.Response, error) {
		resp, err := page.Answer(r, nil)
		if err == nil {
			resp.Header.Set("ETag", `"5f3c-62b1d0a7"`)
		}
		return resp, err
	}}
}

// Element puts another value into every element of this name in the server's
// answer.
func Element(name, value string) Fault {
	find := regexp.MustCompile("<" + name + ">[^<]*</" + name + ">")
	with := []byte("<" + name + ">" + value + "</" + name + ">")
	return Fault{After: true, Answer: func(_ *http.Request, resp *http.Response) (*http.Response, error) {
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
		b = find.ReplaceAllLiteral(b, with)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		resp.Header.Set("Content-Length", strconv.Itoa(len(b)))
		return resp, nil
	}}
}
