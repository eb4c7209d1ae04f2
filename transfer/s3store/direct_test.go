package s3store

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// recorded is what one request would send.
type recorded struct {
	url, host, method, body string
	length                  int64
	header                  http.Header
}

type recorder struct{ got recorded }

func (r *recorder) Do(req *http.Request) (*http.Response, error) {
	var b []byte
	if req.Body != nil {
		var err error
		if b, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	// The SDK names the operation in a query, for its own statistics.
	r.got = recorded{strings.TrimSuffix(req.URL.String(), "?x-id=PutObject"), req.URL.Host, req.Method, string(b), req.ContentLength, req.Header}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Etag": {`"e"`}, "X-Amz-Checksum-Crc64nvme": {"c"}}, Body: http.NoBody}, nil
}

// ownHeaders are those in which the two may differ: the SDK's about itself, and
// what follows from their being signed.
var ownHeaders = map[string]bool{
	"User-Agent": true, "Amz-Sdk-Invocation-Id": true, "Amz-Sdk-Request": true, "Accept-Encoding": true,
	"Authorization": true, "X-Amz-Date": true, "Content-Length": true,
}

// TestDirectIsAsTheSDKs proves that a request made without the SDK is the one
// that it would make.
func TestDirectIsAsTheSDKs(t *testing.T) {
	keys := []string{"plain", "a/b c/d+e.tif", "ü/日本", "/leading", "a//b", "dot/./..", "x?y#z", "%41%", "tilde~!$&'()*,;=:@", "end/", "nl\nb"}
	for _, o := range []Options{
		{Bucket: "bucket", Region: "eu-west-2"},
		{Bucket: "dotted.bucket", Region: "us-east-1"},
		{Bucket: "bucket", Region: "eu-west-2", Endpoint: "http://127.0.0.1:9000"},
		{Bucket: "bucket", Region: "eu-west-2", Endpoint: "https://store.example/s3"},
		{Bucket: "arn:aws:s3:eu-west-2:123456789012:accesspoint/mine", Region: "eu-west-2"},
		{Bucket: "bucket--use1-az4--x-s3", Region: "us-east-1"},
		{Bucket: "bucket", Region: "cn-north-1"},
	} {
		r := &recorder{}
		o.HTTP, o.Credentials = r, nil
		s := New(o)
		s.client = s3.New(s.clientOptions(), func(c *s3.Options) { c.HTTPClient = r })
		s.o.HTTP = r
		if s.direct == nil {
			t.Errorf("%s at %q goes by the SDK", o.Bucket, o.Endpoint)
			continue
		}
		for _, key := range keys {
			for _, size := range []int{0, 10, expectFrom + 1} {
				ctx := withCredentials(context.Background(), aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret", SessionToken: "token"})
				input := func() *s3.PutObjectInput {
					return &s3.PutObjectInput{Bucket: &o.Bucket, Key: &key, ContentLength: aws.Int64(int64(size)), ContentType: aws.String("image/tiff"),
						ChecksumCRC64NVME: aws.String("AAAAAAAAAAA="), Body: strings.NewReader(strings.Repeat("x", size)), Metadata: map[string]string{"mtime": "1.5"}}
				}
				if _, err := s.client.PutObject(ctx, input()); err != nil {
					t.Fatal(err)
				}
				sdks := r.got
				out, err := s.putObject(ctx, input())
				if err != nil {
					t.Fatal(err)
				}
				if aws.ToString(out.ETag) != `"e"` || aws.ToString(out.ChecksumCRC64NVME) != "c" || out.ChecksumCRC32C != nil {
					t.Errorf("it read %+v", out)
				}
				compareRequests(t, o.Bucket+" "+o.Endpoint+" "+key, r.got, sdks)
			}
		}
	}
}

func compareRequests(t *testing.T, what string, got, want recorded) {
	t.Helper()
	if got.url != want.url || got.host != want.host || got.method != want.method || got.body != want.body || got.length != want.length {
		t.Errorf("%q: %s %s to %s with %d bytes, the SDK %s %s to %s with %d", what, got.method, got.url, got.host, got.length,
			want.method, want.url, want.host, want.length)
	}
	for name, v := range want.header {
		if !ownHeaders[name] && strings.Join(got.header[name], ",") != strings.Join(v, ",") {
			t.Errorf("%q: %s is %q, the SDK's %q", what, name, got.header[name], v)
		}
	}
	for name := range got.header {
		if _, ok := want.header[name]; !ok && !ownHeaders[name] {
			t.Errorf("%q: %s is %q, the SDK has none", what, name, got.header[name])
		}
	}
	scope := func(h http.Header) string {
		_, after, _ := strings.Cut(h.Get("Authorization"), "/") // id/date/region/service/aws4_request
		before, _, _ := strings.Cut(after, ",")
		return before
	}
	if scope(got.header) != scope(want.header) {
		t.Errorf("%q: signed for %s, the SDK for %s", what, scope(got.header), scope(want.header))
	}
}

// TestDirectOnlyWhereItCan proves that what takes more than a header goes by
// the SDK.
func TestDirectOnlyWhereItCan(t *testing.T) {
	for _, o := range []Options{
		{Bucket: "bucket", Region: "eu-west-2", Endpoint: "http://127.0.0.1:9000", SignPayload: true},
		{Bucket: "arn:aws:s3::123456789012:accesspoint/many.mrap", Region: "eu-west-2"}, // SigV4A
	} {
		if s := New(o); s.direct != nil {
			t.Errorf("%s at %q does not go by the SDK", o.Bucket, o.Endpoint)
		}
	}
}

// TestDirectRefusal proves that refusals are read as the SDK reads them.
func TestDirectRefusal(t *testing.T) {
	for status, text := range map[int]string{
		403: `<Error><Code>AccessDenied</Code><Message>no</Message></Error>`,
		400: `<Error><Code>ExpiredToken</Code><Message>old</Message></Error>`,
		503: `<html>away`,
		302: ``,
	} {
		var got [2]*Fault
		for i, direct := range []bool{false, true} {
			s := New(Options{Bucket: "bucket", Region: "eu-west-2", Endpoint: "https://store.example", HTTP: refuser{status, text}, Checksum: transfer.CRC64NVME})
			if !direct {
				s.direct = nil
			}
			ctx := withCredentials(context.Background(), aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"})
			_, err := s.putObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"), ContentLength: aws.Int64(1), Body: strings.NewReader("x")})
			got[i] = read(err)
			if err == nil || got[i].Status != status {
				t.Errorf("direct %v: %v", direct, err)
			}
		}
		if got[0].Code != got[1].Code || got[0].Message != got[1].Message || got[0].RequestID != got[1].RequestID ||
			classify(got[0], true) != classify(got[1], true) || classify(got[0], false) != classify(got[1], false) {
			t.Errorf("%d: %v, by the SDK %v", status, got[1], got[0])
		}
	}
}

type refuser struct {
	status int
	text   string
}

func (r refuser) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: r.status, Header: http.Header{"X-Amz-Request-Id": {"req"}}, Body: io.NopCloser(strings.NewReader(r.text))}, nil
}
