package s3store

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"agent/transfer"
	"agent/transfer/checksum"

	"github.com/aws/aws-sdk-go-v2/aws"
	// It is deprecated, and kept: its successor reads bodies through buffers and lacks
	// LeavePartsOnError, so it would read journalled parts again.
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// errStartOver says that the journalled upload is of no more use: the store
// does not know it, or what it holds is not what was sent.
var errStartOver = errors.New("its parts are not there, or not what was sent")

// putParts drives manager over a client that answers from the journal.
func (s *Store) putParts(ctx context.Context, in *transfer.PutInput, up transfer.Upload, open bool) (transfer.PutOutput, error) {
	var told atomic.Int64 // of bytes saved and moved
	event := in.Event
	in.Event = func(e transfer.Event) {
		if e.Kind == transfer.Moved || e.Kind == transfer.Saved {
			told.Add(e.Bytes)
		}
		event(e)
	}
	for range 3 {
		if open {
			out, done, err := s.witness(ctx, in, &up)
			if done || err != nil && !errors.Is(err, errStartOver) {
				return out, err
			}
			if err != nil {
				up, open = transfer.Upload{}, false
				if err := forgetUpload(in); err != nil {
					return out, err
				}
			}
		}
		out, err := s.upload(ctx, in, up, open)
		if !errors.Is(err, errStartOver) {
			return out, err
		}
		if n := told.Swap(0); n != 0 {
			event(transfer.Event{Kind: transfer.Moved, Key: in.Item.Key, Bytes: -n}) // it all goes again
		}
		event(transfer.Event{Kind: transfer.Notice, Key: in.Item.Key, Err: err,
			Text: "the upload that was begun makes no object: it starts over"})
		if err := forgetUpload(in); err != nil {
			return out, err
		}
		up, open = transfer.Upload{}, false
	}
	return transfer.PutOutput{}, &transfer.Error{Op: opComplete, Key: in.Item.Key, Err: errStartOver}
}

// upload makes one run of manager over the parts.
func (s *Store) upload(ctx context.Context, in *transfer.PutInput, up transfer.Upload, open bool) (transfer.PutOutput, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	size := in.Item.Stat.Size
	c := &partClient{s: s, in: in, cancel: cancel, up: up, open: open}
	if !open {
		c.up = transfer.Upload{Key: in.Item.Key, Stat: in.Item.Stat, PartSize: s.PartSize(size), Begun: time.Now()}
		if c.up.PartSize >= size { // it was begun by smaller ones: manager would make it one PutObject
			c.up.PartSize = MinPartSize
		}
	}
	c.parts = make([]transfer.Part, (size+c.up.PartSize-1)/c.up.PartSize)
	c.whole = open && len(up.Parts) == len(c.parts)
	c.doubt = open && up.Stat != in.Item.Stat
	for _, p := range up.Parts {
		if i := int(p.Number) - 1; i >= 0 && i < len(c.parts) {
			c.parts[i] = p
		}
	}
	//nolint:staticcheck // see the import
	u := manager.NewUploader(c, func(u *manager.Uploader) {
		u.PartSize = c.up.PartSize
		u.Concurrency = min(s.lanes.most, len(c.parts))
		u.LeavePartsOnError = true
		u.BufferProvider = nil
		u.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	})
	//nolint:staticcheck // see the import
	_, err := u.Upload(ctx, &s3.PutObjectInput{
		Bucket: &s.o.Bucket, Key: &in.Item.Key,
		Body: io.NewSectionReader(in.Body, 0, size),
	})
	if err == nil {
		return c.out, nil
	}
	err = c.cause(err)
	if errors.Is(err, errStartOver) && !isCode(err, "NoSuchUpload") {
		if err := s.discard(ctx, in, c.up); err != nil {
			return transfer.PutOutput{}, err
		}
	}
	return transfer.PutOutput{}, err
}

// partClient is manager's view of S3 for one item: what the journal knows is
// answered without a request, and what is sent is journalled.
type partClient struct {
	s      *Store
	in     *transfer.PutInput
	cancel context.CancelCauseFunc
	open   bool // the upload was begun earlier
	whole  bool // with all of its parts: it may have been completed, too
	doubt  bool // the file was touched since: its journalled parts are read and compared
	up     transfer.Upload
	out    transfer.PutOutput

	mu    sync.Mutex
	parts []transfer.Part // by number-1; a zero Number is not stored yet
	err   error           // the first error, which manager wraps or loses
}

var _ manager.UploadAPIClient = (*partClient)(nil)

// fail notes the first error and ends the item's other parts, which manager
// would let run on.
func (c *partClient) fail(err error) error {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	if !errors.Is(err, transfer.ErrStopped) { // then what is in flight may finish
		c.cancel(err)
	}
	return err
}

func (c *partClient) cause(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	return &transfer.Error{Op: opPart, Key: c.in.Item.Key, Err: err}
}

// PutObject is never called: the body is larger than one part, or was begun so.
func (c *partClient) PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	return nil, c.fail(&transfer.Error{Op: opPut, Key: c.in.Item.Key, Err: errors.New("a single part of an upload by parts")})
}

// CreateMultipartUpload answers the journalled id, or begins an upload and
// makes its id durable before the first part.
func (c *partClient) CreateMultipartUpload(ctx context.Context, _ *s3.CreateMultipartUploadInput, _ ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error) {
	if c.open {
		return &s3.CreateMultipartUploadOutput{UploadId: &c.up.ID}, nil
	}
	for {
		sum := c.s.Checksum()
		out, err := c.create(ctx, sum)
		if err == nil {
			c.up.ID, c.up.Checksum = *out.UploadId, sum
			if err := c.in.Journal.Begin(c.up); err != nil {
				return nil, c.fail(localFault(c.up.Key, err))
			}
			return out, nil
		}
		if !c.s.stepDown(sum, err) {
			return nil, c.fail(err)
		}
	}
}

func (c *partClient) create(ctx context.Context, sum transfer.Checksum) (*s3.CreateMultipartUploadOutput, error) {
	req := &s3.CreateMultipartUploadInput{Bucket: &c.s.o.Bucket, Key: &c.up.Key, Metadata: metadata(&c.in.Item)}
	if c.in.ContentType != "" {
		req.ContentType = &c.in.ContentType
	}
	if sum != transfer.NoChecksum {
		req.ChecksumAlgorithm, req.ChecksumType = algorithm(sum), types.ChecksumTypeFullObject
	}
	var out *s3.CreateMultipartUploadOutput
	err := c.s.send(ctx, opCreate, c.up.Key, func(ctx context.Context) (err error) {
		out, err = c.s.client.CreateMultipartUpload(ctx, req)
		if err == nil && aws.ToString(out.UploadId) == "" {
			err = errNotS3
		}
		return err
	})
	return out, err
}

// UploadPart answers from the journal, or sends and journals.
func (c *partClient) UploadPart(ctx context.Context, r *s3.UploadPartInput, _ ...func(*s3.Options)) (*s3.UploadPartOutput, error) {
	num := aws.ToInt32(r.PartNumber)
	off := int64(num-1) * c.up.PartSize
	size := min(c.up.PartSize, c.in.Item.Stat.Size-off)
	have := c.parts[num-1] // each number is asked for once
	if have.Number != 0 && have.Size != size {
		have = transfer.Part{}
	}
	if have.Number != 0 && !c.doubt {
		return c.saved(have), nil
	}
	part, sent, err := c.sendPart(ctx, num, off, size, have)
	if err != nil {
		return nil, c.fail(err)
	}
	if !sent {
		return c.saved(have), nil
	}
	c.mu.Lock()
	c.parts[num-1] = part
	c.mu.Unlock()
	if err := c.in.Journal.Part(c.up.Key, c.up.ID, part); err != nil {
		return nil, c.fail(localFault(c.up.Key, err))
	}
	c.in.Event(transfer.Event{Kind: transfer.PartDone, Key: c.up.Key, Bytes: size})
	return &s3.UploadPartOutput{ETag: &part.ETag}, nil
}

func (c *partClient) saved(p transfer.Part) *s3.UploadPartOutput {
	c.in.Event(transfer.Event{Kind: transfer.Saved, Key: c.up.Key, Bytes: p.Size})
	return &s3.UploadPartOutput{ETag: &p.ETag}
}

// sendPart reads one part and sends it, unless have is of the same bytes.
func (c *partClient) sendPart(ctx context.Context, num int32, off, size int64, have transfer.Part) (_ transfer.Part, sent bool, _ error) {
	release, err := c.s.lane(ctx, size)
	if err != nil {
		return have, false, &transfer.Error{Op: opPart, Key: c.up.Key, Err: err}
	}
	defer release()
	if err := c.in.Unchanged(); err != nil {
		// Better now than after the whole file went out.
		return have, false, &transfer.Error{Op: "read", Key: c.up.Key, Path: c.in.Item.Path, Err: err}
	}
	if have.Number == 0 && c.s.trails(size, c.up.Checksum) {
		p := c.s.bufs.unread(c.in.Body, off, size)
		etag, known, err := c.putTrailed(ctx, num, p)
		if known {
			return transfer.Part{Number: num, Size: size, CRC64: p.sum64, ETag: etag}, true, err
		}
	}
	p, err := c.s.bufs.load(c.in.Body, off, size, c.up.Checksum == transfer.CRC32C)
	if err != nil {
		return have, false, &transfer.Error{Op: "read", Key: c.up.Key, Path: c.in.Item.Path, Err: err}
	}
	defer p.done()
	if have.Number != 0 && have.CRC64 == p.sum64 {
		c.s.lanes.succeeded()
		return have, false, nil
	}
	part := transfer.Part{Number: num, Size: size, CRC64: p.sum64, CRC32C: p.sum32c}
	part.ETag, err = c.putPart(ctx, num, p)
	return part, true, err
}

// putPart sends what p holds as part num.
func (c *partClient) putPart(ctx context.Context, num int32, p *slice) (etag string, _ error) {
	p.moved = c.s.mover(c.in)
	req := &s3.UploadPartInput{
		Bucket: &c.s.o.Bucket, Key: &c.up.Key, UploadId: &c.up.ID,
		PartNumber: &num, ContentLength: &p.size,
	}
	sum, verified := c.up.Checksum, false
	req.ChecksumCRC64NVME, req.ChecksumCRC32C = sumHeaders(sum, p.sum64, p.sum32c)
	err := c.s.send(ctx, opPart, c.up.Key, func(ctx context.Context) error {
		p.begin(!c.s.verifies.Load())
		req.Body = p.body()
		out, err := c.s.client.UploadPart(ctx, req)
		if err == nil && aws.ToString(out.ETag) == "" {
			err = errNotS3
		}
		if err == nil {
			verified, err = sameSum(sum, p.sum64, p.sum32c, out.ChecksumCRC64NVME, out.ChecksumCRC32C)
		}
		p.end(err != nil)
		if err != nil {
			return c.s.blame(p, err)
		}
		etag = *out.ETag
		if verified {
			c.s.verifies.Store(true)
			c.s.partVerifies.Store(true)
		}
		return nil
	})
	return etag, c.sent(err)
}

// sent takes note of how a part went.
func (c *partClient) sent(err error) error {
	if err == nil {
		c.s.lanes.succeeded()
	}
	if isCode(err, "NoSuchUpload") {
		err = errors.Join(errStartOver, err)
	}
	return err
}

// AbortMultipartUpload is withheld: what is journalled can be resumed.
func (c *partClient) AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error) {
	return &s3.AbortMultipartUploadOutput{}, nil
}

// compose gives the checksums of the whole object from those of its parts.
func compose(parts []transfer.Part) (sum64 uint64, sum32c uint32) {
	for i, p := range parts {
		if i == 0 {
			sum64, sum32c = p.CRC64, p.CRC32C
			continue
		}
		sum64 = checksum.Combine64(sum64, p.CRC64, p.Size)
		sum32c = checksum.Combine32C(sum32c, p.CRC32C, p.Size)
	}
	return sum64, sum32c
}

func isCode(err error, code string) bool {
	var f *Fault
	return errors.As(err, &f) && f.Code == code
}
