package s3store

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// readStall is how long not one byte of an answer's body may come. The HTTP
	// client bounds the wait for an answer's header, not this.
	readStall = 60 * time.Second
	// slowStall is that for Complete: some stores begin the answer and then work.
	slowStall = 10 * time.Minute
)

var errStalled = errors.New("no byte came for a while")

// heard is an HTTP client whose answers count only if they can be S3's, and whose
// bodies end when nothing more of them comes.
type heard struct {
	aws.HTTPClient
	stall time.Duration
}

func (h heard) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	res, err := h.HTTPClient.Do(req.WithContext(ctx))
	switch {
	case err != nil:
		cancel(nil)
		return nil, err
	case isPage(req, res):
		_ = res.Body.Close()
		cancel(nil)
		return nil, errNotS3
	case res.Body == nil, res.Body == http.NoBody:
		cancel(nil)
		return res, nil
	}
	res.Body = &heardBody{ReadCloser: res.Body, ctx: ctx, cancel: cancel, stall: h.stall}
	return res, nil
}

// isPage reports a good answer to a change that is a web page: a captive portal
// says that to everything, and some give it an ETag. S3 answers changes with XML,
// or without a body. What is read may well be a page.
func isPage(req *http.Request, res *http.Response) bool {
	if req.Method == http.MethodGet || req.Method == http.MethodHead || res.StatusCode >= 300 {
		return false
	}
	return strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") ||
		req.Method == http.MethodDelete && res.ContentLength > 0 // of an answer without an ETag that is all there is to tell by
}

// heardBody is a body of which some byte has to come now and then. Only while it
// is read the time runs: a disk may take its time.
type heardBody struct {
	io.ReadCloser
	ctx    context.Context // the request's
	cancel context.CancelCauseFunc
	stall  time.Duration
	timer  *time.Timer
}

func (b *heardBody) Read(p []byte) (int, error) {
	if b.timer == nil {
		b.timer = time.AfterFunc(b.stall, func() { b.cancel(errStalled) })
	} else {
		b.timer.Reset(b.stall)
	}
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && errors.Is(context.Cause(b.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

func (b *heardBody) Close() error {
	if b.timer != nil {
		b.timer.Stop()
	}
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
