package sink_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"agent/bench/sink"
	"agent/transfer/checksum"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keeping is a sink that keeps objects of up to most bytes, and a client of it.
func keeping(t *testing.T, most int64) (*sink.Server, *s3.Client, string) {
	t.Helper()
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.Keep(most)
	plain, _ := s.URL()
	return s, clients(t, s, "")["http"], plain
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return fmt.Sprint(err)
}

// TestKeeps proves that what comes in is summed, told and, if it is small, given
// back: as a whole, as a range, and only to whom means this object.
func TestKeeps(t *testing.T) {
	s, c, _ := keeping(t, 1000)
	b, small, large := aws.String("b"), random(1000), random(300_000)
	for key, body := range map[string][]byte{"small": small, "large": large, "none": {}} {
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: b, Key: &key, Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme}); err != nil {
			t.Fatal(key, err)
		}
		head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: b, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil || aws.ToString(head.ChecksumCRC64NVME) != checksum.Encode64(checksum.Sum64(body)) || aws.ToInt64(head.ContentLength) != int64(len(body)) {
			t.Errorf("%s: %+v, %v", key, head, err)
		}
	}
	for asked, want := range map[string][]byte{"": small, "bytes=10-19": small[10:20], "bytes=990-2000": small[990:]} {
		in := &s3.GetObjectInput{Bucket: b, Key: aws.String("small")}
		if asked != "" {
			in.Range = &asked
		}
		got, err := c.GetObject(t.Context(), in)
		if err != nil {
			t.Fatal(asked, err)
		}
		body, err := io.ReadAll(got.Body)
		if got.Body.Close(); err != nil || !bytes.Equal(body, want) {
			t.Errorf("%q: %d bytes, %v", asked, len(body), err)
		}
	}
	for want, in := range map[string]*s3.GetObjectInput{
		"NoSuchKey":          {Bucket: b, Key: aws.String("large")},
		"InvalidRange":       {Bucket: b, Key: aws.String("small"), Range: aws.String("bytes=1000-1001")},
		"PreconditionFailed": {Bucket: b, Key: aws.String("small"), IfMatch: aws.String(`"other"`)},
	} {
		if _, err := c.GetObject(t.Context(), in); code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	s.Store("b", "theirs", []byte("body"))
	var keys []string
	for o := range s.Objects() {
		keys = append(keys, o.Key)
		if o.Bucket != "b" || o.Key == "large" != (o.Body == nil) || o.Key == "small" && o.CRC64 != checksum.Sum64(small) {
			t.Errorf("%s: %d bytes, %x", o.Key, o.Size, o.CRC64)
		}
	}
	if got := strings.Join(keys, " "); got != "large none small theirs" {
		t.Errorf("kept are %s", got)
	}
}

// TestWrongSumIsRefused proves that bytes with another checksum than is said of
// them are not taken, whether it is said before them or behind.
func TestWrongSumIsRefused(t *testing.T) {
	s, _, plain := keeping(t, 1000)
	put := func(body string, headers ...string) (int, string) {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, plain+"/b/k", strings.NewReader(body))
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(text)
	}
	defer http.DefaultClient.CloseIdleConnections()
	const name = "x-amz-checksum-crc64nvme"
	right, wrong := checksum.Encode64(checksum.Sum64([]byte("hello world"))), checksum.Encode64(1)
	for sum, status := range map[string]int{right: 200, wrong: 400} {
		if got, text := put("hello world", name, sum); got != status || status == 400 && !strings.Contains(text, "BadDigest") {
			t.Errorf("%s before the bytes: %d %s", sum, got, text)
		}
		framed := "6\r\nhello \r\n5;chunk-signature=0a\r\nworld\r\n0\r\n" + name + ":" + sum + "\r\n\r\n"
		if got, text := put(framed, "X-Amz-Trailer", name, "X-Amz-Decoded-Content-Length", "11"); got != status || status == 400 && !strings.Contains(text, "BadDigest") {
			t.Errorf("%s behind the bytes: %d %s", sum, got, text)
		}
	}
	for o := range s.Objects() {
		if string(o.Body) != "hello world" {
			t.Errorf("kept is %q", o.Body)
		}
	}
	if got, text := put("6\r\nhel", "X-Amz-Decoded-Content-Length", "6"); got != 400 || !strings.Contains(text, "IncompleteBody") {
		t.Errorf("a chunk that breaks off: %d %s", got, text)
	}
}

// TestPartsKeepTheRules proves that an upload by parts is held to the rules that
// S3 has for it, and that its object's checksum is that of its bytes.
func TestPartsKeepTheRules(t *testing.T) {
	s, c, _ := keeping(t, 0)
	b, k := aws.String("b"), aws.String("k")
	up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: b, Key: k})
	if err != nil {
		t.Fatal(err)
	}
	send := func(num int32, body []byte) (types.CompletedPart, error) {
		out, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: b, Key: k, UploadId: up.UploadId, PartNumber: &num, Body: bytes.NewReader(body)})
		if err != nil {
			return types.CompletedPart{}, err
		}
		return types.CompletedPart{PartNumber: &num, ETag: out.ETag}, nil
	}
	whole := random(5<<20 + 100)
	one, err1 := send(1, whole[:5<<20])
	last, err2 := send(10_000, whole[5<<20:])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if _, err := send(10_001, nil); code(err) != "InvalidArgument" {
		t.Errorf("part 10,001: %v", err)
	}
	listed, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: b, Key: k, UploadId: up.UploadId})
	if err != nil || len(listed.Parts) != 2 || aws.ToInt32(listed.Parts[1].PartNumber) != 10_000 || aws.ToInt64(listed.Parts[1].Size) != 100 ||
		aws.ToString(listed.Parts[0].ETag) != aws.ToString(one.ETag) || aws.ToBool(listed.IsTruncated) {
		t.Errorf("listed %+v, %v", listed, err)
	}
	complete := func(sum uint64, parts ...types.CompletedPart) error {
		_, err := c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: b, Key: k, UploadId: up.UploadId,
			ChecksumCRC64NVME: aws.String(checksum.Encode64(sum)), MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
		return err
	}
	sum := checksum.Sum64(whole)
	forged := types.CompletedPart{PartNumber: one.PartNumber, ETag: aws.String(`"forged"`)}
	for want, err := range map[string]error{
		"InvalidPart": complete(sum, forged, last), "InvalidPartOrder": complete(sum, last, one), "BadDigest": complete(1, one, last),
	} {
		if code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := complete(sum, one, last); err != nil {
		t.Fatal(err)
	}
	if err := complete(sum, one, last); code(err) != "NoSuchUpload" {
		t.Errorf("completed twice: %v", err)
	}
	for o := range s.Objects() {
		if o.Size != int64(len(whole)) || o.CRC64 != sum {
			t.Errorf("kept are %d bytes, %x", o.Size, o.CRC64)
		}
	}
}

// TestListsManyParts proves that the parts of a large upload come page by page.
func TestListsManyParts(t *testing.T) {
	_, c, _ := keeping(t, 0)
	b, k := aws.String("b"), aws.String("k")
	up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: b, Key: k})
	if err != nil {
		t.Fatal(err)
	}
	for num := int32(1); num <= 2001; num++ {
		if _, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: b, Key: k, UploadId: up.UploadId, PartNumber: &num}); err != nil {
			t.Fatal(err)
		}
	}
	var next int32 = 1
	pages := 0
	for p := s3.NewListPartsPaginator(c, &s3.ListPartsInput{Bucket: b, Key: k, UploadId: up.UploadId}); p.HasMorePages(); pages++ {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range out.Parts {
			if aws.ToInt32(part.PartNumber) != next {
				t.Fatalf("part %d instead of %d", aws.ToInt32(part.PartNumber), next)
			}
			next++
		}
	}
	if next != 2002 || pages != 3 {
		t.Errorf("%d parts in %d pages", next-1, pages)
	}
}
