package s3store

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// credentialsKey carries the set that send chose for one attempt, so that send
// knows which key an answer is about.
type credentialsKey struct{}

func withCredentials(ctx context.Context, c aws.Credentials) context.Context {
	return context.WithValue(ctx, credentialsKey{}, c)
}

type attemptCredentials struct{}

func (attemptCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, ok := ctx.Value(credentialsKey{}).(aws.Credentials)
	if !ok {
		return c, errNotThroughSend
	}
	return c, nil
}

// skewAllowed is how far the store's clock may be off before requests are
// signed by it instead of ours. S3 refuses at 15 minutes.
const skewAllowed = time.Minute

// signer signs by the store's clock where ours is off.
type signer struct {
	inner s3.HTTPSignerV4
	skew  *atomic.Int64
}

func (g *signer) SignHTTP(ctx context.Context, c aws.Credentials, r *http.Request, hash, service, region string, at time.Time, opts ...func(*v4.SignerOptions)) error {
	if d := time.Duration(g.skew.Load()); d.Abs() > skewAllowed {
		at = at.Add(d)
	}
	return g.inner.SignHTTP(ctx, c, r, hash, service, region, at, opts...)
}

// clockEvery is how often a good answer is looked at for the store's time; a
// bad one always is, because it may be about the time.
const clockEvery = 10 * time.Second

// dated is an HTTP client that notes the store's clock.
type dated struct {
	aws.HTTPClient
	s *Store
}

func (d dated) Do(req *http.Request) (*http.Response, error) {
	res, err := d.HTTPClient.Do(req)
	if err != nil {
		return res, err
	}
	now := time.Now()
	if last := d.s.clockSeen.Load(); res.StatusCode >= 400 || now.UnixNano()-last > int64(clockEvery) {
		d.s.clockSeen.Store(now.UnixNano())
		if t, err := http.ParseTime(res.Header.Get("Date")); err == nil {
			d.s.skew.Store(int64(t.Sub(now.Round(0))))
			d.s.o.Credentials.ServerTime(t)
		}
	}
	return res, nil
}
