package stores

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's ETags
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"agent/transfer/checksum"
)

// partRows are about uploads by parts.
var partRows = []Row{
	{Group: "Uploads by parts", Name: "CRC64NVME named in the answer to a part", probe: func(ctx context.Context, p *prober) string {
		u := p.begin(ctx, "o")
		a := u.part(ctx, 1, last, last)
		return yes(a, a.header.Get(crc64) == sum64(last)[crc64])
	}},
	{Name: "a part with a wrong CRC64NVME", probe: func(ctx context.Context, p *prober) string {
		u := p.begin(ctx, "o")
		return refused(u.part(ctx, 1, last, other))
	}},
	{Name: "a part with a wrong CRC64NVME behind the bytes", probe: func(ctx context.Context, p *prober) string {
		u := p.begin(ctx, "o")
		return refused(p.trailed(ctx, question{method: http.MethodPut, key: u.key, query: u.query(1)}, other))
	}},
	{Name: "Complete names the CRC64NVME of the whole", probe: func(ctx context.Context, p *prober) string {
		a := p.twoParts(ctx).complete(ctx, nil)
		return yes(a, strings.Contains(string(a.body), whole64) || a.header.Get(crc64) == whole64)
	}},
	{Name: "Complete with a wrong CRC64NVME of the whole", probe: func(ctx context.Context, p *prober) string {
		return refused(p.twoParts(ctx).complete(ctx, map[string]string{crc64: sum64(other)[crc64]}))
	}},
	{Name: "Complete with a wrong size", probe: func(ctx context.Context, p *prober) string {
		return refused(p.twoParts(ctx).complete(ctx, map[string]string{"X-Amz-Mp-Object-Size": "1"}))
	}},
	{Name: "Complete without the parts' checksums", probe: func(ctx context.Context, p *prober) string {
		u := p.twoParts(ctx)
		u.bare = true
		a := u.complete(ctx, nil)
		return yes(a, true)
	}},
	{Name: "Complete twice", probe: func(ctx context.Context, p *prober) string {
		u := p.twoParts(ctx)
		if a := u.complete(ctx, nil); !a.ok() {
			return "once: " + a.String()
		}
		a := u.complete(ctx, nil)
		return yes(a, true)
	}},
	{Name: "a part of an upload that is complete", probe: func(ctx context.Context, p *prober) string {
		u := p.twoParts(ctx)
		if a := u.complete(ctx, nil); !a.ok() {
			return a.String()
		}
		return refused(u.part(ctx, 2, last, last))
	}},
	{Name: "ETag of an object made of parts", probe: func(ctx context.Context, p *prober) string {
		a := p.twoParts(ctx).complete(ctx, nil)
		if !a.ok() {
			return a.String()
		}
		return etagKind(strings.Trim(p.get(ctx, "o", map[string]string{"Range": "bytes=0-0"}).header.Get("Etag"), `"`))
	}},
	{Name: "CRC64NVME of such an object, by HEAD", probe: func(ctx context.Context, p *prober) string {
		if a := p.twoParts(ctx).complete(ctx, nil); !a.ok() {
			return a.String()
		}
		a := p.ask(ctx, question{method: http.MethodHead, key: p.at + "o", header: map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}})
		switch sum := a.header.Get(crc64); {
		case !a.ok():
			return a.String()
		case sum == "":
			return "none"
		case sum == whole64:
			return "right"
		}
		return "**false**"
	}},
	{Name: "HEAD of one part", probe: func(ctx context.Context, p *prober) string {
		if a := p.twoParts(ctx).complete(ctx, nil); !a.ok() {
			return a.String()
		}
		a := p.ask(ctx, question{method: http.MethodHead, key: p.at + "o", query: "partNumber=1"})
		return yes(a, a.header.Get("Content-Length") == strconv.Itoa(len(first)))
	}},
	{Name: "ListParts", probe: func(ctx context.Context, p *prober) string {
		u := p.twoParts(ctx)
		a := p.ask(ctx, question{method: http.MethodGet, key: u.key, query: "uploadId=" + url.QueryEscape(u.id)})
		switch all := string(a.body); {
		case !a.ok():
			return a.String()
		case strings.Contains(all, sum64(first)[crc64]):
			return "yes, with checksums"
		case strings.Contains(all, "<PartNumber>2</PartNumber>"):
			return "yes, without checksums"
		default:
			return "no parts in it"
		}
	}},
	{Name: "ListMultipartUploads of a prefix", probe: func(ctx context.Context, p *prober) string {
		p.begin(ctx, "one")
		p.begin(ctx, "two")
		a := p.ask(ctx, question{method: http.MethodGet, query: "prefix=" + url.QueryEscape(p.at+"o") + "&uploads="})
		switch keys := keysIn(a); {
		case !a.ok():
			return a.String()
		case slices.Equal(keys, []string{p.at + "one"}):
			return "yes"
		case slices.Contains(keys, p.at+"two"):
			return "**all, whatever the prefix**"
		case len(keys) == 0:
			return "none, with this prefix"
		default:
			return fmt.Sprintf("%d of them", len(keys))
		}
	}},
	{Name: "AbortMultipartUpload", probe: func(ctx context.Context, p *prober) string {
		u := p.begin(ctx, "o")
		a := p.ask(ctx, question{method: http.MethodDelete, key: u.key, query: "uploadId=" + url.QueryEscape(u.id)})
		return yes(a, true)
	}},
}

// first and last are the parts of an upload; only the last may be below 5 MiB.
var (
	first   = bytes.Repeat([]byte("the first part\n"), 5<<20/15+1)
	last    = []byte("the last part\n")
	whole64 = checksum.Encode64(checksum.Sum64(slices.Concat(first, last)))
)

// etagKind tells what an ETag of first and last is made of.
func etagKind(etag string) string {
	one, two := md5.Sum(first), md5.Sum(last)       //nolint:gosec // see the import
	all := md5.Sum(slices.Concat(first, last))      //nolint:gosec // likewise
	parts := md5.Sum(slices.Concat(one[:], two[:])) //nolint:gosec // likewise
	switch etag {
	case fmt.Sprintf("%x-2", parts):
		return "MD5 of the parts' MD5s, -2"
	case fmt.Sprintf("%x", all):
		return "MD5 of the bytes"
	}
	return "neither MD5"
}

// upload is one by parts.
type upload struct {
	p       *prober
	key, id string
	etags   []string
	bodies  [][]byte
	bare    bool // leave the parts' checksums out of Complete
}

// begin begins an upload that is to have a checksum of the whole.
func (p *prober) begin(ctx context.Context, name string) *upload {
	u := &upload{p: p, key: p.at + name}
	a := p.ask(ctx, question{method: http.MethodPost, key: u.key, query: "uploads=",
		header: map[string]string{"X-Amz-Checksum-Algorithm": "CRC64NVME", "X-Amz-Checksum-Type": "FULL_OBJECT"}})
	_, rest, _ := strings.Cut(string(a.body), "<UploadId>")
	u.id, _, _ = strings.Cut(rest, "</UploadId>")
	if u.id == "" && p.err == nil {
		p.err = fmt.Errorf("no upload is begun: %s", a)
	}
	return u
}

func (u *upload) query(num int) string {
	return "partNumber=" + strconv.Itoa(num) + "&uploadId=" + url.QueryEscape(u.id)
}

// part sends body with the checksum of summed.
func (u *upload) part(ctx context.Context, num int, body, summed []byte) answer {
	return u.p.ask(ctx, question{method: http.MethodPut, key: u.key, query: u.query(num), body: body, header: sum64(summed)})
}

// twoParts are sent; what is left is to complete them.
func (p *prober) twoParts(ctx context.Context) *upload {
	u := p.begin(ctx, "o")
	for i, b := range [][]byte{first, last} {
		a := u.part(ctx, i+1, b, b)
		if !a.ok() && p.err == nil {
			p.err = fmt.Errorf("part %d is not taken: %s", i+1, a)
		}
		u.etags, u.bodies = append(u.etags, a.header.Get("Etag")), append(u.bodies, b)
	}
	return u
}

// complete makes an object of the parts. What is in header replaces what is right.
func (u *upload) complete(ctx context.Context, header map[string]string) answer {
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for i, etag := range u.etags {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>", i+1, etag)
		if !u.bare {
			fmt.Fprintf(&b, "<ChecksumCRC64NVME>%s</ChecksumCRC64NVME>", sum64(u.bodies[i])[crc64])
		}
		b.WriteString("</Part>")
	}
	b.WriteString("</CompleteMultipartUpload>")
	all := map[string]string{crc64: whole64, "X-Amz-Checksum-Type": "FULL_OBJECT",
		"X-Amz-Mp-Object-Size": strconv.Itoa(len(first) + len(last)), "Content-Type": "application/xml"}
	for name, v := range header {
		all[name] = v
	}
	return u.p.ask(ctx, question{method: http.MethodPost, key: u.key, query: "uploadId=" + url.QueryEscape(u.id), body: []byte(b.String()), header: all})
}
