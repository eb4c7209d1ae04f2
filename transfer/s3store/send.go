package s3store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	maxAttempts = 10  // while the store is otherwise well
	maxSlowed   = 100 // likewise, where it asked to be spared: that is not about one object
	maxCorrupt  = 3
	backoffBase = 250 * time.Millisecond
	backoffCap  = 30 * time.Second
)

// send makes one request, as often as it takes. It is the only place that
// decides about credentials, patience and repetition:
//
//   - a key the store calls dead is given back and the next one awaited; that
//     spends no attempt;
//   - trouble on the way, or a store that is overloaded or away, is waited
//     out with full jitter, behind one circuit breaker for all requests;
//   - everything else comes back as a *transfer.Error.
//
// ctx kills the request; a closed Options.Stop only keeps new attempts from
// being begun.
func (s *Store) send(ctx context.Context, op, key string, attempt func(context.Context) error) error {
	t := try{s: s, op: op, key: key}
	for {
		cr, err := t.ready(ctx)
		if err != nil {
			return t.fail(err)
		}
		began := time.Now()
		err = attempt(withCredentials(ctx, cr))
		if err == nil {
			s.health.succeeded(s.o.Event)
			s.worked.add(cr.AccessKeyID, op)
			return nil
		}
		if ctx.Err() != nil {
			s.health.release(t.ticket)
			return t.fail(context.Cause(ctx))
		}
		again, err := t.judge(ctx, cr, began, err)
		if !again {
			return t.fail(err)
		}
	}
}

// ready waits until a request may be begun, and says with which key.
func (t *try) ready(ctx context.Context) (cr aws.Credentials, err error) {
	s := t.s
	select {
	case <-s.o.Stop:
		return cr, transfer.ErrStopped
	default:
	}
	if t.ticket, err = s.health.wait(ctx, s.o.Stop); err != nil {
		return cr, err
	}
	if cr, err = s.o.Credentials.Retrieve(ctx); err == nil {
		return cr, nil
	}
	if cr, err = s.waitKey(ctx); err != nil {
		s.health.release(t.ticket)
	}
	return cr, err
}

// waitKey waits for live credentials until ctx ends, stop is closed or the
// patience for it is over.
func (s *Store) waitKey(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := s.o.KeyPatience
	if !s.health.everOK() {
		patience = s.o.FirstKeyPatience
	}
	if patience > 0 {
		t := time.AfterFunc(patience, func() { cancel(transfer.ErrCredentials) })
		defer t.Stop()
	}
	if s.o.Stop != nil {
		over := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			select {
			case <-s.o.Stop:
				cancel(transfer.ErrStopped)
			case <-over:
			}
		})
		defer wg.Wait()
		defer close(over)
	}
	cr, err := s.o.Credentials.Wait(ctx)
	switch {
	case err == nil:
		return cr, nil
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), transfer.ErrCredentials):
		return cr, context.Cause(ctx)
	default:
		// Of err only what the sources said is of use: its chain ends in the
		// context that was ended to stop waiting.
		return cr, fmt.Errorf("%w: %v", transfer.ErrCredentials, err) //nolint:errorlint // see above
	}
}

// try is what send remembers over the attempts of one request.
type try struct {
	s       *Store
	op, key string
	ticket  int       // of the attempt, see health.wait
	count   int       // attempts that failed while the store was otherwise well
	since   time.Time // of the failure before, or of the first attempt's beginning
	corrupt int
	skewed  bool
	asked   bool // the provider was asked whether AccessDenied was expiry
}

func (t *try) fail(err error) error {
	return &transfer.Error{Op: t.op, Key: t.key, Err: err}
}

// judge decides, after an attempt failed with err, whether to make another;
// when it says yes it has waited as long as is right.
func (t *try) judge(ctx context.Context, cr aws.Credentials, began time.Time, err error) (again bool, _ error) {
	f := read(err)
	c := classify(f, t.s.health.everOK())
	switch {
	case c == transient: // its failure is noted below
	case f.Status != 0 || c == corrupt:
		t.s.health.answered(t.s.o.Event)
	default:
		t.s.health.release(t.ticket)
	}
	switch c {
	case deadKey:
		return t.dead(ctx, cr, f)
	case suspect:
		return t.denied(ctx, cr, f)
	case skewed:
		// The skew was read from this very answer; once more, signed by it.
		if t.skewed {
			f.Sentinel = transfer.ErrRefused
			return false, f
		}
		t.skewed = true
		return true, nil
	case corrupt:
		t.corrupt++
		if t.corrupt > maxCorrupt {
			return false, f
		}
		return t.pause(ctx, f)
	case transient:
		// Between two of its own attempts, too: these fail in a moment.
		if t.since.IsZero() {
			t.since = began
		}
		well := t.s.health.okSince(t.since)
		if t.since = time.Now(); well {
			t.count++
			if t.count >= maxAttempts && !slowed(f) || t.count >= maxSlowed {
				return false, f
			}
		}
		if err := t.s.health.failed(t.ticket, f, t.s.o.Event); err != nil {
			return false, err
		}
		return t.pause(ctx, f)
	default:
		if f.Code == "SignatureDoesNotMatch" && t.s.worked.any(cr.AccessKeyID) && t.count < 2 {
			// The secret is right, so something mangled the request.
			f.Sentinel = nil
			t.count++
			return t.pause(ctx, f)
		}
		return false, f
	}
}

// slowed tells a store with too much to do from one that fails at something.
func slowed(f *Fault) bool {
	return f.Status == http.StatusServiceUnavailable || f.Status == http.StatusTooManyRequests
}

// dead gives a refused key back. A key that never worked is a wrong one rather
// than an old one, unless the store says that it is expired.
func (t *try) dead(ctx context.Context, cr aws.Credentials, f *Fault) (bool, error) {
	expired := f.Code == "ExpiredToken" || f.Code == "ExpiredTokenException" || f.Code == "RequestExpired" ||
		f.Code == "TokenRefreshRequired" || t.s.worked.any(cr.AccessKeyID) || (cr.CanExpire && cr.Expires.Before(time.Now()))
	t.s.o.Credentials.Invalidate(cr.AccessKeyID, f.Code)
	if expired {
		return true, nil
	}
	if t.another(ctx, cr) {
		return true, nil
	}
	f.Sentinel = transfer.ErrRefused
	return false, f
}

// denied tells expiry from a real denial: some stores answer AccessDenied to
// an expired token. The provider is asked once; a different key, denied too,
// is a real denial.
func (t *try) denied(ctx context.Context, cr aws.Credentials, f *Fault) (bool, error) {
	f.Sentinel = transfer.ErrDenied
	over := cr.CanExpire && cr.Expires.Before(time.Now().Add(time.Duration(t.s.skew.Load())))
	before := t.s.worked.did(cr.AccessKeyID, t.op)
	if !t.asked && cr.SessionToken != "" && mayMeanExpiry[t.op] && (over || before) {
		t.asked = true
		if over {
			t.s.o.Credentials.Invalidate(cr.AccessKeyID, f.Code)
			return true, nil
		}
		if t.another(ctx, cr) {
			return true, nil
		}
	}
	if writes[t.op] && !t.s.worked.ever(t.op) {
		// Nothing was ever accepted: the right is missing, not one object's.
		f.Sentinel = transfer.ErrRefused
	}
	return false, f
}

// mayMeanExpiry are the operations the platform's role has: only there can a
// denial be a surprise.
var mayMeanExpiry = map[string]bool{
	opPut: true, opCreate: true, opPart: true, opComplete: true, opGet: true, opList: true,
}

var writes = map[string]bool{opPut: true, opCreate: true}

// anotherWait bounds the question for a different key: somebody waits to be
// told that the one he has is wrong.
const anotherWait = 3 * time.Second

// another reports whether the provider has, or soon gets, a different key.
func (t *try) another(ctx context.Context, cr aws.Credentials) bool {
	ctx, cancel := context.WithTimeout(ctx, anotherWait)
	defer cancel()
	next, err := t.s.o.Credentials.Wait(ctx)
	return err == nil && next.AccessKeyID != cr.AccessKeyID
}

// pause waits with full jitter before the next attempt.
func (t *try) pause(ctx context.Context, f *Fault) (bool, error) {
	n := min(t.s.health.streak()+t.count+t.corrupt, 10)
	d := min(backoffBase<<n, backoffCap)
	r := rand.Float64
	if t.s.o.Seed != nil {
		r = t.s.o.Seed
	}
	d = time.Duration(float64(d) * r())
	t.s.o.Event(transfer.Event{Kind: transfer.Retry, Key: t.key, Text: t.op, Err: f, Wait: d})
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-t.s.o.Stop:
		return false, transfer.ErrStopped
	}
}
