package sink_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	rand2 "math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"agent/bench/sink"
	"agent/transfer/s3store"
)

// clients are the SDK over http and over https.
func clients(t *testing.T, s *sink.Server, ca string) map[string]*s3.Client {
	t.Helper()
	h, err := s3store.NewHTTPClient(s3store.HTTPOptions{CABundle: ca})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.CloseIdle)
	plain, secure := s.URL()
	all := map[string]*s3.Client{}
	for name, url := range map[string]string{"http": plain, "https": secure} {
		all[name] = s3.New(s3.Options{
			Region: "eu-west-2", BaseEndpoint: &url, UsePathStyle: true, HTTPClient: h,
			Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		})
	}
	return all
}

// TestAnswers proves that the SDK takes the answers for those of S3.
func TestAnswers(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	s, err := sink.Start(ca)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, c := range clients(t, s, ca) {
		t.Run(name, func(t *testing.T) {
			before := s.Counts()
			put, err := c.PutObject(context.Background(), &s3.PutObjectInput{
				Bucket: aws.String("b"), Key: aws.String("a key/ü"), Body: bytes.NewReader(make([]byte, 1000)),
				ChecksumCRC64NVME: aws.String("AAAAAAAAAAA="),
			})
			if err != nil || aws.ToString(put.ETag) == "" || aws.ToString(put.ChecksumCRC64NVME) != "AAAAAAAAAAA=" {
				t.Fatalf("PutObject: %+v, %v", put, err)
			}
			byParts(t, c)
			list, err := c.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: aws.String("b"), Prefix: aws.String("a<b")})
			if err != nil || aws.ToString(list.Name) != "b" || aws.ToString(list.Prefix) != "a<b" || len(list.Contents) > 0 {
				t.Errorf("ListObjectsV2: %+v, %v", list, err)
			}
			for key, size := range map[string]int64{"k": 5000, "a key/ü": 1000} {
				head, err := c.HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: aws.String("b"), Key: &key})
				if err != nil || aws.ToInt64(head.ContentLength) != size || aws.ToString(head.ETag) == "" {
					t.Errorf("HeadObject %s: %+v, %v", key, head, err)
				}
			}
			var none *types.NotFound
			if _, err = c.HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: aws.String("b"), Key: aws.String("other")}); !errors.As(err, &none) {
				t.Errorf("HeadObject: %v", err)
			}
			got := s.Counts().Sub(before)
			if got.Longest <= 0 || got.Busy <= 0 {
				t.Errorf("bodies came in %v, the longest in %v", got.Busy, got.Longest)
			}
			got.Conns, got.FirstPut, got.Longest, got.Busy = 0, 0, 0, 0
			want := sink.Counts{Requests: 9, Lists: 1, Objects: 2, Parts: 1, Bytes: 1000 + 5000, Summed: 2}
			if name == "https" { // the part has no checksum, and over https no signature of its bytes
				want.Summed, want.Bare = 1, 1
			}
			if got != want {
				t.Errorf("counted %+v, want %+v", got, want)
			}
		})
	}
}

func byParts(t *testing.T, c *s3.Client) {
	t.Helper()
	ctx := context.Background()
	b, k := aws.String("b"), aws.String("k")
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: k})
	if err != nil || aws.ToString(up.UploadId) == "" {
		t.Fatalf("CreateMultipartUpload: %+v, %v", up, err)
	}
	part, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: b, Key: k, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(make([]byte, 5000))})
	if err != nil || aws.ToString(part.ETag) == "" {
		t.Fatalf("UploadPart: %+v, %v", part, err)
	}
	done, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: b, Key: k, UploadId: up.UploadId, ChecksumCRC64NVME: aws.String("AAAAAAAAAAA="), ChecksumType: types.ChecksumTypeFullObject,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: aws.Int32(1)}}},
	})
	if err != nil || aws.ToString(done.ETag) == "" || aws.ToString(done.ChecksumCRC64NVME) != "AAAAAAAAAAA=" {
		t.Fatalf("CompleteMultipartUpload: %+v, %v", done, err)
	}
	if _, err := c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: b, Key: k, UploadId: up.UploadId}); err != nil {
		t.Errorf("AbortMultipartUpload: %v", err)
	}
}

// TestFramed proves that a body in signed chunks is counted without its frame.
func TestFramed(t *testing.T) {
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plain, _ := s.URL()
	c, err := minio.New(plain[len("http://"):], &minio.Options{Creds: miniocreds.NewStaticV4("a", "b", ""), Region: "eu-west-2", Transport: &http.Transport{}})
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 200_000)
	_, _ = rand.Read(body)
	if _, err := c.PutObject(context.Background(), "bucket", "key", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := s.Counts(); got.Objects != 1 || got.Bytes != int64(len(body)) {
		t.Errorf("counted %+v", got)
	}
}

// TestBare proves that it is told apart who sends something to compare the
// bytes with.
func TestBare(t *testing.T) {
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plain, _ := s.URL()
	for _, c := range []struct {
		header, value string
		bare          int64
	}{
		{"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD", 1},
		{"X-Amz-Content-Sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0},
		{"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", 0},
		{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", 1},
		{"X-Amz-Trailer", "x-amz-checksum-crc32", 0},
		{"X-Amz-Checksum-Crc64nvme", "AAAAAAAAAAA=", 0},
		{"Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==", 0},
		{"Content-Type", "image/tiff", 1},
	} {
		req, err := http.NewRequest(http.MethodPut, plain+"/bucket/key", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(c.header, c.value)
		before := s.Counts()
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := s.Counts().Sub(before); got.Bare != c.bare || got.Summed != 1-c.bare {
			t.Errorf("%s: %s: counted %+v", c.header, c.value, got)
		}
	}
}

// TestLists proves that what was stored is listed page by page, in order, and that
// what was removed is not.
func TestLists(t *testing.T) {
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plain, _ := s.URL()
	do := func(method, key string, want int) {
		t.Helper()
		req, _ := http.NewRequest(method, plain+"/b/"+key, bytes.NewReader([]byte(key)))
		res, err := http.DefaultClient.Do(req)
		if err != nil || res.StatusCode != want {
			t.Fatal(res, err)
		}
		res.Body.Close()
	}
	for _, i := range rand2.Perm(2500) {
		do(http.MethodPut, fmt.Sprintf("p/%04d", i), 200)
	}
	do(http.MethodPut, "q", 200)
	list := func(after string) (keys []string) {
		c := clients(t, s, "")["http"]
		for p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: aws.String("b"), Prefix: aws.String("p/"), StartAfter: &after}); p.HasMorePages(); {
			page, err := p.NextPage(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Contents {
				if aws.ToInt64(o.Size) != 6 || aws.ToString(o.ETag) == "" || o.LastModified == nil {
					t.Errorf("%+v", o)
				}
				keys = append(keys, *o.Key)
			}
		}
		return keys
	}
	if got := list(""); len(got) != 2500 || !slices.IsSorted(got) || s.Counts().Lists != 3 {
		t.Errorf("%d keys in %d pages", len(got), s.Counts().Lists)
	}
	do(http.MethodDelete, "p/2000", 204)
	do(http.MethodDelete, "p/2499", 204)
	do(http.MethodPut, "p/2499", 200)
	if got := list("p/1998"); len(got) != 500 || got[0] != "p/1999" || got[1] != "p/2001" || got[499] != "p/2499" {
		t.Errorf("%d keys: %v", len(got), got)
	}
}
