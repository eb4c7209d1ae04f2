package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"agent/transfer"
	"agent/transfer/checksum"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// A part is read once, and summed while its bytes are in the cache, if its
// checksum goes behind them. Not every store takes that, and some that do not may
// store the frame with the bytes; so it is done only
//
//   - where the store has shown that it compares checksums of parts, and
//   - as long as each answer names the checksum that was sent.
//
// Else the same part is sent again with its checksum before it, and so are all
// that follow.
const trailed = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

// trails reports whether a part of size bytes is sent so.
func (s *Store) trails(size int64, sum transfer.Checksum) bool {
	return s.direct != nil && sum == transfer.CRC64NVME && size > smallSize && s.partVerifies.Load() && !s.noTrailers.Load()
}

// putTrailed sends p, whose sum is known only then, as part num. known is false
// where it has to be sent the other way.
func (c *partClient) putTrailed(ctx context.Context, num int32, p *slice) (etag string, known bool, _ error) {
	p.moved = c.s.mover(c.in)
	err := c.s.send(ctx, opPart, c.up.Key, func(ctx context.Context) error {
		p.begin(false)
		tag, sum, err := c.s.uploadTrailed(ctx, c.up.Key, c.up.ID, num, p)
		if err == nil && tag == "" {
			err = errNotS3
		}
		etag, p.sum64 = tag, p.sent()
		known = err == nil && sum == checksum.Encode64(p.sum64)
		p.end(err != nil || !known)
		return err
	})
	if known || err != nil && !refusesTrailer(err) {
		return etag, true, c.sent(err)
	}
	c.s.noTrailers.Store(true)
	return "", false, nil
}

// refusesTrailer reports a store's refusal that may be about the form of the
// body. One that is about something else comes again in the other form.
func refusesTrailer(err error) bool {
	var f *Fault
	if errors.Is(err, transfer.ErrCredentials) || errors.Is(err, transfer.ErrUnreachable) || !errors.As(err, &f) {
		return false
	}
	switch {
	case f.Code == "NoSuchUpload", f.Code == "EntityTooLarge", refusals[f.Code] && f.Code != "SignatureDoesNotMatch":
		return false
	}
	return f.Status == http.StatusNotImplemented || f.Status >= 400 && f.Status < 500
}

// uploadTrailed is UploadPart with the checksum behind the bytes. sum is what
// the store says it has.
func (s *Store) uploadTrailed(ctx context.Context, key, id string, num int32, p *slice) (etag, sum string, _ error) {
	cr, ok := ctx.Value(credentialsKey{}).(aws.Credentials)
	if !ok {
		return "", "", errNotThroughSend
	}
	body := newTrailedBody(p)
	req := s.direct.put(key, body, body.length())
	req.URL.RawQuery = url.Values{"partNumber": {strconv.Itoa(int(num))}, "uploadId": {id}}.Encode()
	h := req.Header
	h["Content-Encoding"] = []string{"aws-chunked"}
	h["X-Amz-Decoded-Content-Length"] = []string{strconv.FormatInt(p.size, 10)}
	h["X-Amz-Trailer"] = []string{trailerName}
	res, err := s.do(ctx, cr, req, trailed)
	if err != nil {
		return "", "", err
	}
	if res.StatusCode != http.StatusOK {
		_, err := s.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &s.o.Bucket, Key: &key, UploadId: &id, PartNumber: &num}, answered(res))
		if err == nil { // some other good status: not one that S3 gives
			err = errNotS3
		}
		return "", "", err
	}
	return res.Header.Get("Etag"), res.Header.Get("X-Amz-Checksum-Crc64nvme"), drain(res)
}

const (
	trailerName = "x-amz-checksum-crc64nvme"
	trailerForm = "\r\n0\r\n" + trailerName + ":%s\r\n\r\n"
)

// trailedBody is a slice as one chunk, with the checksum of what was read behind
// it.
type trailedBody struct {
	p    *slice
	rest string // of the frame, to be given out next
	tail bool   // rest is what comes after the bytes
}

func newTrailedBody(p *slice) *trailedBody {
	return &trailedBody{p: p, rest: fmt.Sprintf("%x\r\n", p.size)}
}

// length is that of bytes and frame, before anything was read.
func (b *trailedBody) length() int64 {
	return int64(len(b.rest)) + b.p.size + int64(len(fmt.Sprintf(trailerForm, checksum.Encode64(0))))
}

func (b *trailedBody) Read(to []byte) (int, error) {
	if b.rest == "" && !b.tail {
		n, err := b.p.Read(to)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		b.rest, b.tail = fmt.Sprintf(trailerForm, checksum.Encode64(b.p.sent())), true
	}
	if b.rest == "" {
		return 0, io.EOF
	}
	n := copy(to, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}
