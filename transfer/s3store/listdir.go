package s3store

import (
	"context"
	"iter"

	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// ListDir yields what lies directly under prefix: the objects, and for all that
// have another slash behind it one Object of which only the Key is set, and
// ends in "/". Within a page of 1,000 these come first. It ends with the first
// error.
func (s *Store) ListDir(ctx context.Context, prefix string) iter.Seq2[transfer.Object, error] {
	return s.listAs(ctx, prefix, aws.String("/"))
}

// ListAny is List for whoever does not care about the order of the keys, which
// not every store keeps.
func (s *Store) ListAny(ctx context.Context, prefix string) iter.Seq2[transfer.Object, error] {
	return s.listAs(ctx, prefix, nil)
}

func (s *Store) listAs(ctx context.Context, prefix string, delimiter *string) iter.Seq2[transfer.Object, error] {
	return func(yield func(transfer.Object, error) bool) {
		req := &s3.ListObjectsV2Input{Bucket: &s.o.Bucket, Prefix: &prefix, Delimiter: delimiter, EncodingType: types.EncodingTypeUrl}
		var turning pages
		for {
			out, err := s.listPage(ctx, prefix, req)
			if err != nil {
				yield(transfer.Object{}, err)
				return
			}
			if !yieldPage(out, prefix, yield) || !aws.ToBool(out.IsTruncated) {
				return
			}
			if err := turning.turn(out.NextContinuationToken, entries(out)); err != nil {
				yield(transfer.Object{}, &transfer.Error{Op: opList, Key: prefix, Err: err})
				return
			}
			req.ContinuationToken = out.NextContinuationToken
		}
	}
}

func yieldPage(out *s3.ListObjectsV2Output, prefix string, yield func(transfer.Object, error) bool) bool {
	escaped := out.EncodingType == types.EncodingTypeUrl
	for i := range out.CommonPrefixes {
		key, err := listedKey(out.CommonPrefixes[i].Prefix, escaped, prefix)
		if !yield(transfer.Object{Key: key}, err) || err != nil {
			return false
		}
	}
	for i := range out.Contents {
		obj, err := object(&out.Contents[i], escaped, prefix)
		if !yield(obj, err) || err != nil {
			return false
		}
	}
	return true
}

// Lookup is the object under key, as a listing tells of it: without a checksum,
// but with a reason where HEAD has none. ErrNotExist when there is none.
func (s *Store) Lookup(ctx context.Context, key string) (transfer.Object, error) {
	return s.statByList(ctx, key)
}
