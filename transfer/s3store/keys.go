package s3store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"agent/creds"
	"agent/transfer"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// opPrefix stands in keyOps for a listing of Options.Prefix. One of anything
// below it proves less: a role may be held to "prefix/*".
const opPrefix = "ListObjectsV2 of the prefix"

// keyOps remembers which key has succeeded at which operation.
type keyOps struct {
	mu   sync.RWMutex
	keys map[string]map[string]bool
	last map[string]string // by operation: the key that came to it last, in words for people
	told map[string]bool   // of which keys people were told that they are somebody else's
}

func (k *keyOps) add(c aws.Credentials, op string) {
	if k.did(c.AccessKeyID, op) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys, k.last = map[string]map[string]bool{}, map[string]string{}
	}
	if k.keys[c.AccessKeyID] == nil {
		k.keys[c.AccessKeyID] = map[string]bool{}
	}
	k.keys[c.AccessKeyID][op] = true
	k.last[op] = creds.Describe(c)
}

func (k *keyOps) did(id, op string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[id][op]
}

// could reports whether a key has succeeded at op, or at something else that
// takes the same right.
func (k *keyOps) could(id, op string) bool {
	one := []string{opPut, opCreate, opPart, opComplete} // s3:PutObject
	if !slices.Contains(one, op) {
		return k.did(id, op)
	}
	return slices.ContainsFunc(one, func(op string) bool { return k.did(id, op) })
}

func (k *keyOps) any(id string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.keys[id]) > 0
}

// none reports that nothing was granted to any key yet.
func (k *keyOps) none() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.keys) == 0
}

// who describes a key that succeeded at op; "" where none did.
func (k *keyOps) who(op string) string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.last[op]
}

func (k *keyOps) ever(op string) bool { return k.who(op) != "" }

// strange reports whether people are to be told of a key that is somebody else's.
func (k *keyOps) strange(id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.told[id] || len(k.told) == maxTold {
		return false
	}
	if k.told == nil {
		k.told = map[string]bool{}
	}
	k.told[id] = true
	return true
}

// succeeded notes what a good answer proves.
func (s *Store) succeeded(cr aws.Credentials, op, key string) {
	s.health.succeeded(s.o.Event)
	s.worked.add(cr, op)
	if op == opList && key == s.o.Prefix {
		s.worked.add(cr, opPrefix)
	}
}

// admit reports whether a key may be used; where not, it has been given back.
// The first one may. A later one has to be able to list the job's prefix, if
// one before it was: credentials of another workspace or account are better
// noticed now than by half the upload. All requests that would use the key wait
// for that one listing; those in flight under another go on. Trouble with the
// listing says nothing: the key is used, and a later request tries again.
//
// The caller has looked at s.admitted, which is all that the usual case costs.
func (t *try) admit(ctx context.Context, cr aws.Credentials) (bool, error) {
	s := t.s
	if s.worked.ever(opPrefix) && !s.worked.did(cr.AccessKeyID, opPrefix) {
		l, err := s.listWith(ctx, cr, time.Now().Add(-listEvery))
		switch {
		case err != nil:
			return false, err
		case l.fault == nil:
		case l.class == suspect:
			t.giveBack(cr, l.fault, s.stranger(cr, opPrefix))
			return false, nil
		case l.class == deadKey, l.fault.Code == "SignatureDoesNotMatch":
			t.giveBack(cr, l.fault, l.fault.Code)
			return false, nil
		default:
			return true, nil
		}
	}
	s.admitted.Store(&cr.AccessKeyID)
	return true, nil
}

// stranger says, also to the user, that cr may not do what another key could.
func (s *Store) stranger(cr aws.Credentials, op string) string {
	what := "write to"
	switch op {
	case opPrefix, opList:
		what = "list"
	case opGet:
		what = "read"
	}
	text := fmt.Sprintf("%s may not %s s3://%s/%s, which %s could: it is for another workspace or account",
		creds.Describe(cr), what, s.o.Bucket, s.o.Prefix, s.worked.who(op))
	if s.worked.strange(cr.AccessKeyID) {
		s.o.Event(transfer.Event{Kind: transfer.Notice, Text: text})
	}
	return text
}

const (
	listEvery   = 3 * time.Second  // between listings that are only made to judge one key
	listTimeout = 15 * time.Second // for one of them: requests wait for it
)

// lister makes the listings that tell whether a key can see the job's prefix:
// one at a time, whose outcome serves everybody who waited for it.
type lister struct {
	turn chan struct{} // whoever has put something in may use last
	last listing
}

// listing is how a listing of the job's prefix went with one set of credentials.
type listing struct {
	cr    aws.Credentials
	began time.Time
	fault *Fault // nil where it went well; not to be changed
	class class  // of fault
}

// listWith lists the job's prefix with cr, unless that was done since: then
// the outcome is the one of that time. The error is the end of ctx or a stop.
func (s *Store) listWith(ctx context.Context, cr aws.Credentials, since time.Time) (listing, error) {
	select {
	case s.lister.turn <- struct{}{}:
		defer func() { <-s.lister.turn }()
	case <-ctx.Done():
		return listing{}, context.Cause(ctx)
	case <-s.o.Stop:
		return listing{}, transfer.ErrStopped
	}
	if last := s.lister.last; sameSet(last.cr, cr) {
		if !last.began.Before(since) {
			return last, nil
		}
		if err := s.sleep(ctx, listEvery-time.Since(last.began)); err != nil {
			return listing{}, err
		}
	}
	l := listing{cr: cr, began: time.Now()}
	one, cancel := context.WithTimeout(withCredentials(ctx, cr), listTimeout)
	defer cancel()
	err := s.listFirst(one)
	switch {
	case err == nil:
		s.succeeded(cr, opList, s.o.Prefix)
	case ctx.Err() != nil:
		return listing{}, context.Cause(ctx)
	default:
		l.fault = read(err)
		l.class = classify(l.fault, true)
	}
	s.lister.last = l
	return l, nil
}

// sameSet compares secrets too: a set that was mended is another one.
func sameSet(a, b aws.Credentials) bool {
	return a.AccessKeyID == b.AccessKeyID && a.SecretAccessKey == b.SecretAccessKey && a.SessionToken == b.SessionToken
}

// listFirst asks for one object below the job's prefix. It is the request that
// needs the least and harms nothing.
func (s *Store) listFirst(ctx context.Context) error {
	_, err := s.listOnce(ctx, &s3.ListObjectsV2Input{Bucket: &s.o.Bucket, Prefix: &s.o.Prefix, MaxKeys: aws.Int32(1)})
	return err
}

// Check makes one harmless request, to tell whether the credentials work. Its
// error is a *transfer.Error that is ErrRefused where the store does not take
// them, ErrDenied where they may not list Options.Prefix, or ErrUnreachable. A
// *Fault in it has the store's code. Where others were waited for in place of
// refused ones, and none came, it is both ErrRefused and ErrCredentials.
func (s *Store) Check(ctx context.Context) error {
	err := s.send(ctx, opList, s.o.Prefix, s.listFirst)
	var none *noKeyError
	if errors.As(err, &none) && none.fault != nil {
		f := *none.fault // which credentials were meant is clear here: the store's words are enough
		f.Sentinel, f.Err = transfer.ErrRefused, errors.Join(none, f.Err)
		return &transfer.Error{Op: opList, Key: s.o.Prefix, Err: &f}
	}
	return err
}
