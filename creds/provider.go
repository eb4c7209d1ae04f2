package creds

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options of a Provider.
type Options struct {
	Sources []Source         // asked in this order; the first that has a live set wins
	Clock   func() time.Time // the local clock; time.Now when nil
	Event   func(Event)      // must not block; may be nil
	Ahead   time.Duration    // how long before expiry the sources are asked; 10 min when 0, never more than a fifth of the set's life
}

// Provider holds the live set of credentials. Its methods may be called by any
// number of goroutines. No source is asked before somebody wants credentials.
type Provider struct {
	sources []Source
	clock   func() time.Time
	event   func(Event)
	ahead   time.Duration

	live   atomic.Pointer[set]
	skew   atomic.Int64            // the server's clock less the local one, ns
	heard  atomic.Bool             // the server's clock is known
	wanted atomic.Bool             // somebody asked and got nothing since the last install
	asked  atomic.Pointer[Answers] // the last round that gave nothing

	mu      sync.Mutex
	dead    map[string]refusal // by access key id
	changed chan struct{}      // closed and replaced when a set is installed

	start chan struct{} // one is wanted; room for one
	again chan struct{} // the live set was refused; room for one
	stop  context.CancelFunc
	done  chan struct{} // closed when the refreshing goroutine has ended
}

// set is one installed set of credentials. It is never written to again.
type set struct {
	aws.Credentials
	source string
	since  time.Time // local clock, when it was installed
	due    time.Time // by the server's clock: when to ask for the next; zero when it does not expire
}

func (s *set) expired(now time.Time) bool { return s.CanExpire && !now.Before(s.Expires) }

// refusal is a set that the store refused. The sum tells a set that is offered
// again from one that was mended: people paste a broken token and then, under
// the same key id, the whole one.
type refusal struct {
	why string
	sum [sha256.Size]byte // of the secrets; zero when the refused set was not known, which bars the id
}

func sumOf(c aws.Credentials) [sha256.Size]byte {
	return sha256.Sum256([]byte(c.SecretAccessKey + "\x00" + c.SessionToken))
}

// New starts a provider. Close it.
func New(o Options) *Provider {
	p := &Provider{
		sources: o.Sources, clock: o.Clock, event: o.Event, ahead: o.Ahead,
		dead:    map[string]refusal{},
		changed: make(chan struct{}),
		start:   make(chan struct{}, 1),
		again:   make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	if p.clock == nil {
		p.clock = time.Now
	}
	if p.event == nil {
		p.event = func(Event) {}
	}
	if p.ahead <= 0 {
		p.ahead = 10 * time.Minute
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go func() {
		defer close(p.done)
		(&refresher{Provider: p}).run(ctx)
	}()
	return p
}

// Close ends the refreshing and everybody's waiting, and returns when no
// source is being asked any more.
func (p *Provider) Close() {
	p.stop()
	<-p.done
}

// Retrieve returns the live set at once, or an error that is ErrNone. It
// implements aws.CredentialsProvider.
func (p *Provider) Retrieve(context.Context) (aws.Credentials, error) {
	if s := p.current(); s != nil {
		return s.Credentials, nil
	}
	p.want()
	return aws.Credentials{}, p.none(nil)
}

// Wait returns the live set as soon as there is one. When ctx ends first, the
// error is both ErrNone and the context's.
func (p *Provider) Wait(ctx context.Context) (aws.Credentials, error) {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if s := p.current(); s != nil {
			return s.Credentials, nil
		}
		if err := ctx.Err(); err != nil {
			return aws.Credentials{}, p.none(err)
		}
		p.want()
		select {
		case <-changed:
		case <-ctx.Done():
		case <-p.done:
			return aws.Credentials{}, p.none(ErrClosed)
		}
	}
}

// Invalidate says that the store refused this key, and why: the set is never
// offered again in this process. Saying it of a key that is no longer the live
// one disturbs nobody.
func (p *Provider) Invalidate(accessKeyID, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.live.Load()
	if s == nil || s.AccessKeyID != accessKeyID {
		if _, known := p.dead[accessKeyID]; !known {
			p.dead[accessKeyID] = refusal{why: why}
		}
		return
	}
	p.dead[accessKeyID] = refusal{why: why, sum: sumOf(s.Credentials)}
	p.live.Store(nil)
	poke(p.again)
}

// ServerTime takes the Date of an answer. Expiry is judged by the server's
// clock, because that is the clock that refuses.
func (p *Provider) ServerTime(t time.Time) {
	if !t.IsZero() {
		p.skew.Store(int64(t.Sub(p.clock().Round(0))))
		p.heard.Store(true)
	}
}

// Info describes the live set; false when there is none.
func (p *Provider) Info() (Info, bool) {
	s := p.current()
	if s == nil {
		return Info{}, false
	}
	return s.info(), true
}

// Expires is when the live set ends, by the server's clock; false when there is
// no live set or its end is not known.
func (p *Provider) Expires() (time.Time, bool) {
	s := p.current()
	if s == nil || !s.CanExpire {
		return time.Time{}, false
	}
	return s.Expires, true
}

func (s *set) info() Info {
	i := Info{Source: s.source, Key: shortKey(s.AccessKeyID)}
	if s.CanExpire {
		i.Expires = s.Expires
	}
	return i
}

// now is the server's time. Round strips the monotonic reading: it stands still
// while a laptop sleeps, and the token does not.
func (p *Provider) now() time.Time {
	return p.clock().Round(0).Add(time.Duration(p.skew.Load()))
}

func (p *Provider) current() *set {
	s := p.live.Load()
	if s == nil || p.over(s) {
		return nil
	}
	return s
}

// over reports that a set's time is up. Before the server was heard the local
// clock is all there is, and it may be the one that is wrong: then the server
// is to say so.
func (p *Provider) over(s *set) bool { return p.heard.Load() && s.expired(p.now()) }

func (p *Provider) want() {
	p.wanted.Store(true)
	poke(p.start)
}

func (p *Provider) none(cause error) error {
	e := &NoneError{Cause: cause}
	if asked := p.asked.Load(); asked != nil {
		e.Asked = *asked
	}
	return e
}

// errSame says that a source gave the set that is live already.
var errSame = errors.New("has no newer credentials yet")

// install makes c the live set unless it is dead. It decides under the lock
// that Invalidate takes, so that a round begun before a refusal can't bring the
// refused set back.
func (p *Provider) install(source string, c aws.Credentials) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	next := &set{Credentials: c, source: source, since: p.clock().Round(0)}
	if c.CanExpire && !next.expired(now) {
		next.due = c.Expires.Add(-min(p.ahead, c.Expires.Sub(now)/5))
	}
	old := p.live.Load()
	r, refused := p.dead[c.AccessKeyID]
	switch {
	case !c.HasKeys():
		return errors.New("gave no credentials")
	case refused && (r.sum == [sha256.Size]byte{} || r.sum == sumOf(c)):
		return fmt.Errorf("key %s was refused: %s", shortKey(c.AccessKeyID), r.why)
	case p.over(next):
		return fmt.Errorf("key %s expired at %s", shortKey(c.AccessKeyID), c.Expires.UTC().Format(time.RFC3339))
	case old != nil && same(old.Credentials, c):
		return errSame
	}
	p.live.Store(next)
	p.wanted.Store(false)
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

func same(a, b aws.Credentials) bool {
	return a.AccessKeyID == b.AccessKeyID && a.SecretAccessKey == b.SecretAccessKey &&
		a.SessionToken == b.SessionToken && a.CanExpire == b.CanExpire && a.Expires.Equal(b.Expires)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
