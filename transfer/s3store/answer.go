package s3store

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// What an answer may be, other than the bytes of an object. A store keeps far
// below that: whoever does not is none, or means us ill.
const (
	// longestAnswer, in bytes. A page of 1,000 keys of 1,024 bytes has 6 MiB at
	// most, each byte of them escaped.
	longestAnswer = 8 << 20
	// longestRefusal, in bytes. S3's own have less than 2 KiB, pages of proxies some 100.
	longestRefusal = 256 << 10
	// longestHeader, in bytes, of all header lines together. S3 has 8 KiB at most.
	longestHeader = 64 << 10
	// deepestAnswer is how many elements may lie in one another. S3 has five.
	deepestAnswer = 32
	// slowestAnswer is how long a whole answer may take.
	slowestAnswer = 10 * time.Minute
	// readStall is how long not one byte of an answer's body may come, an object's
	// too. The HTTP client bounds the wait for an answer's header, not this.
	readStall = 60 * time.Second
	// slowStall is that for Complete: some stores begin the answer and then work.
	slowStall = slowestAnswer
)

var (
	errLongAnswer = errors.New("the answer is longer than any of S3's: is this address an S3 store's?")
	errDeepAnswer = errors.New("the answer is nested deeper than any of S3's: is this address an S3 store's?")
	errSlowAnswer = errors.New("the answer took longer than " + slowestAnswer.String())
	errStalled    = errors.New("no byte came for a while")
)

// unbounded is which of these bounds an answer has broken; nil where it is none.
func unbounded(err error) error {
	for _, known := range []error{errLongAnswer, errDeepAnswer, errSlowAnswer, errStalled} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}

// objectKey marks the context of requests whose good answer is an object: whoever
// reads that knows how long it is.
type objectKey struct{}

func withObject(ctx context.Context) context.Context {
	return context.WithValue(ctx, objectKey{}, true)
}

// bounded is an HTTP client whose answers count only if they can be S3's, and are
// bounded in length, depth and time: the client library reads a refusal whole, a
// page as far as it goes, and waits for either without end.
type bounded struct {
	aws.HTTPClient
	stall time.Duration
}

func (b bounded) Do(req *http.Request) (*http.Response, error) {
	res, err := b.HTTPClient.Do(req)
	switch {
	case err != nil:
		return nil, err
	case isPage(req, res):
		_ = res.Body.Close()
		return nil, errNotS3
	case res.Body == nil, res.Body == http.NoBody:
		return res, nil
	}
	body := &boundedBody{ReadCloser: res.Body, stall: b.stall, left: longestRefusal, until: time.Now().Add(slowestAnswer)}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		body.good, body.left = true, longestAnswer
		body.object = req.Context().Value(objectKey{}) != nil
	}
	if body.object {
		body.left = math.MaxInt64
	}
	res.Body = body
	return res, nil
}

// isPage reports a good answer to a change that is a web page: a captive portal
// says that to everything, and some give it an ETag. S3 answers changes with XML,
// or without a body, whatever type some stores give that. What is read may well be
// a page.
func isPage(req *http.Request, res *http.Response) bool {
	if req.Method == http.MethodGet || req.Method == http.MethodHead || res.StatusCode >= 300 || res.ContentLength == 0 {
		return false
	}
	return strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") ||
		req.Method == http.MethodDelete && res.ContentLength > 0 // of an answer without an ETag that is all there is to tell by
}

// boundedBody is the body of an answer. A refusal that is too long ends at the
// limit: its status is what counts. A good answer is then none.
type boundedBody struct {
	io.ReadCloser
	good, object bool
	left         int64
	until        time.Time
	nest         nest
	stall        time.Duration
	timer        *time.Timer // runs only while something is read: a disk may take its time
	stalled      atomic.Bool
	err          error
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.left == 0 && !b.good {
		return 0, io.EOF
	}
	n, err := b.watched(p[:min(int64(len(p)), max(b.left, 1))])
	switch {
	case b.stalled.Load():
		n, b.err = 0, errStalled
	case int64(n) > b.left:
		n, b.err = 0, errLongAnswer
	case b.good && !b.object && b.nest.deeper(p[:n], deepestAnswer):
		n, b.err = 0, errDeepAnswer
	case n > 0 && err == nil && !b.object && time.Now().After(b.until):
		n, b.err = 0, errSlowAnswer
	default:
		b.left -= int64(n)
		b.err = err
	}
	return n, b.err
}

// watched is a read that ends when nothing comes for a while.
func (b *boundedBody) watched(p []byte) (int, error) {
	if b.timer == nil {
		b.timer = time.AfterFunc(b.stall, func() {
			b.stalled.Store(true)
			_ = b.ReadCloser.Close() // ends the read
		})
	} else {
		b.timer.Reset(b.stall)
	}
	defer b.timer.Stop()
	return b.ReadCloser.Read(p)
}

func (b *boundedBody) Close() error {
	if b.stalled.Load() {
		return nil // it is closed
	}
	return b.ReadCloser.Close()
}
