package s3store

import (
	"context"
	"errors"
	"io"
	"net/http"
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
)

var (
	errLongAnswer = errors.New("the answer is longer than any of S3's: is this address an S3 store's?")
	errDeepAnswer = errors.New("the answer is nested deeper than any of S3's: is this address an S3 store's?")
	errSlowAnswer = errors.New("the answer took longer than " + slowestAnswer.String())
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
// reads that knows how long it is, and watches over it.
type objectKey struct{}

func withObject(ctx context.Context) context.Context {
	return context.WithValue(ctx, objectKey{}, true)
}

// bounded is an HTTP client whose answers are bounded in length, depth and time:
// the client library reads a refusal whole, and a page as far as it goes.
type bounded struct{ aws.HTTPClient }

func (b bounded) Do(req *http.Request) (*http.Response, error) {
	res, err := b.HTTPClient.Do(req)
	if err != nil || res.Body == nil || res.Body == http.NoBody {
		return res, err
	}
	good := res.StatusCode >= 200 && res.StatusCode < 300
	if good && req.Context().Value(objectKey{}) != nil {
		return res, nil
	}
	body := &boundedBody{ReadCloser: res.Body, good: good, left: longestRefusal, until: time.Now().Add(slowestAnswer)}
	if good {
		body.left = longestAnswer
	}
	body.stall = time.AfterFunc(readStall, func() {
		body.stalled.Store(true)
		_ = body.ReadCloser.Close() // ends the read that waits
	})
	body.stall.Stop()
	res.Body = body
	return res, nil
}

// boundedBody is the body of such an answer. A refusal that is too long ends at
// the limit: its status is what counts. A good answer is then none.
type boundedBody struct {
	io.ReadCloser
	good    bool
	left    int64
	until   time.Time
	nest    nest
	stall   *time.Timer
	stalled atomic.Bool
	err     error
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
	p = p[:min(int64(len(p)), max(b.left, 1))]
	b.stall.Reset(readStall)
	n, err := b.ReadCloser.Read(p)
	b.stall.Stop()
	switch {
	case b.stalled.Load():
		n, b.err = 0, errStalled
	case int64(n) > b.left:
		n, b.err = 0, errLongAnswer
	case b.good && b.nest.deeper(p[:n], deepestAnswer):
		n, b.err = 0, errDeepAnswer
	case n > 0 && err == nil && time.Now().After(b.until):
		n, b.err = 0, errSlowAnswer
	default:
		b.left -= int64(n)
		b.err = err
	}
	return n, b.err
}

func (b *boundedBody) Close() error {
	b.stall.Stop()
	if b.stalled.Load() {
		return nil // it is closed
	}
	return b.ReadCloser.Close()
}

// nest follows a text that should be XML, byte by byte, and counts how many
// elements are open. A parser keeps each of them in memory.
type nest struct {
	open  int
	at    nestState
	quote byte // the one that the value we are in ends with; 0 outside
	last  byte
}

type nestState uint8

const (
	inText   nestState = iota
	inMark             // behind "<"
	inStart            // in <name …
	inEnding           // in </…, <!… or <?…
)

// deeper reports whether more than most elements are open anywhere in b.
func (n *nest) deeper(b []byte, most int) bool {
	for _, c := range b {
		switch n.at {
		case inText:
			if c == '<' {
				n.at = inMark
			}
		case inMark:
			n.mark(c)
		case inStart:
			n.start(c)
		case inEnding:
			if c == '>' {
				n.at = inText
			}
		}
		if n.last = c; n.open > most {
			return true
		}
	}
	return false
}

func (n *nest) mark(c byte) {
	switch c {
	case '/':
		n.at = inEnding
		n.open--
	case '!', '?':
		n.at = inEnding
	default:
		n.at = inStart
		n.open++
	}
}

func (n *nest) start(c byte) {
	switch {
	case n.quote != 0:
		if c == n.quote {
			n.quote = 0
		}
	case c == '"' || c == '\'':
		n.quote = c
	case c == '>':
		n.at = inText
		if n.last == '/' {
			n.open--
		}
	}
}
