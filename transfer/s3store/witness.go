package s3store

import (
	"context"
	"errors"
	"net/http"

	"agent/transfer"
	"agent/transfer/checksum"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// witness asks the store, where it may be asked, which parts of a journalled
// upload it has; it wins over the journal. up.Parts is corrected: what the
// store lacks is dropped, and what it has beyond the journal is taken over
// where the file's bytes have the checksum the store names.
//
// done says that the item needs nothing more: it was completed before.
func (s *Store) witness(ctx context.Context, in *transfer.PutInput, up *transfer.Upload) (out transfer.PutOutput, done bool, _ error) {
	if s.noListParts.Load() {
		return out, false, nil
	}
	listed, err := s.listParts(ctx, up)
	switch {
	case isCode(err, "NoSuchUpload"):
		if int64(len(up.Parts)) == (up.Stat.Size+up.PartSize-1)/up.PartSize {
			if up.Stat != in.Item.Stat {
				return out, false, nil // touched since: its parts are compared before anything is settled
			}
			sum64, _ := compose(up.Parts)
			if out, err = s.settle(ctx, in, *up, sum64, true); err != nil {
				return out, false, err
			}
			in.Event(transfer.Event{Kind: transfer.Saved, Key: up.Key, Bytes: up.Stat.Size})
			return out, true, nil
		}
		return out, false, errStartOver
	case errors.Is(err, transfer.ErrStopped), ctx.Err() != nil, transfer.Fatal(err) && !unknownOperation(err):
		return out, false, err
	case err != nil:
		// Denied, not implemented, or otherwise no witness: the journal does.
		s.noListParts.Store(true)
		return out, false, nil //nolint:nilerr // no witness is no error
	}
	parts, err := s.agree(ctx, in, up, listed)
	if err != nil {
		return out, false, err
	}
	up.Parts = parts
	return out, false, nil
}

// unknownOperation reports an answer by which a store, or what is no store, says that it
// has no such operation. Of which of them it is the next request tells.
func unknownOperation(err error) bool {
	var f *Fault
	return errors.As(err, &f) && (f.Status == http.StatusNotImplemented || f.Status == http.StatusMethodNotAllowed)
}

// agree holds the journal's parts against the store's.
func (s *Store) agree(ctx context.Context, in *transfer.PutInput, up *transfer.Upload, listed map[int32]listedPart) ([]transfer.Part, error) {
	var parts []transfer.Part
	for _, p := range up.Parts {
		if l, ok := listed[p.Number]; ok && l.size == p.Size && bare(l.etag) == bare(p.ETag) {
			parts = append(parts, p)
			delete(listed, p.Number)
		}
	}
	for num, l := range listed {
		if l.crc64 == "" || up.Checksum != transfer.CRC64NVME {
			continue
		}
		off := int64(num-1) * up.PartSize
		if size := min(up.PartSize, up.Stat.Size-off); size != l.size {
			continue
		}
		release, err := s.lane(ctx, l.size) // for its memory
		if err != nil {
			return nil, &transfer.Error{Op: opParts, Key: up.Key, Err: err}
		}
		p, err := s.bufs.load(in.Body, off, l.size, false)
		release()
		if err != nil {
			return nil, &transfer.Error{Op: "read", Key: up.Key, Path: in.Item.Path, Err: err}
		}
		p.done()
		if checksum.Encode64(p.sum64) != l.crc64 {
			continue
		}
		part := transfer.Part{Number: num, Size: l.size, ETag: l.etag, CRC64: p.sum64}
		if err := in.Journal.Part(up.Key, up.ID, part); err != nil {
			return nil, localFault(up.Key, err)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// listedPart is a part as the store tells of it.
type listedPart struct {
	size  int64
	etag  string
	crc64 string // base64; "" where the store keeps none
}

func (s *Store) listParts(ctx context.Context, up *transfer.Upload) (map[int32]listedPart, error) {
	parts := map[int32]listedPart{}
	count := (up.Stat.Size + up.PartSize - 1) / up.PartSize
	var turning pages
	req := &s3.ListPartsInput{Bucket: &s.o.Bucket, Key: &up.Key, UploadId: &up.ID}
	for {
		var out *s3.ListPartsOutput
		err := s.send(ctx, opParts, up.Key, func(ctx context.Context) (err error) {
			out, err = s.client.ListParts(ctx, req)
			if err == nil && aws.ToString(out.UploadId) == "" {
				err = errNotS3
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, p := range out.Parts {
			num := aws.ToInt32(p.PartNumber)
			if num < 1 || int64(num) > count {
				continue // none of this file's
			}
			parts[num] = listedPart{aws.ToInt64(p.Size), aws.ToString(p.ETag), aws.ToString(p.ChecksumCRC64NVME)}
		}
		if next := aws.ToString(out.NextPartNumberMarker); !aws.ToBool(out.IsTruncated) || next == "" || next == aws.ToString(req.PartNumberMarker) {
			return parts, nil
		}
		if err := turning.turn(out.NextPartNumberMarker, len(out.Parts)); err != nil {
			return nil, err
		}
		req.PartNumberMarker = out.NextPartNumberMarker
	}
}

// Discard ends an upload that is of no more use, or names it where the role
// may not end it. It is forgotten by the journal either way.
func (s *Store) Discard(ctx context.Context, j transfer.Journal, up transfer.Upload) error {
	in := transfer.PutInput{Item: transfer.Item{Key: up.Key}, Journal: j, Event: s.o.Event}
	if err := s.discard(ctx, &in, up); err != nil {
		return err
	}
	if err := j.Forget(up.Key); err != nil {
		return localFault(up.Key, err)
	}
	return nil
}

// forgetUpload has the journal forget an upload in whose place another is begun. A
// crash between the two leaves the doubt.
func forgetUpload(in *transfer.PutInput) error {
	if err := in.Journal.Done(transfer.Doubt(in.Item.Key)); err != nil {
		return localFault(in.Item.Key, err)
	}
	return nil
}

// discard is Discard, but for the journal.
func (s *Store) discard(ctx context.Context, in *transfer.PutInput, up transfer.Upload) error {
	var err error
	if s.noAbort.Load() {
		err = transfer.ErrDenied
	} else {
		err = s.send(ctx, opAbort, up.Key, func(ctx context.Context) error {
			_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
				Bucket: &s.o.Bucket, Key: &up.Key, UploadId: &up.ID})
			return err
		})
	}
	if errors.Is(err, transfer.ErrStopped) || ctx.Err() != nil || transfer.Fatal(err) {
		return err
	}
	if err != nil && !isCode(err, "NoSuchUpload") {
		s.noAbort.Store(errors.Is(err, transfer.ErrDenied))
		in.Event(transfer.Event{Kind: transfer.Notice, Key: up.Key,
			Text: "its unfinished upload " + up.ID + " may not be ended here and is left in the bucket"})
	}
	return nil
}

// notFound reports whether err is the store's word that there is no object.
func notFound(err error) bool {
	var f *Fault
	return errors.As(err, &f) && f.Status == http.StatusNotFound && f.Code != "NoSuchBucket"
}
