package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/minio/crc64nvme"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

func TestFindings(t *testing.T) {
	s := start(t, "--role", "full")
	ctx := t.Context()
	c := s.client(s.token())
	for _, k := range []string{"a.txt", "a/b", "a-b", "a0", "A", "é", "\U0001F600", "a b", "a", "ab/c", "ab.d", "\uFF5E", "a+b", "a/b.c/d", "a/b/c", "z&<x", "a//b"} {
		fmt.Printf("put %q: %v\n", k, put(ctx, c, "o/"+k, []byte("x")))
	}
	for i := range 1100 {
		must(t, put(ctx, c, fmt.Sprintf("p/%04d", i), nil))
	}
	for i := range 300 {
		must(t, put(ctx, c, fmt.Sprintf("m/%d%s/x", i/3, []string{"", "-", "."}[i%3]), nil))
	}
	for _, q := range []string{"?list-type=2&prefix=o%2F", "?list-type=2&prefix=o%2F&encoding-type=url", "?list-type=2&prefix=o%2F&start-after=o%2Fa-b", "?list-type=2&prefix=o%2F&start-after=o%2Fa%2F", "?list-type=2&prefix=o%2F&start-after=o%2Fa.", "?list-type=2&delimiter=%2F&prefix=o%2F"} {
		_, body := s.send(s.signed("GET", "", q, nil, s.token(), time.Now()))
		var ks []string
		for _, p := range strings.Split(body, "<Key>")[1:] {
			ks = append(ks, fmt.Sprintf("%q", strings.Split(p, "</Key>")[0]))
		}
		fmt.Println(q, len(ks), strings.Join(ks, " "))
		if strings.Contains(q, "delim") || strings.Contains(q,"encoding") { fmt.Println(body[:300], strings.Count(body, "<CommonPrefixes>"), body[len(body)-300:]) }
	}
	for _, max := range []int{1000, 7, 1, 3} {
		for _, prefix := range []string{"p/", "m/", "o/"} {
			var all []string
			tok := ""
			pages := 0
			for {
				r, err := c.ListObjectsV2(bucket, prefix, "", tok, "", max)
				must(t, err)
				for _, o := range r.Contents {
					all = append(all, o.Key)
				}
				pages++
				if !r.IsTruncated || pages > 3000 {
					break
				}
				tok = r.NextContinuationToken
			}
			bad := 0
			for i := 1; i < len(all); i++ {
				if all[i-1] >= all[i] {
					if bad < 4 { fmt.Printf("   disorder %q then %q\n", all[i-1], all[i]) }
					bad++
				}
			}
			fmt.Println("max", max, prefix, "pages", pages, "keys", len(all), "out of order", bad)
			if prefix == "p/" && max == 1000 {
				max = 1000
			}
		}
		if max == 1 { break }
	}
	// multipart
	key := "o2/big"
	h := map[string]string{}
	show := func(name string, resp *http.Response, body string) {
		fmt.Println(name, resp.Status)
		for k, v := range resp.Header {
			if strings.HasPrefix(k, "X-Amz-C") || k == "Etag" { fmt.Println("    ", k, v) }
		}
		if len(body) > 0 { fmt.Println("    ", body[:min(500, len(body))]) }
	}
	_ = h
	for _, algo := range []string{"", "CRC64NVME"} {
		req := s.signedH("POST", key, "?uploads", nil, map[string]string{"X-Amz-Checksum-Algorithm": algo, "X-Amz-Checksum-Type": map[string]string{"": "", "CRC64NVME": "FULL_OBJECT"}[algo]})
		resp, body := s.send(req)
		show("create "+algo, resp, body)
		id := strings.Split(strings.Split(body, "<UploadId>")[1], "<")[0]
		p1 := randomBytes(5 << 20)
		resp, body = s.send(s.signedH("PUT", key, "?partNumber=1&uploadId="+id, p1, map[string]string{"X-Amz-Checksum-Crc64nvme": crc64b64(p1)}))
		show("part 1 ok sum", resp, body)
		e1 := resp.Header.Get("Etag")
		resp, body = s.send(s.signedH("PUT", key, "?partNumber=2&uploadId="+id, []byte("tail"), map[string]string{"X-Amz-Checksum-Crc64nvme": crc64b64(p1)}))
		show("part 2 WRONG sum", resp, body)
		resp, body = s.send(s.signedH("PUT", key, "?partNumber=2&uploadId="+id, []byte("tail"), nil))
		show("part 2 no sum", resp, body)
		resp, body = s.send(s.signedH("PUT", key, "?partNumber=2&uploadId="+id, []byte("tail"), map[string]string{"X-Amz-Checksum-Crc64nvme": crc64b64([]byte("tail"))}))
		show("part 2 ok", resp, body)
		e2 := resp.Header.Get("Etag")
		sumEl := func(b []byte) string { return "<ChecksumCRC64NVME>" + crc64b64(b) + "</ChecksumCRC64NVME>" }
		doc0 := fmt.Sprintf(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part><Part><PartNumber>2</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>`, e1, e2)
		doc := fmt.Sprintf(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag>%s</Part><Part><PartNumber>2</PartNumber><ETag>%s</ETag>%s</Part></CompleteMultipartUpload>`, e1, sumEl(p1), e2, sumEl([]byte("tail")))
		resp, body = s.send(s.signedH("POST", key, "?uploadId="+id, []byte(doc), map[string]string{"X-Amz-Checksum-Crc64nvme": crc64b64([]byte("zzz")), "X-Amz-Checksum-Type": "FULL_OBJECT"}))
		show("complete with WRONG full sum", resp, body)
		resp, body = s.send(s.signedH("POST", key, "?uploadId="+id, []byte(doc0), nil))
		show("complete without part sums", resp, body)
		hh := map[string]string{}
		if algo != "" { hh = map[string]string{"X-Amz-Checksum-Crc64nvme": crc64b64(append(append([]byte{}, p1...), "tail"...)), "X-Amz-Checksum-Type": "FULL_OBJECT"} }
		resp, body = s.send(s.signedH("POST", key, "?uploadId="+id, []byte(doc), hh))
		show("complete with all", resp, body)
		resp, body = s.send(s.signedH("POST", key, "?uploadId="+id, []byte(doc), hh))
		show("complete twice", resp, body)
		resp, body = s.send(s.signedH("PUT", key, "?partNumber=2&uploadId="+id, []byte("tail"), nil))
		show("part after complete", resp, body)
		resp, body = s.send(s.signedH("HEAD", key, "", nil, map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}))
		show("head mode enabled", resp, body)
		resp, body = s.send(s.signedH("HEAD", key, "", nil, nil))
		show("head plain", resp, body)
	}
	resp, body := s.send(s.signedH("PUT", key, "?partNumber=2&uploadId=aaaaaaaa", []byte("tail"), nil))
	show("part unknown id", resp, body)
	resp, body = s.send(s.signedH("PUT", "o2/p", "", []byte("tail"), map[string]string{"X-Amz-Checksum-Crc64nvme": crc64b64([]byte("tail"))}))
	show("put crc64", resp, body)
	resp, body = s.send(s.signedH("HEAD", "o2/p", "", nil, map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}))
	show("head", resp, body)
	resp, body = s.send(s.signedH("PUT", "o2/p2", "", []byte("tail"), nil))
	show("put plain", resp, body)
	resp, body = s.send(s.signedH("HEAD", "o2/p2", "", nil, map[string]string{"X-Amz-Checksum-Mode": "ENABLED"}))
	show("head", resp, body)
	resp, body = s.send(s.signedH("PUT", "o2/p3", "", []byte("tail"), map[string]string{"X-Amz-Checksum-Crc64nvme": crc64b64([]byte("nope"))}))
	show("put wrong crc64", resp, body)
	resp, body = s.send(s.signedH("PUT", "o2/p", "", []byte("tail"), map[string]string{"If-None-Match": "*"}))
	show("put if-none-match existing", resp, body)
	resp, body = s.send(s.signedH("PUT", "o2/p/x", "", []byte("tail"), nil))
	show("put under file", resp, body)
	resp, body = s.send(s.signedH("PUT", "o2/dir/", "", nil, nil))
	show("put dir/", resp, body)
	resp, body = s.send(s.signedH("PUT", "o2/"+strings.Repeat("x", 256), "", nil, nil))
	show("put 256 name", resp, body)
	_ = minio.Core{}
}

func crc64b64(b []byte) string {
	v := crc64nvme.Checksum(b)
	var x [8]byte
	binary.BigEndian.PutUint64(x[:], v)
	return base64.StdEncoding.EncodeToString(x[:])
}

func (s *sandbox) signedH(method, key, query string, body []byte, h map[string]string) *http.Request {
	target := s.env["AWS_ENDPOINT_URL"] + "/" + bucket + "/" + key
	req, err := http.NewRequestWithContext(s.t.Context(), method, target+query, bytes.NewReader(body))
	must(s.t, err)
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	for k, v := range h {
		if v != "" { req.Header.Set(k, v) }
	}
	c := s.token()
	must(s.t, v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(s.t.Context(), aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
	}, req, hash, "s3", s.env["AWS_REGION"], time.Now()))
	return req
}
