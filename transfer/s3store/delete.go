package s3store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"unicode"

	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// MaxDelete is how many keys one DeleteObjects takes.
const MaxDelete = 1000

const (
	opDelete    = "DeleteObject"
	opDeleteAll = "DeleteObjects"
)

// singles is how many DeleteObject are made at once where keys go one by one.
const singles = 16

// Delete removes one object. That there is none is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := s.send(ctx, opDelete, key, func(ctx context.Context) error {
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.o.Bucket, Key: &key})
		return err
	})
	if notFound(err) {
		return nil
	}
	return err
}

// DeleteAll removes at most MaxDelete objects: by one DeleteObjects where the
// store has it and the role may use it, else one by one. Those that are not
// there are no error. failed holds why each of the others is still there; err
// is what ended the work for all, with the rest in an unknown state.
func (s *Store) DeleteAll(ctx context.Context, keys []string) (failed map[string]error, err error) {
	left := keys
	if len(keys) > 1 && !s.noDeleteAll.Load() {
		if left, err = s.deleteBatch(ctx, keys); err != nil {
			return nil, err
		}
	}
	failed = map[string]error{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(singles)
	for _, key := range left {
		g.Go(func() error {
			err := s.Delete(ctx, key)
			if err == nil {
				return nil
			}
			if transfer.Fatal(err) || errors.Is(err, transfer.ErrStopped) || ctx.Err() != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			failed[key] = err
			return nil
		})
	}
	return failed, g.Wait()
}

// deleteBatch removes what one request can, and returns the keys of which the
// answer does not say that they are gone: each of those has to be asked for by
// itself, and send decides about it.
func (s *Store) deleteBatch(ctx context.Context, keys []string) (left []string, _ error) {
	var ids []types.ObjectIdentifier
	for _, key := range keys {
		if xmlSafe(key) {
			ids = append(ids, types.ObjectIdentifier{Key: aws.String(key)})
		}
	}
	if len(ids) == 0 {
		return keys, nil
	}
	gone := map[string]bool{}
	err := s.send(ctx, opDeleteAll, s.o.Prefix, func(ctx context.Context) error {
		out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &s.o.Bucket, Delete: &types.Delete{Objects: ids}}, signed)
		if err != nil {
			return err
		}
		if len(out.Deleted)+len(out.Errors) == 0 {
			return errNotS3
		}
		for i := range out.Deleted {
			gone[aws.ToString(out.Deleted[i].Key)] = true
		}
		return nil
	})
	switch {
	case err == nil:
	case errors.Is(err, transfer.ErrStopped), ctx.Err() != nil, transfer.Fatal(err) && !unknownOperation(err):
		return nil, err
	default:
		// Denied, or unknown to the store: one by one takes no more than s3:DeleteObject.
		s.noDeleteAll.Store(true)
	}
	for _, key := range keys {
		if !gone[key] {
			left = append(left, key)
		}
	}
	return left, nil
}

// signed has the body signed over plain http too: unlike an object's bytes,
// nothing else would tell that somebody changed the keys in it.
func signed(o *s3.Options) { o.APIOptions = nil }

// xmlSafe reports whether XML carries key as it is.
func xmlSafe(key string) bool {
	return strings.IndexFunc(key, func(r rune) bool { return unicode.IsControl(r) || r == 0xFFFE || r == 0xFFFF }) < 0
}
