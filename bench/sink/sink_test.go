package sink_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"path/filepath"
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
			got.Conns, got.Longest, got.Busy = 0, 0, 0
			if want := (sink.Counts{Requests: 9, Objects: 2, Parts: 1, Bytes: 1000 + 5000}); got != want {
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
