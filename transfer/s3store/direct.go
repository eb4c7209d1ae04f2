package s3store

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyauth "github.com/aws/smithy-go/auth"
	"github.com/aws/smithy-go/encoding/httpbinding"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	// unsigned stands in for the hash of a body that TLS, or a checksum of its
	// own, watches over.
	unsigned = "UNSIGNED-PAYLOAD"
	// expectFrom is the size from which the store is let to refuse a body before
	// it is sent, as the SDK does.
	expectFrom = 2 << 20
	// drained is how much of an answer is read so that its connection can be used
	// again; that of a PutObject is empty.
	drained = 64 << 10
)

// direct makes requests by net/http and the SDK's signer. What the SDK does around
// a PutObject costs as much CPU as all the rest of a small object, and it can't
// send a checksum behind the bytes without computing it at a thirtieth of the speed.
type direct struct {
	base            url.URL // of the bucket
	header          http.Header
	service, region string // to sign for
	sign            s3.HTTPSignerV4
}

// newDirect has the SDK resolve where the bucket is, and how requests to it are
// signed. It returns nil where that takes more than a SigV4 header.
func newDirect(o *Options, opts s3.Options) *direct {
	if o.SignPayload {
		return nil
	}
	params := s3.EndpointParameters{Bucket: &o.Bucket, Region: &o.Region, Endpoint: opts.BaseEndpoint,
		ForcePathStyle: &opts.UsePathStyle, UseArnRegion: &opts.UseARNRegion, DisableS3ExpressSessionAuth: opts.DisableS3ExpressSessionAuth}
	ep, err := s3.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), params)
	if err != nil {
		return nil // the SDK tells it with the first request
	}
	d := &direct{base: ep.URI, header: ep.Headers, service: "s3", region: o.Region, sign: opts.HTTPSignerV4}
	schemes, _ := smithyauth.GetAuthOptions(&ep.Properties)
	for _, scheme := range schemes {
		if scheme.SchemeID != "sigv4" && scheme.SchemeID != smithyauth.SchemeIDSigV4 {
			return nil
		}
		if name, ok := smithyhttp.GetSigV4SigningName(&scheme.SignerProperties); ok {
			d.service = name
		}
		if region, ok := smithyhttp.GetSigV4SigningRegion(&scheme.SignerProperties); ok {
			d.region = region
		}
	}
	return d
}

// putObject is the client's PutObject. It knows the fields that this package
// sets.
func (s *Store) putObject(ctx context.Context, in *s3.PutObjectInput) (*s3.PutObjectOutput, error) {
	cr, ok := ctx.Value(credentialsKey{}).(aws.Credentials)
	if s.direct == nil || !ok {
		return s.client.PutObject(ctx, in)
	}
	req := s.direct.put(*in.Key, atOnce(in.Body), *in.ContentLength)
	set(req, "Content-Type", in.ContentType)
	set(req, "X-Amz-Checksum-Crc64nvme", in.ChecksumCRC64NVME)
	set(req, "X-Amz-Checksum-Crc32c", in.ChecksumCRC32C)
	for k, v := range in.Metadata {
		req.Header.Set("X-Amz-Meta-"+k, v)
	}
	res, err := s.do(ctx, cr, req, unsigned)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		again := *in
		again.Body, again.ContentLength = nil, nil
		return s.client.PutObject(ctx, &again, answered(res))
	}
	h := res.Header
	return &s3.PutObjectOutput{
		ETag:              field(h, "Etag"),
		ChecksumCRC64NVME: field(h, "X-Amz-Checksum-Crc64nvme"),
		ChecksumCRC32C:    field(h, "X-Amz-Checksum-Crc32c"),
	}, drain(res)
}

// put is a request to store a body of size bytes: what the SDK would send, less
// its headers about itself.
func (d *direct) put(key string, body io.Reader, size int64) *http.Request {
	h := make(http.Header, 12)
	for k, v := range d.header {
		h[k] = v
	}
	h["User-Agent"] = []string{"agent"}
	u := d.base
	u.Path = smithyhttp.JoinPath(u.Path, "/"+key)
	u.RawPath = smithyhttp.JoinPath(d.base.EscapedPath(), "/"+httpbinding.EscapePath(key, false))
	req := &http.Request{
		Method: http.MethodPut, URL: &u, Host: u.Host, Header: h, ContentLength: size,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	if size > 0 {
		req.Body = io.NopCloser(body)
	}
	if size > expectFrom {
		h["Expect"] = []string{"100-continue"}
	}
	return req
}

// do signs and sends a request. hash stands for that of its body.
func (s *Store) do(ctx context.Context, cr aws.Credentials, req *http.Request, hash string) (*http.Response, error) {
	req.Header["X-Amz-Content-Sha256"] = []string{hash}
	req = req.WithContext(ctx)
	err := s.direct.sign.SignHTTP(ctx, cr, req, hash, s.direct.service, s.direct.region, time.Now(),
		func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		return nil, err
	}
	return s.o.HTTP.Do(req)
}

// drain reads what is left of an answer, so that its connection is used again.
func drain(res *http.Response) error {
	_, err := io.CopyN(io.Discard, res.Body, drained)
	if cerr := res.Body.Close(); err == nil || errors.Is(err, io.EOF) {
		err = cerr
	}
	return err
}

// answered has the SDK read an answer, so that there is one reader of refusals.
func answered(res *http.Response) func(*s3.Options) {
	return func(o *s3.Options) { o.HTTPClient = answer{res} }
}

// answer is an HTTP client that has been answered already.
type answer struct{ res *http.Response }

func (a answer) Do(*http.Request) (*http.Response, error) { return a.res, nil }

func set(req *http.Request, name string, v *string) {
	if v != nil {
		req.Header[name] = []string{*v}
	}
}

func field(h http.Header, name string) *string {
	if v := h[name]; len(v) > 0 {
		return &v[0]
	}
	return nil
}
