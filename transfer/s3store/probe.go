package s3store

import (
	"bytes"
	"context"
	"io"

	"agent/transfer"
	"agent/transfer/checksum"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Probed is what one request of Probe came to.
type Probed struct {
	Op  string // S3's name of it
	Err error  // nil where the role may do it
}

// Probe tries on a scratch key what the role may do there, and removes what it
// made. kept: the store has answered with the checksum of what it took, so that
// it compares and keeps them. What depends on something that failed is left out.
func (s *Store) Probe(ctx context.Context, key string) (all []Probed, kept bool) {
	p := prober{s: s, key: key}
	if p.put(ctx) {
		p.try(ctx, opHead, func(ctx context.Context) error {
			out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.o.Bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
			if err == nil {
				p.kept = p.kept && aws.ToString(out.ChecksumCRC64NVME) != ""
			}
			return err
		})
		p.try(ctx, opGet, func(ctx context.Context) error {
			out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.o.Bucket, Key: &key})
			if err != nil {
				return err
			}
			defer out.Body.Close()
			_, err = io.Copy(io.Discard, out.Body)
			return err
		})
	}
	p.multipart(ctx)
	if p.made {
		p.try(context.WithoutCancel(ctx), opDelete, func(ctx context.Context) error {
			_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.o.Bucket, Key: &key})
			return err
		})
	}
	return p.all, p.kept
}

type prober struct {
	s          *Store
	key        string
	all        []Probed
	made, kept bool
}

func (p *prober) try(ctx context.Context, op string, attempt func(context.Context) error) bool {
	err := p.s.send(ctx, op, p.key, attempt)
	p.all = append(p.all, Probed{Op: op, Err: err})
	return err == nil
}

var scratch = []byte("a scratch object; it may be deleted\n")

func (p *prober) put(ctx context.Context) bool {
	p.made = p.try(ctx, opPut, func(ctx context.Context) error {
		req := &s3.PutObjectInput{Bucket: &p.s.o.Bucket, Key: &p.key, Body: bytes.NewReader(scratch), ContentLength: aws.Int64(int64(len(scratch)))}
		if p.s.Checksum() == transfer.CRC64NVME {
			req.ChecksumCRC64NVME = aws.String(checksum.Encode64(checksum.Sum64(scratch)))
		}
		out, err := p.s.client.PutObject(ctx, req)
		if err == nil && aws.ToString(out.ETag) == "" {
			err = errNotS3
		}
		if err == nil {
			p.kept = aws.ToString(out.ChecksumCRC64NVME) != ""
		}
		return err
	})
	if !p.made && p.s.stepDown(p.s.Checksum(), p.all[len(p.all)-1].Err) {
		p.s.sum.Store(uint32(transfer.NoChecksum))
		p.all = p.all[:len(p.all)-1]
		return p.put(ctx)
	}
	return p.made
}

func (p *prober) multipart(ctx context.Context) {
	bucket, id := &p.s.o.Bucket, ""
	if !p.try(ctx, opCreate, func(ctx context.Context) error {
		out, err := p.s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &p.key})
		if err == nil && aws.ToString(out.UploadId) == "" {
			err = errNotS3
		}
		if err == nil {
			id = *out.UploadId
		}
		return err
	}) {
		return
	}
	p.try(ctx, opPart, func(ctx context.Context) error {
		_, err := p.s.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: &p.key, UploadId: &id, PartNumber: aws.Int32(1),
			Body: bytes.NewReader(scratch), ContentLength: aws.Int64(int64(len(scratch)))})
		return err
	})
	p.try(ctx, opParts, func(ctx context.Context) error {
		_, err := p.s.client.ListParts(ctx, &s3.ListPartsInput{Bucket: bucket, Key: &p.key, UploadId: &id})
		return err
	})
	aborted := p.try(context.WithoutCancel(ctx), opAbort, func(ctx context.Context) error {
		_, err := p.s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: &p.key, UploadId: &id})
		return err
	})
	if aborted {
		return
	}
	// What may not be aborted can be completed, and the object then deleted.
	err := p.s.send(context.WithoutCancel(ctx), opPart, p.key, func(ctx context.Context) error {
		out, err := p.s.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: &p.key, UploadId: &id, PartNumber: aws.Int32(1),
			Body: bytes.NewReader(scratch), ContentLength: aws.Int64(int64(len(scratch)))})
		if err != nil {
			return err
		}
		_, err = p.s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: &p.key, UploadId: &id,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: out.ETag, PartNumber: aws.Int32(1)}}}})
		return err
	})
	p.made = p.made || err == nil
}
