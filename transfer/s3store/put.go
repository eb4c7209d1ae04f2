package s3store

import (
	"context"
	"errors"
	"net/http"

	"agent/transfer"
	"agent/transfer/checksum"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The operations, by S3's names.
const (
	opPut      = "PutObject"
	opCreate   = "CreateMultipartUpload"
	opPart     = "UploadPart"
	opComplete = "CompleteMultipartUpload"
	opAbort    = "AbortMultipartUpload"
	opParts    = "ListParts"
	opHead     = "HeadObject"
	opGet      = "GetObject"
	opList     = "ListObjectsV2"
)

// Put stores one object: by one PutObject, or by parts where it is larger than
// one or was begun so.
func (s *Store) Put(ctx context.Context, in transfer.PutInput) (transfer.PutOutput, error) {
	if in.Item.Stat.Size > MaxObject {
		return transfer.PutOutput{}, &transfer.Error{Op: opPut, Key: in.Item.Key, Err: ErrTooLarge}
	}
	up, open, err := in.Journal.Upload(in.Item.Key)
	if err != nil {
		return transfer.PutOutput{}, localFault(in.Item.Key, err)
	}
	if open && (up.Stat.Size != in.Item.Stat.Size || !cuttable(&up)) {
		why := "its size changed since it was begun: it starts over"
		if up.Stat.Size == in.Item.Stat.Size {
			why = "what is known of its upload makes no sense: it starts over"
		}
		in.Event(transfer.Event{Kind: transfer.Notice, Key: in.Item.Key, Text: why})
		err := s.discard(ctx, &in, up)
		if err == nil {
			err = forgetUpload(&in)
		}
		if err != nil {
			return transfer.PutOutput{}, err
		}
		up, open = transfer.Upload{}, false
	}
	if !open && in.Item.Stat.Size <= s.PartSize(in.Item.Stat.Size) {
		return s.putWhole(ctx, &in)
	}
	return s.putParts(ctx, &in, up, open)
}

// cuttable reports whether an upload's parts are such that a file can be cut
// into them.
func cuttable(up *transfer.Upload) bool {
	return up.PartSize > 0 && up.PartSize <= MaxPartSize && up.Stat.Size > 0 && (up.Stat.Size-1)/up.PartSize < MaxParts
}

// ErrTooLarge is a file of more than MaxObject.
var ErrTooLarge = errors.New("larger than S3 takes (48.8 TiB)")

func localFault(key string, err error) error {
	if !errors.Is(err, transfer.ErrLocal) {
		err = errors.Join(transfer.ErrLocal, err)
	}
	return &transfer.Error{Op: "journal", Key: key, Err: err}
}

// lane takes the right to make one request with a body of n bytes.
func (s *Store) lane(ctx context.Context, n int64) (release func(), err error) {
	release, err = s.lanes.acquire(ctx, n)
	if err != nil {
		return nil, err
	}
	select {
	case <-s.o.Stop:
		release()
		return nil, transfer.ErrStopped
	default:
	}
	return release, nil
}

func (s *Store) putWhole(ctx context.Context, in *transfer.PutInput) (transfer.PutOutput, error) {
	size := in.Item.Stat.Size
	release, err := s.lane(ctx, size)
	if err != nil {
		return transfer.PutOutput{}, &transfer.Error{Op: opPut, Key: in.Item.Key, Err: err}
	}
	defer release()
	p, err := s.bufs.loadWhole(in.Body, size)
	if err == nil {
		defer p.done()
		err = in.Unchanged()
	}
	if err != nil {
		return transfer.PutOutput{}, &transfer.Error{Op: "read", Key: in.Item.Key, Path: in.Item.Path, Err: err}
	}
	p.moved = s.mover(in)
	for {
		sum := s.Checksum()
		if sum == transfer.CRC32C && p.data != nil {
			p.sum32c = checksum.Sum32C(p.data)
		}
		out, err := s.putOnce(ctx, in, p, sum)
		if err == nil {
			out.CRC64 = p.sum64
			return out, nil
		}
		if !s.stepDown(sum, err) {
			return transfer.PutOutput{}, err
		}
	}
}

func (s *Store) putOnce(ctx context.Context, in *transfer.PutInput, p *slice, sum transfer.Checksum) (transfer.PutOutput, error) {
	req := &s3.PutObjectInput{Bucket: &s.o.Bucket, Key: &in.Item.Key, ContentLength: aws.Int64(p.size), Metadata: metadata(&in.Item)}
	if in.ContentType != "" {
		req.ContentType = &in.ContentType
	}
	req.ChecksumCRC64NVME, req.ChecksumCRC32C = sumHeaders(sum, p.sum64, p.sum32c)
	var res transfer.PutOutput
	err := s.send(ctx, opPut, in.Item.Key, func(ctx context.Context) error {
		p.begin(!s.verifies.Load())
		req.Body = p.body()
		out, err := s.putObject(ctx, req)
		if err == nil && aws.ToString(out.ETag) == "" {
			err = errNotS3
		}
		if err == nil {
			res.Verified, err = sameSum(sum, p.sum64, p.sum32c, out.ChecksumCRC64NVME, out.ChecksumCRC32C)
		}
		p.end(err != nil)
		if err != nil {
			return s.blame(p, err)
		}
		res.ETag = *out.ETag
		if res.Verified {
			s.verifies.Store(true)
		}
		return nil
	})
	if err == nil {
		s.lanes.succeeded()
		if sum != transfer.NoChecksum {
			s.proven.Store(true)
		}
	}
	return res, err
}

// blame tells a file that changed between its two reads from bytes that were
// damaged on the way: the store refuses both alike.
func (s *Store) blame(p *slice, err error) error {
	if codes[read(err).Code] != corrupt && !errors.Is(err, errBadAnswer) {
		return err
	}
	if cerr := p.changed(&s.bufs); cerr != nil {
		return cerr
	}
	return err
}

// sumHeaders gives the values to send for an algorithm.
func sumHeaders(sum transfer.Checksum, sum64 uint64, sum32c uint32) (crc64, crc32c *string) {
	switch sum {
	case transfer.CRC64NVME:
		return aws.String(checksum.Encode64(sum64)), nil
	case transfer.CRC32C:
		return nil, aws.String(checksum.Encode32(sum32c))
	default:
		return nil, nil
	}
}

// sameSum compares what the store says it has with what was sent. An answer
// without a value has verified nothing.
func sameSum(sum transfer.Checksum, sum64 uint64, sum32c uint32, crc64, crc32c *string) (verified bool, err error) {
	want64, want32c := sumHeaders(sum, sum64, sum32c)
	for _, c := range []struct{ want, got *string }{{want64, crc64}, {want32c, crc32c}} {
		if c.want == nil || aws.ToString(c.got) == "" {
			continue
		}
		if *c.want != *c.got {
			return false, errBadAnswer
		}
		verified = true
	}
	return verified, nil
}

// refusesChecksum are the codes by which stores that lack an algorithm, or
// checksums as such, turn a request down.
var refusesChecksum = map[string]bool{
	"InvalidRequest": true, "InvalidArgument": true, "NotImplemented": true, "XNotImplemented": true,
	"UnsupportedOperation": true, "MalformedTrailerError": true, "InvalidHeader": true, "MalformedXML": true,
}

// stepDown reports whether err is the store's refusal of sum, in which case
// the next weaker algorithm is in use from now on.
func (s *Store) stepDown(sum transfer.Checksum, err error) bool {
	var f *Fault
	if s.proven.Load() || sum == transfer.NoChecksum || !errors.As(err, &f) {
		return false
	}
	if f.Status != http.StatusBadRequest && f.Status != http.StatusNotImplemented || !refusesChecksum[f.Code] {
		return false
	}
	next := sum + 1
	if s.sum.CompareAndSwap(uint32(sum), uint32(next)) {
		s.o.Event(transfer.Event{Kind: transfer.Notice, Err: f, Text: "the store refuses the checksum " + sum.String() +
			": going on with " + next.String()})
	}
	return true
}

// algorithm names sum in S3's words.
func algorithm(sum transfer.Checksum) types.ChecksumAlgorithm {
	switch sum {
	case transfer.CRC64NVME:
		return types.ChecksumAlgorithmCrc64nvme
	case transfer.CRC32C:
		return types.ChecksumAlgorithmCrc32c
	default:
		return ""
	}
}
