package creds

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"time"
)

const (
	firstPause  = time.Second
	longPause   = 15 * time.Second // between rounds while there is no live set
	calmPause   = time.Minute      // between rounds while the old set still lives: nobody is in a hurry
	lookPause   = 30 * time.Second // timers stop while a laptop sleeps, so the wall clock is looked at this often
	filePause   = time.Second      // between looks at the watched files
	proven      = 10 * time.Second // a set refused sooner than this counts as a failed round
	askPatience = 90 * time.Second // for one source: longer than the minute a credential_process has
)

// refresher is the one goroutine that asks the sources. Everything here is its
// own, so that however many want credentials, one round serves them.
type refresher struct {
	*Provider
	rounds  int       // since a set proved itself or a file changed: sets the pause
	next    time.Time // local clock: no round before this
	calm    bool      // the last round failed while the old set lived
	waiting bool      // Waiting was told and Going was not yet
	seen    []stamp   // the watched files before the last round
}

func (r *refresher) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-r.start:
	}
	for ctx.Err() == nil {
		s := r.current()
		if s == nil && r.calm {
			r.asked.Store(nil) // what was said of a set that still lived explains nothing now
			r.hurry()
		}
		if s == nil && r.asked.Load() != nil {
			r.tellWaiting()
		}
		local := r.clock().Round(0)
		switch pause := r.next.Sub(local); {
		case s != nil && (s.due.IsZero() || r.now().Before(s.due)):
			if local.Sub(s.since) >= proven {
				r.rounds = 0
			}
			r.sleep(ctx, r.untilDue(s), false)
		case pause > 0 && pause <= calmPause: // more than that is a clock set back
			if s != nil && s.CanExpire {
				pause = min(pause, s.Expires.Sub(r.now()))
			}
			r.sleep(ctx, pause, true)
		default:
			r.round(ctx)
		}
	}
}

func (r *refresher) untilDue(s *set) time.Duration {
	if s.due.IsZero() {
		return lookPause
	}
	return s.due.Sub(r.now())
}

// round asks the sources once, and sets the time before which there is no other.
func (r *refresher) round(ctx context.Context) {
	if s := r.current(); s != nil && r.clock().Round(0).Sub(s.since) >= proven && !r.calm {
		r.rounds = 0
	}
	r.seen = stamps(r.sources)
	installed := r.ask(ctx)
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

// ask tries the sources in order and reports whether another set is live now.
// A source that gives the live set once more ends the round: the sources after
// it may stand for somebody else, and their turn comes when this set is dead.
func (r *refresher) ask(ctx context.Context) bool {
	var asked Answers
	for _, src := range r.sources {
		name := nameOf(src)
		one, cancel := context.WithTimeout(ctx, askPatience)
		c, err := src.Retrieve(one)
		cancel()
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			err = r.install(name, c)
		}
		if err == nil {
			r.asked.Store(nil)
			r.tellGoing()
			return true
		}
		asked = append(asked, Answer{Source: name, Err: err})
		if errors.Is(err, errSame) {
			break
		}
	}
	if len(asked) == 0 {
		asked = Answers{{Source: "credentials", Err: errors.New("there is no source to ask")}}
	}
	r.asked.Store(&asked)
	return false
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

// sleep lasts for at most d. A refusal ends it; and so does, between rounds
// (watch), a changed file, and otherwise somebody who finds the set expired.
func (r *refresher) sleep(ctx context.Context, d time.Duration, watch bool) {
	timer := time.NewTimer(max(0, min(d, lookPause)))
	defer timer.Stop()
	var look <-chan time.Time
	if watch && len(r.seen) > 0 {
		t := time.NewTicker(filePause)
		defer t.Stop()
		look = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-r.start:
			if !watch || r.calm {
				return
			}
			r.tellWaiting() // and sleep on: many who ask must not make rounds come sooner
		case <-r.again:
			return
		case <-look:
			if now := stamps(r.sources); !sameStamps(now, r.seen) {
				r.seen = now
				r.hurry()
				return
			}
		}
	}
}

func (r *refresher) tellWaiting() {
	if asked := r.asked.Load(); asked != nil && !r.waiting && r.wanted.Load() {
		r.waiting = true
		r.event(Event{Kind: Waiting, Asked: *asked})
	}
}

func (r *refresher) tellGoing() {
	s := r.live.Load()
	if s == nil || !r.waiting {
		return
	}
	r.waiting = false
	r.event(Event{Kind: Going, Info: s.info()})
}

// stamp is what a file looks like from outside.
type stamp struct {
	path string
	time time.Time
	size int64 // -1 when there is no such file
}

func stamps(sources []Source) []stamp {
	var all []stamp
	for _, src := range sources {
		w, ok := src.(interface{ Files() []string })
		if !ok {
			continue
		}
		for _, path := range w.Files() {
			s := stamp{path: path, size: -1}
			if fi, err := os.Stat(path); err == nil {
				s.time, s.size = fi.ModTime(), fi.Size()
			}
			all = append(all, s)
		}
	}
	return all
}

func sameStamps(a, b []stamp) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].path != b[i].path || a[i].size != b[i].size || !a[i].time.Equal(b[i].time) {
			return false
		}
	}
	return true
}
