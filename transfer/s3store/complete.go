package s3store

import (
	"context"
	"crypto/md5" //nolint:gosec // the form of S3's ETags, no secret hangs on it
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// CompleteMultipartUpload makes the object of its parts, once the file is
// known to be what was read and the journal to be durable.
func (c *partClient) CompleteMultipartUpload(ctx context.Context, _ *s3.CompleteMultipartUploadInput, _ ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error) {
	if err := c.in.Unchanged(); err != nil {
		return nil, c.fail(&transfer.Error{Op: "read", Key: c.up.Key, Path: c.in.Item.Path, Err: err})
	}
	if err := c.in.Journal.Flush(ctx); err != nil {
		return nil, c.fail(localFault(c.up.Key, err))
	}
	c.up.Parts = c.parts
	out, err := c.s.complete(ctx, c.in, c.up, c.whole)
	if err != nil {
		return nil, c.fail(err)
	}
	c.out = out
	return &s3.CompleteMultipartUploadOutput{ETag: &out.ETag}, nil
}

// complete sends CompleteMultipartUpload for an upload whose parts are all
// there, and settles what came of it where the answer does not say. again says
// that an earlier run may have sent it, too.
func (s *Store) complete(ctx context.Context, in *transfer.PutInput, up transfer.Upload, again bool) (transfer.PutOutput, error) {
	sum64, sum32c := compose(up.Parts)
	req := &s3.CompleteMultipartUploadInput{Bucket: &s.o.Bucket, Key: &up.Key, UploadId: &up.ID,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: completedParts(up)}}
	if up.Checksum != transfer.NoChecksum {
		req.ChecksumCRC64NVME, req.ChecksumCRC32C = sumHeaders(up.Checksum, sum64, sum32c)
		req.ChecksumType = types.ChecksumTypeFullObject
		req.MpuObjectSize = aws.Int64(up.Stat.Size)
	}
	res := transfer.PutOutput{CRC64: sum64}
	err := s.send(ctx, opComplete, up.Key, func(ctx context.Context) error {
		out, err := s.client.CompleteMultipartUpload(ctx, req, func(o *s3.Options) { o.HTTPClient = s.o.SlowHTTP })
		if err == nil && aws.ToString(out.ETag) == "" {
			err = errNotS3
		}
		if err == nil {
			res.Verified, err = sameSum(up.Checksum, sum64, sum32c, out.ChecksumCRC64NVME, out.ChecksumCRC32C)
		}
		if err != nil {
			again = again || !turnedAway(err)
			return err
		}
		res.ETag = *out.ETag
		return nil
	})
	switch {
	case err == nil:
		if up.Checksum != transfer.NoChecksum {
			s.proven.Store(true)
		}
		if again {
			_, err = s.await(ctx, in, &up, sum64, res.ETag, appearWithin)
			return res, err
		}
		return res, nil
	case isCode(err, "NoSuchUpload"), notFound(err): // or a 404 of which the reason was lost on the way
		out, unsettled := s.settle(ctx, in, up, sum64, again)
		switch {
		case !errors.Is(unsettled, errStartOver):
			return out, unsettled
		case isCode(err, "NoSuchUpload"):
			return res, errors.Join(errStartOver, err)
		}
		return res, err // a proxy's 404, say, is no reason to give up what is stored
	case isCode(err, "InvalidPart"), isCode(err, "InvalidPartOrder"), errors.Is(err, errBadAnswer),
		isCode(err, "BadDigest"), isCode(err, "XAmzContentChecksumMismatch"):
		// What the store holds is not what we recorded.
		return res, errors.Join(errStartOver, err)
	}
	return res, err
}

// turnedAway reports an error by which a store says, in its own words, that it has not
// begun with a request, or one of a request that never came to it. All else leaves open
// what became of it.
func turnedAway(err error) bool {
	var dial *net.OpError
	var proxy *ProxyError
	if errors.As(err, &dial) && dial.Op == "dial" || errors.As(err, &proxy) {
		return true
	}
	f := read(err)
	switch f.Status {
	case http.StatusConflict: // somebody is at it
		return false
	case http.StatusServiceUnavailable:
		return !f.bare()
	}
	return f.Status >= 400 && f.Status < 500 && !f.bare()
}

// How long an object is waited for.
const (
	appearWithin = 2 * time.Minute  // after the store has said that its upload is complete
	workWithin   = 10 * time.Second // where it may be at work for an earlier run, and longer for a large one
	workRate     = 50 << 20         // bytes a second
)

// await waits until the object is the one that the parts make, or has this ETag. Some
// stores say yes to a second CompleteMultipartUpload while they work at the first, whose
// answer was lost with its connection or its run, or do not know the upload meanwhile;
// and that one may come to nothing, which leaves the object that was there before, of the
// same size perhaps. Where the object may not be asked for, nobody knows: such a store
// does not list the upload's parts meanwhile either.
func (s *Store) await(ctx context.Context, in *transfer.PutInput, up *transfer.Upload, sum64 uint64, etag string, within time.Duration) (transfer.Object, error) {
	until := time.Now().Add(within)
	for pause := backoffBase; ; pause = min(2*pause, backoffCap) {
		obj, err := s.Stat(ctx, up.Key)
		switch {
		case errors.Is(err, transfer.ErrDenied):
			unseen(in, up.Key)
			return obj, errStartOver
		case err != nil && !errors.Is(err, transfer.ErrNotExist):
			return obj, err
		case err == nil && (etag != "" && bare(obj.ETag) == bare(etag) || made(&obj, up, sum64)):
			return obj, nil
		case !time.Now().Before(until):
			return obj, errStartOver
		}
		if err := s.sleep(ctx, pause); err != nil {
			return obj, &transfer.Error{Op: opComplete, Key: up.Key, Err: err}
		}
	}
}

// unseen tells that a file goes again for want of a right.
func unseen(in *transfer.PutInput, key string) {
	in.Event(transfer.Event{Kind: transfer.Notice, Key: key, Text: "whether it is complete may not be asked here: it is sent again"})
}

// made tells whether the object is the one that the upload's parts make: by its
// checksum, and where the store keeps none by its ETag.
func made(obj *transfer.Object, up *transfer.Upload, sum64 uint64) bool {
	switch {
	case obj.Size != up.Stat.Size:
		return false
	case obj.HasCRC64:
		return obj.CRC64 == sum64
	}
	return bare(obj.ETag) == partsETag(up.Parts)
}

func completedParts(up transfer.Upload) []types.CompletedPart {
	parts := make([]types.CompletedPart, len(up.Parts))
	for i := range up.Parts {
		p := &up.Parts[i]
		parts[i] = types.CompletedPart{PartNumber: &p.Number, ETag: &p.ETag}
		parts[i].ChecksumCRC64NVME, parts[i].ChecksumCRC32C = sumHeaders(up.Checksum, p.CRC64, p.CRC32C)
	}
	return parts
}

// settle decides, when the store does not know an upload whose parts were all
// acknowledged, whether it was completed before: a lost answer, or a crash behind it,
// after which the store may still be at work.
func (s *Store) settle(ctx context.Context, in *transfer.PutInput, up transfer.Upload, sum64 uint64, sent bool) (transfer.PutOutput, error) {
	var within time.Duration
	if sent {
		within = min(appearWithin, workWithin+time.Duration(up.Stat.Size/workRate)*time.Second)
	}
	obj, err := s.await(ctx, in, &up, sum64, "", within)
	if err != nil {
		return transfer.PutOutput{}, err
	}
	return transfer.PutOutput{ETag: obj.ETag, CRC64: sum64, Verified: obj.HasCRC64}, nil
}

// bare is an ETag without its quotes.
func bare(etag string) string { return strings.Trim(etag, `"`) }

// partsETag is the ETag that most stores give an object made of parts: the
// MD5 of the parts' MD5s, and how many they are. "" where the parts' ETags are
// no MD5s.
func partsETag(parts []transfer.Part) string {
	h := md5.New() //nolint:gosec // see the import
	for _, p := range parts {
		b, err := hex.DecodeString(bare(p.ETag))
		if err != nil || len(b) != md5.Size {
			return ""
		}
		h.Write(b)
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(parts))
}
