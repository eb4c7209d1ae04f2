package stores

import (
	"context"
	"crypto/md5" //nolint:gosec // a header of S3's
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"agent/transfer/checksum"
)

// sumRows are about the checksums of whole objects.
var sumRows = []Row{
	{Group: "Checksums of objects", Name: "CRC64NVME named in the answer to a PUT", probe: func(ctx context.Context, p *prober) string {
		a := p.put(ctx, "o", text, sum64(text))
		return yes(a, a.header.Get(crc64) == sum64(text)[crc64])
	}},
	{Name: "CRC64NVME named by HEAD", probe: func(ctx context.Context, p *prober) string {
		if a := p.put(ctx, "o", text, sum64(text)); !a.ok() {
			return a.String()
		}
		a := p.ask(ctx, question{method: http.MethodHead, key: p.at + "o", header: map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}})
		return yes(a, a.header.Get(crc64) == sum64(text)[crc64])
	}},
	{Name: "a PUT with a wrong CRC64NVME", probe: func(ctx context.Context, p *prober) string {
		return refused(p.put(ctx, "o", text, sum64(other)))
	}},
	{Name: "a PUT with a wrong CRC32C", probe: func(ctx context.Context, p *prober) string {
		return refused(p.put(ctx, "o", text, map[string]string{"X-Amz-Checksum-Crc32c": checksum.Encode32(checksum.Sum32C(other))}))
	}},
	{Name: "a PUT with a wrong Content-MD5", probe: func(ctx context.Context, p *prober) string {
		sum := md5.Sum(other) //nolint:gosec // likewise
		return refused(p.put(ctx, "o", text, map[string]string{"Content-MD5": base64.StdEncoding.EncodeToString(sum[:])}))
	}},
	{Name: "CRC64NVME behind the bytes (trailer)", probe: func(ctx context.Context, p *prober) string {
		a := p.trailed(ctx, question{method: http.MethodPut, key: p.at + "o"}, text)
		if !a.ok() {
			return a.String()
		}
		switch got := p.get(ctx, "o", nil); {
		case string(got.body) == string(text) && a.header.Get(crc64) != "":
			return "yes, and named"
		case string(got.body) == string(text):
			return "not named"
		case strings.Contains(string(got.body), string(text)):
			return "**stored with its frame**"
		default:
			return got.String()
		}
	}},
	{Name: "a wrong one behind the bytes", probe: func(ctx context.Context, p *prober) string {
		return refused(p.trailed(ctx, question{method: http.MethodPut, key: p.at + "o"}, other))
	}},
}

const crc64 = "X-Amz-Checksum-Crc64nvme"

// text is what is stored, and other what is not.
var text, other = []byte("the bytes of an object\n"), []byte("the bytes of another one\n")

func sum64(b []byte) map[string]string {
	return map[string]string{crc64: checksum.Encode64(checksum.Sum64(b))}
}

// trailed sends text with the checksum of what summed is behind it.
func (p *prober) trailed(ctx context.Context, q question, summed []byte) answer {
	q.body = fmt.Appendf(nil, "%x\r\n%s\r\n0\r\nx-amz-checksum-crc64nvme:%s\r\n\r\n", len(text), text, sum64(summed)[crc64])
	q.hash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	q.header = map[string]string{
		"Content-Encoding": "aws-chunked", "X-Amz-Trailer": "x-amz-checksum-crc64nvme", "X-Amz-Decoded-Content-Length": strconv.Itoa(len(text)),
	}
	return p.ask(ctx, q)
}
