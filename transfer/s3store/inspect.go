package s3store

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Inspect is Stat with all that the store keeps to tell the object's bytes by.
// Where that goes by parts, a second request asks how large the parts are.
func (s *Store) Inspect(ctx context.Context, key string) (transfer.Stored, error) {
	st, err := s.inspect(ctx, key, 0)
	if errors.Is(err, transfer.ErrDenied) {
		// As in Stat: an answer to HEAD can't say what was denied.
		obj, lerr := s.Stat(ctx, key)
		return transfer.Stored{Object: obj}, lerr
	}
	if err != nil || st.Whole() || st.Parts < 2 {
		return st, err
	}
	first, err := s.inspect(ctx, key, 1)
	switch {
	case errors.Is(err, transfer.ErrStopped), transfer.Fatal(err), ctx.Err() != nil:
		return st, err
	case err == nil && first.Size > 0 && first.Size < st.Size && bare(first.ETag) == bare(st.ETag):
		st.PartSize = first.Size
	}
	return st, nil // a store that can't tell leaves it to be guessed
}

// inspect makes one HEAD, of the object or of one part.
func (s *Store) inspect(ctx context.Context, key string, part int32) (transfer.Stored, error) {
	st := transfer.Stored{Object: transfer.Object{Key: key}}
	in := &s3.HeadObjectInput{Bucket: &s.o.Bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled}
	if part > 0 {
		in.PartNumber = &part
	}
	err := s.send(ctx, opHead, key, func(ctx context.Context) error {
		out, err := s.client.HeadObject(ctx, in)
		if err != nil {
			return err
		}
		if aws.ToString(out.ETag) == "" {
			return errNotS3
		}
		st.Size, st.ETag, st.Modified = aws.ToInt64(out.ContentLength), *out.ETag, aws.ToTime(out.LastModified)
		st.MTime = fileTime(out.Metadata)
		st.Sums = sumsOf(out)
		st.Opaque = out.SSECustomerAlgorithm != nil || strings.HasPrefix(string(out.ServerSideEncryption), "aws:kms")
		st.Parts = partsOf(st.ETag)
		return nil
	})
	var f *Fault
	switch {
	case errors.Is(err, transfer.ErrCredentials):
		return st, err
	case notFound(err):
		return st, &transfer.Error{Op: opHead, Key: key, Err: transfer.ErrNotExist}
	case errors.As(err, &f) && (f.Status == http.StatusForbidden || f.Status == http.StatusBadRequest):
		return st, &transfer.Error{Op: opHead, Key: key, Err: errors.Join(transfer.ErrDenied, f)}
	}
	return st, err
}

// sumsOf are the checksums an answer names, the most telling first.
func sumsOf(out *s3.HeadObjectOutput) []transfer.StoredSum {
	var sums []transfer.StoredSum
	for _, c := range []struct {
		algorithm string
		value     *string
	}{
		{"crc64nvme", out.ChecksumCRC64NVME}, {"sha256", out.ChecksumSHA256}, {"sha1", out.ChecksumSHA1},
		{"crc32c", out.ChecksumCRC32C}, {"crc32", out.ChecksumCRC32},
	} {
		v := aws.ToString(c.value)
		if v == "" {
			continue
		}
		sum := transfer.StoredSum{Algorithm: c.algorithm, Value: v}
		// "value-3" is made of the checksums of three parts. Some stores leave the number out.
		if base, n, ok := strings.Cut(v, "-"); ok {
			sum.Value = base
			sum.Parts, _ = strconv.Atoi(n)
		} else if out.ChecksumType == types.ChecksumTypeComposite {
			sum.Parts = max(partsOf(aws.ToString(out.ETag)), 1)
		}
		sums = append(sums, sum)
	}
	return sums
}

// partsOf is how many parts an ETag says that the object came in; 0 for an
// object that came as a whole, or an ETag that does not say.
func partsOf(etag string) int {
	_, n, ok := strings.Cut(bare(etag), "-")
	if !ok {
		return 0
	}
	parts, err := strconv.Atoi(n)
	if err != nil || parts < 1 || parts > MaxParts {
		return 0
	}
	return parts
}
