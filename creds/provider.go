package creds

import (
	"context"
	"slices"
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
	dead    map[identity]string // why each set was refused
	changed chan struct{}       // closed and replaced when a set is installed
	forced  *force              // the last round that Another asked for

	start chan struct{} // one is wanted; room for one
	again chan struct{} // the live set was refused, or is doubted; room for one
	stop  context.CancelFunc
	done  chan struct{} // closed when the refreshing goroutine has ended
}

// New starts a provider. Close it.
func New(o Options) *Provider {
	p := &Provider{
		sources: o.Sources, clock: o.Clock, event: o.Event, ahead: o.Ahead,
		dead:    map[identity]string{},
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

// Invalidate says that the store refused this set, and why, in a word or a
// whole sentence: it is never offered again in this process. Saying it of a set
// that is no longer the live one disturbs nobody.
func (p *Provider) Invalidate(c aws.Credentials, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := identityOf(c)
	if _, known := p.dead[id]; !known {
		p.dead[id] = why
	}
	if s := p.live.Load(); s != nil && identityOf(s.Credentials) == id {
		p.live.Store(nil)
		poke(p.again)
	}
}

// ServerTime takes the Date of an answer. Expiry is judged by the server's
// clock, because that is the clock that refuses. A Date has whole seconds and
// takes its time to get here: one that the skew known so far explains leaves it
// as it is, or short lives would be judged by noise.
func (p *Provider) ServerTime(t time.Time) {
	if t.IsZero() {
		return
	}
	now := p.clock().Round(0)
	if late := now.Add(time.Duration(p.skew.Load())).Sub(t); late < 0 || late > dateBlur {
		p.skew.Store(int64(t.Add(dateBlur / 4).Sub(now)))
	}
	p.heard.Store(true)
}

// dateBlur is how far a Date may be behind the clock that wrote it by the time
// it is read: a second for its form, and one for the way.
const dateBlur = 2 * time.Second

// Info describes the live set; false when there is none.
func (p *Provider) Info() (Info, bool) {
	s := p.current()
	if s == nil {
		return Info{}, false
	}
	return p.info(s), true
}

func (p *Provider) info(s *set) Info {
	i := Info{Source: s.Source, Key: ShortKey(s.AccessKeyID), Account: s.AccountID}
	if !s.CanExpire {
		return i
	}
	now := p.now()
	i.Expires, i.Left = s.Expires, max(0, s.Expires.Sub(now))
	i.Life = max(0, s.Expires.Sub(s.since.Add(time.Duration(p.skew.Load()))))
	if !s.due.IsZero() {
		i.Refresh = max(0, s.due.Sub(now))
	}
	return i
}

// Now is the time by which sets expire, and whether it is the server's own
// clock: until the server was heard it is the local one.
func (p *Provider) Now() (now time.Time, server bool) { return p.now(), p.heard.Load() }

// Renews reports that some source is expected to give new sets with nobody's
// help, so that a run may outlive the live set.
func (p *Provider) Renews() bool {
	return slices.ContainsFunc(p.sources, func(src Source) bool {
		r, ok := src.(interface{ Renews() bool })
		return ok && r.Renews()
	})
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

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
