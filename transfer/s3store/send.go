package s3store

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
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
			s.succeeded(cr, op, key)
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
	for {
		if cr, err = s.o.Credentials.Retrieve(ctx); err != nil {
			cr, err = t.waitKey(ctx)
		}
		if last := s.admitted.Load(); err != nil || last != nil && *last == cr.AccessKeyID {
			break
		}
		var ok bool
		if ok, err = t.admit(ctx, cr); ok || err != nil {
			break
		}
	}
	if err != nil {
		s.health.release(t.ticket)
	}
	return cr, err
}

// waitKey waits for live credentials until ctx ends, stop is closed or the
// patience for it is over.
func (t *try) waitKey(ctx context.Context) (aws.Credentials, error) {
	s := t.s
	ctx, cancel := s.untilStop(ctx)
	defer cancel(nil)
	if s.o.KeyPatience > 0 {
		timer := time.AfterFunc(s.o.KeyPatience-t.keyless.waited, func() { cancel(transfer.ErrCredentials) })
		defer timer.Stop()
	}
	began := time.Now()
	cr, err := s.o.Credentials.Wait(ctx)
	t.keyless.waited += time.Since(began)
	switch {
	case err == nil:
		return cr, nil
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), transfer.ErrCredentials):
		return cr, context.Cause(ctx)
	default:
		return cr, &noKeyError{said: err.Error(), why: t.keyless.why, fault: t.keyless.fault}
	}
}

// untilStop derives a context that ends when no new request is to be begun, too.
func (s *Store) untilStop(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if s.o.Stop == nil {
		return ctx, cancel
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-s.o.Stop:
			cancel(transfer.ErrStopped)
		case <-ctx.Done():
		}
	})
	return ctx, func(cause error) {
		cancel(cause)
		wg.Wait()
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
	asked   bool // the provider was asked for another key, because this one was denied
	denied  bool // likewise, and it had one; or the key was somebody else's
	sources int  // how many had a key to try in place of one that was denied from the start
	keyless keyless
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
	if c != deadKey && c != suspect {
		t.keyless = keyless{}
	}
	switch c {
	case deadKey:
		return t.dead(ctx, cr, f)
	case suspect:
		return t.deny(ctx, cr, began, f)
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
		return t.trouble(ctx, began, f)
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

// trouble notes a failure that has nothing to do with the request, and pauses.
func (t *try) trouble(ctx context.Context, began time.Time, f *Fault) (bool, error) {
	// Between two of its own attempts, too: these fail in a moment.
	if t.since.IsZero() {
		t.since = began
	}
	well := t.s.health.okSince(t.since)
	if t.since = time.Now(); well {
		t.count++
		if t.count >= maxAttempts && !slowed(f) || t.count >= maxSlowed {
			t.s.health.release(t.ticket) // others wait for whoever tries alone
			return false, f
		}
	}
	if slowed(f) || lateFault(f) {
		t.s.lanes.refused(began, f)
	}
	if err := t.s.health.failed(t.ticket, f, t.s.o.Event); err != nil {
		return false, err
	}
	return t.pause(ctx, f)
}

// slowed tells a store with too much to do from one that fails at something.
func slowed(f *Fault) bool {
	return f.Status == http.StatusServiceUnavailable || f.Status == http.StatusTooManyRequests
}

// lateFault is an answer, or a connection, that did not come in time.
func lateFault(f *Fault) bool {
	var timeout net.Error
	return f.Code == "RequestTimeout" || errors.Is(f.Err, errStalled) || errors.As(f.Err, &timeout) && timeout.Timeout()
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
	err := t.s.sleep(ctx, d)
	return err == nil, err
}

// sleep waits for d, or until there is no more reason to.
func (s *Store) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.o.Stop:
		return transfer.ErrStopped
	}
}
