package s3store

import (
	"context"
	"errors"
	"iter"
	"net/http"

	"agent/transfer"
	"agent/transfer/checksum"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Stat describes one object by HeadObject. The answer to a HEAD has no body, so
// a refusal has no code: it may be the right that is missing, the object, or a
// live key. A listing tells, and send does what is to be done.
func (s *Store) Stat(ctx context.Context, key string) (transfer.Object, error) {
	obj, err := s.head(ctx, key)
	if !errors.Is(err, transfer.ErrDenied) {
		return obj, err
	}
	listed, lerr := s.statByList(ctx, key)
	if lerr != nil {
		if errors.Is(lerr, transfer.ErrDenied) {
			return obj, err
		}
		return listed, lerr
	}
	if obj, err = s.head(ctx, key); errors.Is(err, transfer.ErrDenied) {
		return listed, nil
	}
	return obj, err
}

func (s *Store) head(ctx context.Context, key string) (transfer.Object, error) {
	obj := transfer.Object{Key: key}
	err := s.send(ctx, opHead, key, func(ctx context.Context) error {
		out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{
			Bucket: &s.o.Bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			return err
		}
		if aws.ToString(out.ETag) == "" {
			return errNotS3
		}
		obj.Size, obj.ETag, obj.Modified = aws.ToInt64(out.ContentLength), *out.ETag, aws.ToTime(out.LastModified)
		obj.MTime = fileTime(out.Metadata)
		if v := aws.ToString(out.ChecksumCRC64NVME); v != "" && out.ChecksumType != types.ChecksumTypeComposite {
			obj.CRC64, err = checksum.Decode64(v)
			obj.HasCRC64 = err == nil
		}
		return nil
	})
	var f *Fault
	switch {
	case errors.Is(err, transfer.ErrCredentials): // the fault in it is of another request
		return obj, err
	case notFound(err):
		return obj, &transfer.Error{Op: opHead, Key: key, Err: transfer.ErrNotExist}
	case errors.As(err, &f) && (f.Status == http.StatusForbidden || f.Status == http.StatusBadRequest):
		return obj, &transfer.Error{Op: opHead, Key: key, Err: errors.Join(transfer.ErrDenied, f)}
	}
	return obj, err
}

// statByList describes one object by a listing, which answers with a code
// where HEAD can't, but never with a checksum.
func (s *Store) statByList(ctx context.Context, key string) (transfer.Object, error) {
	for obj, err := range s.list(ctx, key, "", 1) {
		if err != nil {
			return obj, err
		}
		if obj.Key == key {
			return obj, nil
		}
		break
	}
	return transfer.Object{}, &transfer.Error{Op: opList, Key: key, Err: transfer.ErrNotExist}
}

// List yields the objects under prefix behind after, page by page.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[transfer.Object, error] {
	return s.list(ctx, prefix, after, 1000)
}

func (s *Store) list(ctx context.Context, prefix, after string, page int32) iter.Seq2[transfer.Object, error] {
	return func(yield func(transfer.Object, error) bool) {
		req := &s3.ListObjectsV2Input{Bucket: &s.o.Bucket, Prefix: &prefix, MaxKeys: &page, EncodingType: types.EncodingTypeUrl}
		if after != "" {
			req.StartAfter = &after
		}
		last := after
		var turning pages
		for {
			out, err := s.listPage(ctx, prefix, req)
			if err != nil {
				yield(transfer.Object{}, err)
				return
			}
			for i := range out.Contents {
				obj, err := object(&out.Contents[i], out.EncodingType == types.EncodingTypeUrl, prefix)
				if err == nil && obj.Key <= last && last != "" {
					err = &transfer.Error{Op: opList, Key: obj.Key, Err: transfer.ErrUnsorted}
				}
				if !yield(obj, err) || err != nil {
					return
				}
				last = obj.Key
			}
			if !aws.ToBool(out.IsTruncated) {
				return
			}
			if err := turning.turn(out.NextContinuationToken, len(out.Contents)); err != nil {
				yield(transfer.Object{}, &transfer.Error{Op: opList, Key: prefix, Err: err})
				return
			}
			req.ContinuationToken = out.NextContinuationToken
		}
	}
}

func (s *Store) listPage(ctx context.Context, prefix string, req *s3.ListObjectsV2Input) (*s3.ListObjectsV2Output, error) {
	var out *s3.ListObjectsV2Output
	err := s.send(ctx, opList, prefix, func(ctx context.Context) (err error) {
		out, err = s.listOnce(ctx, req)
		return err
	})
	return out, err
}

func (s *Store) listOnce(ctx context.Context, req *s3.ListObjectsV2Input) (*s3.ListObjectsV2Output, error) {
	out, err := s.client.ListObjectsV2(ctx, req)
	if err == nil && aws.ToString(out.Name) == "" {
		err = errNotS3 // a portal's page is not an empty listing
	}
	return out, err
}
