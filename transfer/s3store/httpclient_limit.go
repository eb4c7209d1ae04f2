package s3store

import (
	"context"
	"io"
	"math"
	"net/http"
	"sync"
	"time"
)

const (
	// limitPiece is for how long the bytes last that one body may move at once.
	// It is short, so that many bodies at a low rate all keep moving: servers
	// give up a connection that is silent for some 20 s.
	limitPiece = 20 * time.Millisecond
	// limitBurst is how much unused time may be made up for: less would lose a
	// little at every late wake-up, more would show in the figure.
	limitBurst = 100 * time.Millisecond
	// limitSlack is the debt that nobody sleeps for: at high rates a timer for
	// every piece would cost more than the pieces.
	limitSlack = 5 * time.Millisecond
	// limitLeast is the smallest piece, in bytes.
	limitLeast = 256
)

// Limiter bounds how many bytes a second all bodies of all its clients move
// together, those of requests and those of answers. It may be used by many
// goroutines. Headers, and what TLS adds, are not counted.
//
// Bodies wait where they are read, so no deadline of the connection runs
// meanwhile: the stall detector arms one only to write, and the time for an
// answer begins when the body is out.
type Limiter struct {
	rule func(time.Time) int64

	turn chan struct{} // holds one token: whoever takes it may sleep; the others queue behind, first come first served

	mu    sync.Mutex
	rate  int64     // bytes a second; 0 is without limit
	until time.Time // when the rule is asked again
	next  time.Time // when all that was let go has been paid for
}

// NewLimiter makes a limiter. The rule says how many bytes a second are right
// at a time, 0 for no limit. It is asked at the beginning of every minute, by
// one goroutine at a time, and must not block.
func NewLimiter(rule func(time.Time) int64) *Limiter {
	return &Limiter{rule: rule, turn: make(chan struct{}, 1)}
}

// take waits until some of want bytes may be moved, and says how many.
func (l *Limiter) take(ctx context.Context, want int) (int, error) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	for {
		n, wait := l.try(time.Now(), want)
		if n > 0 || want == 0 {
			return n, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, context.Cause(ctx)
		}
	}
}

// try lets some bytes go, or says how long to wait first.
func (l *Limiter) try(now time.Time, want int) (n int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !now.Before(l.until) {
		l.ask(now)
	}
	if l.rate <= 0 {
		return want, 0
	}
	if wait := l.next.Sub(now); wait > limitSlack {
		return 0, wait
	}
	if l.next.Before(now.Add(-limitBurst)) {
		l.next = now.Add(-limitBurst)
	}
	piece := max(int64(float64(l.rate)*limitPiece.Seconds()), limitLeast)
	n = int(min(int64(want), piece))
	l.next = l.next.Add(l.cost(n))
	return n, 0
}

// ask brings the rate up to date. It is called under mu.
func (l *Limiter) ask(now time.Time) {
	rate := max(l.rule(now), 0)
	if rate != l.rate || l.until.IsZero() {
		l.rate, l.next = rate, now // what is owed at the old rate is a piece at most
	}
	// By the monotonic clock, which nobody sets back.
	l.until = now.Add(now.Truncate(time.Minute).Add(time.Minute).Sub(now.Round(0)))
}

// giveBack returns what was taken and not moved.
func (l *Limiter) giveBack(n int) {
	if n <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate > 0 {
		l.next = l.next.Add(-l.cost(n))
	}
}

func (l *Limiter) cost(n int) time.Duration {
	return time.Duration(math.Round(float64(n) / float64(l.rate) * float64(time.Second)))
}

// request makes the body of a copy of a request wait for the limiter.
func (l *Limiter) request(req *http.Request) {
	if req.Body == nil || req.Body == http.NoBody {
		return
	}
	ctx := req.Context()
	req.Body = &limitedBody{ReadCloser: req.Body, ctx: ctx, limit: l}
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			b, err := again()
			if err != nil {
				return nil, err
			}
			return &limitedBody{ReadCloser: b, ctx: ctx, limit: l}, nil
		}
	}
}

// answer makes the body of an answer wait for the limiter.
func (l *Limiter) answer(ctx context.Context, resp *http.Response) {
	if resp.Body != nil && resp.Body != http.NoBody {
		resp.Body = &limitedBody{ReadCloser: resp.Body, ctx: ctx, limit: l}
	}
}

// limitedBody is a body that is read no faster than the limiter allows.
type limitedBody struct {
	io.ReadCloser
	ctx   context.Context // the request's own
	limit *Limiter
}

func (b *limitedBody) Read(p []byte) (int, error) {
	may, err := b.limit.take(b.ctx, len(p))
	if err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p[:may])
	b.limit.giveBack(may - n)
	return n, err
}
