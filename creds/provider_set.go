package creds

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// set is one installed set of credentials. It is never written to again.
type set struct {
	aws.Credentials           // Source is the name of the source
	from            int       // the source's place in the order
	since           time.Time // local clock, when it was installed
	due             time.Time // by the server's clock: when to ask for the next; zero when it does not expire
}

func (s *set) expired(now time.Time) bool { return s.CanExpire && !now.Before(s.Expires) }

func (s *set) isDue(now time.Time) bool { return !s.due.IsZero() && !now.Before(s.due) }

// identity tells a set that is offered again from one that was mended: people
// paste a broken token and then, under the same key id, the whole one.
type identity [sha256.Size]byte

func identityOf(c aws.Credentials) identity {
	return sha256.Sum256([]byte(c.AccessKeyID + "\x00" + c.SecretAccessKey + "\x00" + c.SessionToken))
}

// Why a source's set is not installed while another lives.
var (
	errSame   = errors.New("has no newer credentials yet")
	errSooner = errors.New("has only credentials that end no later than the live ones")
)

// install makes c, from the source at that place, the live set unless it is
// dead or the live one is to stay. It decides under the lock that Invalidate
// takes, so that a round begun before a refusal can't bring the refused set
// back.
func (p *Provider) install(from int, c aws.Credentials, why asking) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	c.Source = nameOf(p.sources[from])
	next := &set{Credentials: c, from: from, since: p.clock().Round(0)}
	if c.CanExpire && !next.expired(now) {
		next.due = c.Expires.Add(-min(p.ahead, c.Expires.Sub(now)/5))
	}
	old := p.live.Load()
	reason, refused := p.dead[identityOf(c)]
	switch {
	case !c.HasKeys():
		return errors.New("gave no credentials")
	case refused:
		return fmt.Errorf("key %s was refused: %s", ShortKey(c.AccessKeyID), reason)
	case p.over(next):
		return fmt.Errorf("key %s expired at %s", ShortKey(c.AccessKeyID), c.Expires.UTC().Format(time.RFC3339))
	case old != nil && (same(old.Credentials, c) || why.useless && old.AccessKeyID == c.AccessKeyID):
		return errSame
	case old != nil && !p.over(old) && !why.replaces(old, next):
		return errSooner
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
