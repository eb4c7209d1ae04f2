package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"agent/transfer"
)

// GetWhole writes the bytes of one object to w, in order and each once. They
// are those of the object with this ETag; if another took its place the error is
// ErrChanged.
func (s *Store) GetWhole(ctx context.Context, key, etag string, size int64, w io.Writer) error {
	if size == 0 {
		return nil
	}
	_, err := s.Get(ctx, transfer.GetInput{
		Key: key, ETag: etag, Size: size, Body: inOrder{w}, Event: func(transfer.Event) {},
	})
	if errors.Is(err, transfer.ErrReplaced) {
		return &transfer.Error{Op: opGet, Key: key, Err: fmt.Errorf("%w: the object was replaced", transfer.ErrChanged)}
	}
	return err
}

// inOrder is a writer for bytes that come in order anyway.
type inOrder struct{ io.Writer }

func (o inOrder) WriteAt(b []byte, _ int64) (int, error) { return o.Write(b) }
