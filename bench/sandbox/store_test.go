package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"
	"github.com/minio/minio-go/v7"
)

// TestListingOrder holds the S3 server to what clients that merge a listing
// with a sorted one rely on: keys in byte order, also across pages.
func TestListingOrder(t *testing.T) {
	s := start(t)
	c := s.client(s.token())
	keys := []string{"A", "a b", "a+b", "a-b", "a.txt", "a/b", "a/c.d/e", "a0", "ab.d", "ab/c", "é", "\uff5e", "\U0001f600"}
	for i, key := range keys {
		keys[i] = workspace + "/" + key
		must(t, put(t.Context(), c, keys[i], nil))
	}
	if !slices.IsSorted(keys) {
		t.Fatal("the test's own keys are not in order")
	}
	for _, size := range []int{1000, 3, 1} {
		var got []string
		for token, more := "", true; more; {
			page, err := c.ListObjectsV2(bucket, workspace+"/", "", token, "", size)
			must(t, err)
			for _, o := range page.Contents {
				got = append(got, o.Key)
			}
			token, more = page.NextContinuationToken, page.IsTruncated
		}
		if !slices.Equal(got, keys) {
			t.Errorf("in pages of %d: %q", size, got)
		}
	}
	page, err := c.ListObjectsV2(bucket, workspace+"/", workspace+"/a-b", "", "", 2)
	must(t, err)
	if len(page.Contents) != 2 || page.Contents[0].Key != keys[4] {
		t.Errorf("after a-b: %+v", page.Contents)
	}
}

// TestMultipartChecksum runs one multipart upload with a full-object CRC64NVME.
func TestMultipartChecksum(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.client(s.token())
	key := workspace + "/big"
	id, err := c.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{UserMetadata: map[string]string{
		"X-Amz-Checksum-Algorithm": "CRC64NVME", "X-Amz-Checksum-Type": "FULL_OBJECT",
	}})
	must(t, err)

	send := func(part int, data []byte, sum string) (*http.Response, string) {
		req := s.signed(http.MethodPut, key, fmt.Sprintf("?partNumber=%d&uploadId=%s", part, id), data, s.token(), time.Now())
		req.Header.Set("X-Amz-Checksum-Crc64nvme", sum)
		s.sign(req, data, s.token(), time.Now())
		return s.send(req)
	}
	data := randomBytes(5<<20 + 9)
	first, second := data[:5<<20], data[5<<20:]
	if _, body := send(2, second, crc64(first)); !strings.Contains(body, "<Code>BadDigest<") {
		t.Errorf("a wrong checksum: %s", body)
	}
	var parts []minio.CompletePart
	for i, part := range [][]byte{first, second} {
		resp, body := send(i+1, part, crc64(part))
		if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Amz-Checksum-Crc64nvme") != crc64(part) {
			t.Fatalf("part %d: %s %s", i+1, resp.Status, body)
		}
		parts = append(parts, minio.CompletePart{PartNumber: i + 1, ETag: resp.Header.Get("ETag"), ChecksumCRC64NVME: crc64(part)})
	}
	for range 2 { // the second time is answered like the first
		info, err := c.CompleteMultipartUpload(ctx, bucket, key, id, parts, minio.PutObjectOptions{})
		must(t, err)
		if !strings.HasSuffix(info.ETag, "-2") {
			t.Errorf("ETag %s", info.ETag)
		}
	}
	info, err := c.StatObject(ctx, bucket, key, minio.StatObjectOptions{Checksum: true})
	must(t, err)
	if info.ChecksumCRC64NVME != crc64(data) || info.ChecksumMode != "FULL_OBJECT" {
		t.Errorf("checksum %s (%s), want %s", info.ChecksumCRC64NVME, info.ChecksumMode, crc64(data))
	}
}

// crc64 is S3's form of the checksum.
func crc64(data []byte) string {
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], crc64nvme.Checksum(data))
	return base64.StdEncoding.EncodeToString(sum[:])
}
