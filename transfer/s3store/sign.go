package s3store

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"agent/transfer"

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

// clock is what is known of the store's clock.
type clock struct {
	skew atomic.Int64 // nanoseconds it is ahead of ours
	seen atomic.Int64 // when that was last looked at, Unix nanoseconds

	mu    sync.Mutex
	told  time.Duration // the skew that people were told of
	times int           // how often
}

// now is the store's time. Round strips the monotonic reading: it stands still
// while a laptop sleeps, and tokens do not.
func (c *clock) now() time.Time { return time.Now().Round(0).Add(time.Duration(c.skew.Load())) }

// Skew is how far the store's clock is ahead of ours, as far as it has answered.
func (s *Store) Skew() time.Duration { return time.Duration(s.clock.skew.Load()) }

// over reports that the time of a set is up.
func (c *clock) over(cr aws.Credentials) bool { return cr.CanExpire && !c.now().Before(cr.Expires) }

// maxTold is how often in a run people are told of one oddity.
const maxTold = 3

// tell says what to tell people of a skew, if it is news.
func (c *clock) tell(skew time.Duration) (text string, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if skew.Abs() <= skewAllowed || (skew-c.told).Abs() <= skewAllowed || c.times == maxTold {
		return "", false
	}
	c.told = skew
	c.times++
	way := "behind"
	if skew < 0 {
		way = "ahead of"
	}
	return fmt.Sprintf("this machine's clock is %s %s the store's: requests are signed, and tokens expire, by the store's time",
		roughly(skew.Abs()), way), true
}

// roughly is a duration of minutes or more in one number.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute)/time.Minute))
	case d < 2*day:
		return fmt.Sprintf("%d h", int(d.Round(time.Hour)/time.Hour))
	}
	return fmt.Sprintf("%d days", int(d.Round(day)/day))
}

// dated is an HTTP client that notes the store's clock.
type dated struct {
	aws.HTTPClient
	s *Store
}

func (d dated) Do(req *http.Request) (*http.Response, error) {
	began := time.Now().Round(0)
	res, err := d.HTTPClient.Do(req)
	if err != nil {
		return res, err
	}
	now := time.Now().Round(0)
	c := &d.s.clock
	if res.StatusCode < 400 && now.UnixNano()-c.seen.Load() <= int64(clockEvery) {
		return res, nil
	}
	at := dateOf(res)
	if at.IsZero() {
		return res, nil
	}
	if now.Sub(began) > skewAllowed {
		return res, nil // when in this time it was dated can't be told: this machine may have slept meanwhile
	}
	c.seen.Store(now.UnixNano())
	skew := at.Sub(now)
	c.skew.Store(int64(skew))
	d.s.o.Credentials.ServerTime(at)
	if text, news := c.tell(skew); news {
		d.s.o.Event(transfer.Event{Kind: transfer.Notice, Text: text})
	}
	return res, nil
}

// dateOf is an answer's Date; zero without one, or where nothing in the answer's
// header is S3's, so that some proxy or portal may have given it.
func dateOf(res *http.Response) time.Time {
	at, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	ours := res.Header.Get("Etag") != "" || strings.HasSuffix(res.Header.Get("Content-Type"), "/xml")
	for name := range res.Header {
		ours = ours || strings.HasPrefix(name, "X-Amz-")
	}
	if !ours {
		return time.Time{}
	}
	return at
}
