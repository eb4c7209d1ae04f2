package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"agent/transfer"
	"agent/transfer/checksum"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

var _ transfer.Origin = (*Store)(nil)

// Get fetches a range of an object. When the connection breaks, the next
// attempt goes on behind the last byte that was taken.
func (s *Store) Get(ctx context.Context, in transfer.GetInput) (transfer.GetOutput, error) {
	release, err := s.lane(ctx, in.Size)
	if err != nil {
		return transfer.GetOutput{}, &transfer.Error{Op: opGet, Key: in.Key, Err: err}
	}
	defer release()
	g := getting{s: s, in: &in}
	err = s.send(ctx, opGet, in.Key, g.attempt)
	var f *Fault
	switch {
	case err == nil:
		s.lanes.succeeded()
		g.out.CRC64 = g.sum
		return g.out, nil
	case errors.Is(err, transfer.ErrCredentials): // the fault in it is of another request
	case errors.Is(err, errBadAnswer):
		err = &transfer.Error{Op: opGet, Key: in.Key, Err: transfer.ErrDamaged}
	case errors.As(err, &f) && (f.Status == http.StatusPreconditionFailed || f.Status == http.StatusRequestedRangeNotSatisfiable):
		err = &transfer.Error{Op: opGet, Key: in.Key, Err: transfer.ErrReplaced}
	case notFound(err):
		err = &transfer.Error{Op: opGet, Key: in.Key, Err: transfer.ErrNotExist}
	case g.local != nil:
		err = g.local
	}
	return transfer.GetOutput{}, err
}

// getting is one Get over its attempts.
type getting struct {
	s    *Store
	in   *transfer.GetInput
	done int64  // bytes that Body has taken
	sum  uint64 // their CRC64NVME
	want *uint64
	out  transfer.GetOutput
	// local is what Body ended with: no trouble of the store's.
	local error
}

func (g *getting) attempt(ctx context.Context) error {
	whole := g.in.Whole && g.done == 0
	req := &s3.GetObjectInput{Bucket: &g.s.o.Bucket, Key: &g.in.Key}
	if g.in.ETag != "" {
		req.IfMatch = &g.in.ETag
	}
	ask := func(*s3.Options) {}
	if whole {
		// As a header of our own: asked for in the request's field, the client
		// library would sum the bytes, too, and keep the outcome to itself.
		ask = s3.WithAPIOptions(smithyhttp.SetHeaderValue("X-Amz-Checksum-Mode", string(types.ChecksumModeEnabled)))
	} else {
		req.Range = aws.String(fmt.Sprintf("bytes=%d-%d", g.in.Off+g.done, g.in.Off+g.in.Size-1))
	}
	out, err := g.s.client.GetObject(withObject(ctx), req, ask)
	if err != nil {
		return err
	}
	defer out.Body.Close()
	if err := g.head(out, whole); err != nil {
		return err
	}
	if err = g.body(out.Body); err != nil || g.want == nil {
		return err
	}
	if *g.want != g.sum {
		g.take(-g.done)
		g.done, g.sum = 0, 0
		return errBadAnswer
	}
	g.out.Verified = true
	return nil
}

// head believes an answer only if it is S3's, and of what was asked for.
func (g *getting) head(out *s3.GetObjectOutput, whole bool) error {
	etag := aws.ToString(out.ETag)
	switch {
	case etag == "", !whole && aws.ToString(out.ContentRange) == "": // a web page may have an ETag, too
		return errNotS3
	case g.in.ETag != "" && bare(etag) != bare(g.in.ETag): // a store that knows no If-Match
		return replacedError{}
	case out.ContentLength == nil || *out.ContentLength != g.in.Size-g.done:
		return fmt.Errorf("%w (%d bytes instead of %d)", errNotS3, aws.ToInt64(out.ContentLength), g.in.Size-g.done)
	case !whole && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", g.in.Off+g.done)):
		return fmt.Errorf("%w (the range %q)", errNotS3, aws.ToString(out.ContentRange))
	}
	g.out.Modified, g.out.MTime = aws.ToTime(out.LastModified), fileTime(out.Metadata)
	if v := aws.ToString(out.ChecksumCRC64NVME); whole && v != "" && out.ChecksumType != types.ChecksumTypeComposite {
		if sum, err := checksum.Decode64(v); err == nil {
			g.want = &sum
		}
	}
	return nil
}

// body hands the rest of the range to Body.
func (g *getting) body(r io.Reader) error {
	buf := g.s.bufs.get(min(scanSize, g.in.Size))
	defer g.s.bufs.put(buf)
	for g.done < g.in.Size {
		n, err := r.Read((*buf)[:min(scanSize, g.in.Size-g.done)])
		if n > 0 {
			b := (*buf)[:n]
			if _, werr := g.in.Body.WriteAt(b, g.in.Off+g.done); werr != nil {
				g.local = werr
				return &writeError{werr}
			}
			g.sum = checksum.Update64(g.sum, b)
			g.done += int64(n)
			g.take(int64(n))
		}
		if err != nil && g.done < g.in.Size {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

func (g *getting) take(n int64) {
	if n != 0 {
		g.s.lanes.moved.Add(n)
		g.in.Event(transfer.Event{Kind: transfer.Moved, Key: g.in.Key, Bytes: n})
	}
}

// writeError is a file that takes no more: no trouble of the network.
type writeError struct{ err error }

func (e *writeError) Error() string { return "write: " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// replacedError is an answer about another object than the one asked for.
type replacedError struct{}

func (replacedError) Error() string { return transfer.ErrReplaced.Error() }
func (replacedError) Unwrap() error { return transfer.ErrReplaced }
