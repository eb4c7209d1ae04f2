package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// readStall is how long not one byte of an answer's body may come.
const readStall = 60 * time.Second

var errStalled = errors.New("the answer stopped coming")

// GetWhole writes the bytes of one object to w, in order and each once: where
// the connection breaks, it goes on behind what it has. They are those of the
// object with this ETag; if another took its place the error is ErrChanged.
func (s *Store) GetWhole(ctx context.Context, key, etag string, size int64, w io.Writer) error {
	var at int64
	err := s.send(ctx, opGet, key, func(ctx context.Context) error {
		n, err := s.getFrom(ctx, key, etag, at, w)
		at += n
		if err == nil && at < size {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	var f *Fault
	var local *writeError
	switch {
	case errors.As(err, &local):
		return &transfer.Error{Op: opGet, Key: key, Err: local.err}
	case notFound(err):
		return &transfer.Error{Op: opGet, Key: key, Err: transfer.ErrNotExist}
	case errors.As(err, &f) && f.Status == http.StatusPreconditionFailed:
		return &transfer.Error{Op: opGet, Key: key, Err: fmt.Errorf("%w: the object was replaced", transfer.ErrChanged)}
	}
	return err
}

// getFrom makes one GET of what is behind the first bytes, and says how many came.
func (s *Store) getFrom(ctx context.Context, key, etag string, from int64, w io.Writer) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in := &s3.GetObjectInput{Bucket: &s.o.Bucket, Key: &key, IfMatch: aws.String(etag)}
	if from > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", from))
	}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		return 0, err
	}
	defer out.Body.Close()
	if bare(aws.ToString(out.ETag)) != bare(etag) ||
		from > 0 && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", from)) {
		return 0, errNotS3
	}
	idle := time.AfterFunc(readStall, func() { cancel(errStalled) })
	defer idle.Stop()
	n, err := io.Copy(onlyWriter{w}, resetting{out.Body, idle})
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

// resetting puts the timer back whenever bytes come.
type resetting struct {
	io.Reader
	idle *time.Timer
}

func (r resetting) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if n > 0 {
		r.idle.Reset(readStall)
	}
	return n, err
}

// onlyWriter tells the failures of the local side from those of the network.
type onlyWriter struct{ w io.Writer }

func (o onlyWriter) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if err != nil {
		err = &writeError{err}
	}
	return n, err
}

type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }
