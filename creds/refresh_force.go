package creds

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// forcePause is how long a key is left alone after a round was made for it, or
// brought it: what is denied to a new key is denied for good.
const forcePause = time.Minute

// force is one request for a round ahead of its time. All who doubt the same
// key share it.
type force struct {
	key     string        // the doubted key
	useless bool          // see Another
	got     string        // the live key when the round had ended; "" before, and where there was none
	at      time.Time     // local clock, when it was asked for
	taken   bool          // by the refresher
	done    chan struct{} // closed when the round has ended
}

// Another says that the store denied something with this key, and returns the
// live set once the sources were asked whether they have another. It is the same
// set where they have not: the live set is never lost to a doubt.
//
// The denial may mean that the key is over. Or, useless, that it never was of
// use: whatever it was tried for was denied, because it belongs to somebody else
// than the destination, as a machine's own role does. Then its source is passed
// over, and the first live set of the others takes its place.
//
// However many ask, one round serves them, and for one key there is at most one
// a minute, as there is for the key that brought a doubt's round. Of a key that
// is no longer the live one no source is asked. The error is ErrNone, and the
// context's or ErrClosed where that ended the waiting.
func (p *Provider) Another(ctx context.Context, accessKeyID string, useless bool) (aws.Credentials, error) {
	if err := ctx.Err(); err != nil {
		return aws.Credentials{}, p.none(err)
	}
	if f := p.doubt(accessKeyID, useless); f != nil {
		select {
		case <-f.done:
		case <-ctx.Done():
			return aws.Credentials{}, p.none(ctx.Err())
		case <-p.done:
			return aws.Credentials{}, p.none(ErrClosed)
		}
	}
	return p.Retrieve(ctx)
}

// doubt is the round to wait for; nil when the key is not the live one.
func (p *Provider) doubt(key string, useless bool) *force {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.current()
	if s == nil || s.AccessKeyID != key {
		return nil
	}
	now := p.clock().Round(0)
	if f := p.forced; f != nil {
		age := now.Sub(f.at)
		if !f.ended() || f.useless == useless && (f.key == key || f.got == key && !useless) && age >= 0 && age < forcePause {
			return f
		}
	}
	p.forced = &force{key: key, useless: useless, at: now, done: make(chan struct{})}
	poke(p.again)
	return p.forced
}

func (f *force) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// takeForce is a request that was not served yet.
func (r *refresher) takeForce() *force {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.forced
	if f == nil || f.taken {
		return nil
	}
	f.taken = true
	return f
}

// serve makes the round, unless the doubted set is gone already.
func (r *refresher) serve(ctx context.Context, f *force) {
	s := r.current()
	asked := s != nil && s.AccessKeyID == f.key
	if asked {
		r.round(ctx, asking{forced: true, useless: f.useless, changed: r.files.changed})
	}
	if ctx.Err() != nil {
		return // closing: those who wait hear of that
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.current(); asked && s != nil {
		f.got = s.AccessKeyID
	}
	close(f.done)
}
