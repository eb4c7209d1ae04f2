package s3store

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"agent/creds"
	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// keyless is why and for how long a request is without a key that works.
type keyless struct {
	waited time.Duration
	why    string // what was said of the key that was given back last
	fault  *Fault // likewise what the store answered; nil where there was none to give back
}

// noKeyError is that credentials were waited for and none came.
type noKeyError struct {
	said  string // by the provider. Of its error the words are of use: the chain ends in the context that ended the waiting
	why   string
	fault *Fault // see keyless
}

func (e *noKeyError) Error() string {
	text := transfer.ErrCredentials.Error() + ": " + e.said
	if e.fault == nil || strings.Contains(e.said, e.why) {
		return text
	}
	if e.why != e.fault.Code {
		return text + "; the last ones were refused: " + e.why
	}
	return text + "; the last ones were refused: " + e.fault.Error()
}

func (e *noKeyError) Unwrap() []error {
	if e.fault == nil {
		return []error{transfer.ErrCredentials}
	}
	return []error{transfer.ErrCredentials, e.fault}
}

// giveBack ends the use of a key.
func (t *try) giveBack(cr aws.Credentials, f *Fault, why string) {
	t.keyless.fault, t.keyless.why = f, why
	t.s.o.Credentials.Invalidate(cr, why)
}

// Expired reports that the store says a key's time is over, so that it was right.
func (f *Fault) Expired() bool { return expired[f.Code] }

// expired are the codes that say so.
var expired = map[string]bool{
	"ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true, "TokenRefreshRequired": true,
}

// dead gives a refused key back. Before anything ever worked it is a wrong one
// rather than an old one, unless the store says that it is expired.
func (t *try) dead(ctx context.Context, cr aws.Credentials, f *Fault) (bool, error) {
	t.giveBack(cr, f, f.Code)
	if f.Expired() || t.s.clock.over(cr) || t.s.health.everOK() || t.another(ctx, cr) {
		return true, nil
	}
	f.Sentinel = transfer.ErrRefused
	return false, f
}

// anotherWait bounds the question for a different key: somebody waits to be
// told that the one he has is wrong. The slowest source, a metadata service that
// is not there, takes five seconds.
const anotherWait = 8 * time.Second

// another reports whether the provider has, or soon gets, a different key.
func (t *try) another(ctx context.Context, cr aws.Credentials) bool {
	ctx, cancel := context.WithTimeout(ctx, anotherWait)
	defer cancel()
	next, err := t.s.o.Credentials.Wait(ctx)
	return err == nil && next.AccessKeyID != cr.AccessKeyID
}

// deny decides what AccessDenied means: a right that is missing for this
// object, or something about the key, for which another is awaited. In turn:
//
//   - the key's time is up: some stores call that AccessDenied;
//   - it is the first write, and nothing was granted to any key yet: a machine's
//     own role, say, has nothing to do with the destination. Another source's is
//     tried. A listing that is denied is no such sign: many may write alone;
//   - a second key is denied, too: the object is meant;
//   - another key could do this, and this one, which never did anything, can't:
//     it is somebody else's;
//   - the key could do this before, or could list, as it had to, and has not come
//     to what others could do: it may have ended. See doubt.
func (t *try) deny(ctx context.Context, cr aws.Credentials, began time.Time, f *Fault) (bool, error) {
	s, id := t.s, cr.AccessKeyID
	switch temporary := cr.SessionToken != ""; {
	case !t.mayMeanKey(): // the right is missing
	case temporary && s.clock.over(cr):
		t.giveBack(cr, f, f.Code)
		return true, nil
	case writes[t.op] && s.worked.none() && t.instead(ctx, cr, f):
		return true, nil
	case t.denied: // to two keys
	case !s.worked.any(id) && s.worked.ever(t.op):
		// It may be this object that is locked, and the key a good one.
		if l, err := s.listWith(ctx, cr, time.Now().Add(-listEvery)); err != nil || l.fault == nil {
			f.Sentinel = transfer.ErrDenied
			return false, cmp.Or(err, error(f))
		}
		t.denied = true
		t.giveBack(cr, f, s.stranger(cr, t.op))
		return true, nil
	case temporary && (s.worked.could(id, t.op) || s.worked.did(id, opPrefix) && s.worked.ever(t.op)):
		if sure, again, err := t.doubt(ctx, cr, began, f); !sure {
			return again, err
		}
	}
	f.Sentinel = transfer.ErrDenied
	if writes[t.op] && !s.worked.ever(t.op) {
		// Nothing was ever accepted: the right is missing, not one object's.
		f.Sentinel = transfer.ErrRefused
	}
	return false, f
}

// mostSources bounds how many are tried one after the other: those that make a
// new key at every call could go on for ever.
const mostSources = 8

// instead reports whether another source's key is to be tried in place of one
// that was denied from the start. This one is then given back.
func (t *try) instead(ctx context.Context, cr aws.Credentials, f *Fault) bool {
	if t.sources++; t.sources > mostSources {
		return false
	}
	ctx, cancel := t.s.untilStop(ctx)
	next, err := t.s.o.Credentials.Another(ctx, cr.AccessKeyID, true)
	cancel(nil)
	if err != nil || next.AccessKeyID == cr.AccessKeyID {
		return false
	}
	t.giveBack(cr, f, f.Code)
	t.s.o.Event(transfer.Event{Kind: transfer.Notice, Text: fmt.Sprintf("%s is denied s3://%s/%s: trying %s",
		creds.Describe(cr), t.s.o.Bucket, t.s.o.Prefix, creds.Describe(next))})
	return true
}

// doubt settles a denial where the key had worked, were it by its listing alone. The sources are asked for
// another one, with which the request is tried again. Where they have none, a
// listing of the job's prefix tells, if this key could list before: denied too,
// the key has ended; granted, the denial is sure. So it is where nothing tells.
func (t *try) doubt(ctx context.Context, cr aws.Credentials, began time.Time, f *Fault) (sure, again bool, _ error) {
	s, id := t.s, cr.AccessKeyID
	why := f.Code
	if s.worked.could(id, t.op) {
		why = fmt.Sprintf("%s to %s, which it could before", f.Code, t.op)
	}
	if !t.asked {
		t.asked = true
		until, cancel := s.untilStop(ctx)
		next, err := s.o.Credentials.Another(until, id, false)
		cancel(nil)
		if err != nil {
			return false, true, nil //nolint:nilerr // none is live now: one is waited for
		}
		if next.AccessKeyID != id {
			t.denied = true
			t.giveBack(cr, f, why)
			return false, true, nil
		}
	}
	if !s.worked.did(id, opPrefix) {
		return true, false, nil
	}
	l, err := s.listWith(ctx, cr, time.Now())
	switch {
	case err != nil:
		return false, false, err
	case l.fault == nil:
		return true, false, nil
	case l.class == suspect, l.class == deadKey:
		t.giveBack(cr, f, why)
		return false, true, nil
	}
	trouble := *l.fault
	again, err = t.trouble(ctx, began, &trouble)
	return false, again, err
}

// mayMeanKey reports whether a denial of this request can be a surprise: the
// platform's role has these operations, and no listing beyond its prefix.
func (t *try) mayMeanKey() bool {
	switch t.op {
	case opPut, opCreate, opPart, opComplete, opGet, opDelete:
		return true
	case opList:
		return strings.HasPrefix(t.key, t.s.o.Prefix)
	}
	return false
}

// writes are the operations with which a run's first write begins.
var writes = map[string]bool{opPut: true, opCreate: true}
