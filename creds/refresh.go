package creds

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	firstPause  = time.Second
	longPause   = 15 * time.Second // between rounds while there is no live set
	calmPause   = time.Minute      // between rounds while the old set still lives: nobody is in a hurry
	lookPause   = 30 * time.Second // timers stop while a laptop sleeps, so the wall clock is looked at this often
	proven      = 10 * time.Second // a set refused sooner than this, and before it was due, counts as a failed round
	askPatience = 90 * time.Second // for one source: longer than the minute a credential_process has
)

// refresher is the one goroutine that asks the sources. Everything here is its
// own, so that however many want credentials, one round serves them.
type refresher struct {
	*Provider
	rounds int       // since a set proved itself or a file changed: sets the pause
	next   time.Time // local clock: no round before this
	calm   bool      // the last round failed while the old set lived
	told   string    // the reason that Waiting gave; "" when Going was told since
	files  watch
}

func (r *refresher) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-r.start:
	}
	for ctx.Err() == nil {
		if f := r.takeForce(); f != nil {
			r.serve(ctx, f)
			continue
		}
		s := r.current()
		if s == nil && r.calm {
			r.hurry() // the pause was one for a set that still lived
		}
		if s == nil && r.asked.Load() != nil {
			r.tellWaiting()
		}
		local := r.clock().Round(0)
		switch pause := r.next.Sub(local); {
		case s != nil && !s.isDue(r.now()):
			if r.lived(s) {
				r.rounds = 0
			}
			if len(r.files.changed) > 0 {
				r.ask(ctx, asking{changed: r.files.changed, only: true})
				continue
			}
			r.sleep(ctx, r.untilDue(s), false)
		case pause > 0 && pause <= calmPause: // more than that is a clock set back
			if s != nil && s.CanExpire {
				pause = min(pause, s.Expires.Sub(r.now()))
			}
			r.sleep(ctx, pause, true)
		default:
			r.round(ctx, asking{changed: r.files.changed})
		}
	}
}

func (r *refresher) untilDue(s *set) time.Duration {
	if s.due.IsZero() {
		return lookPause
	}
	return s.due.Sub(r.now())
}

// lived reports that the set was of use: whatever its life, until it was due.
func (r *refresher) lived(s *set) bool {
	return r.clock().Round(0).Sub(s.since) >= proven || s.isDue(r.now())
}

// round asks the sources once, and sets the time before which there is no other.
func (r *refresher) round(ctx context.Context, why asking) {
	if s := r.current(); s != nil && r.lived(s) && !r.calm {
		r.rounds = 0
	}
	r.files.look(r.sources)
	installed := r.ask(ctx, why)
	if ctx.Err() != nil {
		return
	}
	r.calm = !installed && r.current() != nil
	longest := longPause
	if r.calm {
		longest = calmPause
	}
	r.next = r.clock().Round(0).Add(backoff(r.rounds, longest))
	r.rounds++
}

// asking is what a round is about. With no live set every source is asked, in
// order. While one lives, order and life decide:
//
//   - Its own source and those before it are asked. Those after it may stand for
//     somebody else, and are asked only if they are dedicated to this
//     destination: to go on for longer, so not where the end of the live set is
//     not known, unless the store doubts it.
//   - What comes replaces the live set when it lives longer. Where the files of
//     its source have changed, and the source is not after the live set's, it
//     does so in any case: that is what somebody wants to be used now.
//   - When the store doubts the live set, its own source may replace it by
//     whatever else it has; and where its end is not known, the others may too.
//   - When it was of no use from the start, all but its own source are asked,
//     and the first set replaces it.
type asking struct {
	forced  bool         // the store doubts the live set
	useless bool         // it was of no use from the start
	changed map[int]bool // the sources whose files have changed, by their place
	only    bool         // while a set lives, no others are asked
}

func (a asking) asks(place int, src Source, live *set) bool {
	switch {
	case live == nil:
		return true
	case a.useless:
		return place != live.from
	case a.only && !a.changed[place]:
		return false
	case place <= live.from:
		return true
	default:
		return dedicated(src) && (live.CanExpire || a.forced)
	}
}

func (a asking) replaces(live, next *set) bool {
	switch {
	case a.useless:
		return true
	case next.from <= live.from && a.changed[next.from], next.from == live.from && a.forced:
		return true
	case !live.CanExpire:
		return a.forced
	default:
		return !next.CanExpire || next.Expires.After(live.Expires)
	}
}

func dedicated(src Source) bool {
	d, ok := src.(interface{ Dedicated() bool })
	return ok && d.Dedicated()
}

// ask tries the sources in order and reports whether another set is live now.
// Where there is none, what they answered is kept.
func (r *refresher) ask(ctx context.Context, why asking) bool {
	r.files.changed = nil
	var asked Answers
	for place, src := range r.sources {
		if !why.asks(place, src, r.current()) {
			continue
		}
		c, err := r.retrieve(ctx, src, asked)
		if ctx.Err() != nil {
			return false
		}
		given := err == nil
		if given {
			err = r.install(place, c, why)
		}
		if given && r.current() != nil {
			r.files.settle(place, src)
		}
		if err == nil {
			r.asked.Store(nil)
			r.tellGoing()
			return true
		}
		asked = append(asked, Answer{Source: nameOf(src), Err: err})
	}
	if len(r.sources) == 0 {
		asked = Answers{{Source: "credentials", Err: errors.New("there is no source to ask")}}
	}
	// Of a set that lives on, or of some sources only, they would explain nothing.
	if r.current() == nil && !why.only {
		r.asked.Store(&asked)
	}
	return false
}

// slow is how long a source may take before those who wait are told of it.
const slow = 5 * time.Second

var errSlow = errors.New("has not answered yet")

// retrieve asks one source. Should it be slow, those who were told nothing yet
// are told so, with what the ones before it have answered.
func (r *refresher) retrieve(ctx context.Context, src Source, before Answers) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	told := make(chan struct{})
	timer := time.AfterFunc(slow, func() {
		defer close(told)
		if r.current() == nil && r.told == "" {
			r.asked.Store(new(append(slices.Clip(before), Answer{Source: nameOf(src), Err: errSlow})))
			r.tellWaiting()
		}
	})
	c, err := src.Retrieve(ctx)
	if !timer.Stop() {
		<-told // what is the refresher's own, it is again
	}
	return c, err
}

// backoff doubles with every round, and spreads agents that failed together.
func backoff(rounds int, longest time.Duration) time.Duration {
	pause := firstPause << min(rounds, 10)
	if pause > longest {
		pause = longest
	}
	return pause*3/4 + rand.N(pause/4+1) //nolint:gosec // spreading needs no strong randomness
}

// hurry makes the next round start at once.
func (r *refresher) hurry() {
	r.rounds, r.next, r.calm = 0, time.Time{}, false
}

// sleep lasts for at most d. A refusal, a doubt and a changed file end it. So
// does somebody who finds the set expired, but not between rounds: many who ask
// must not make rounds come sooner.
func (r *refresher) sleep(ctx context.Context, d time.Duration, between bool) {
	timer := time.NewTimer(max(0, min(d, lookPause)))
	defer timer.Stop()
	look, stop := r.files.ticker()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-r.start:
			if !between || r.calm {
				return
			}
			r.tellWaiting()
		case <-r.again:
			return
		case <-look:
			if r.files.tick(r.sources) {
				if between {
					r.hurry()
				}
				return
			}
		}
	}
}

// volatile is what differs between two answers that say the same.
var volatile = regexp.MustCompile(`(?:RequestID|HostID): ?[^,\s]*|:\d+->`)

// tellWaiting tells why, and again only when the reason has become another one.
func (r *refresher) tellWaiting() {
	asked := r.asked.Load()
	if asked == nil || !r.wanted.Load() {
		return
	}
	if why := volatile.ReplaceAllString(asked.String(), ""); why != r.told {
		r.told = why
		r.event(Event{Kind: Waiting, Asked: *asked})
	}
}

func (r *refresher) tellGoing() {
	s := r.live.Load()
	if s == nil || r.told == "" {
		return
	}
	r.told = ""
	r.event(Event{Kind: Going, Info: r.info(s)})
}
