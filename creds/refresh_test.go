package creds

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// giving is a fake source that gives these sets in turn, the last for ever.
func giving(name string, sets ...aws.Credentials) *fake {
	return &fake{name: name, give: func(_ context.Context, call int) (aws.Credentials, error) {
		return sets[min(call, len(sets))-1], nil
	}}
}

// own is a fake source for this very destination.
type own struct{ *fake }

func (own) Dedicated() bool { return true }

func refresh(t *testing.T, p *Provider, doubted, want string) {
	t.Helper()
	c, err := p.Another(t.Context(), doubted, false)
	if err != nil || c.AccessKeyID != want {
		t.Errorf("Another(%s) = %q, %v; want %q", doubted, c.AccessKeyID, err, want)
	}
}

func TestRefreshIsOneRoundForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{give: func(_ context.Context, call int) (aws.Credentials, error) {
			time.Sleep(3 * time.Second)
			return keys(fmt.Sprintf("K%d", call), time.Hour), nil
		}}
		p := New(Options{Sources: []Source{src}})
		defer p.Close()
		mustWait(t, p, "K1")
		time.Sleep(time.Minute)
		var all sync.WaitGroup
		for n := range 64 {
			all.Go(func() {
				time.Sleep(time.Duration(n) * 40 * time.Millisecond) // some come while the round is under way
				refresh(t, p, "K1", "K2")
			})
		}
		all.Wait()
		refresh(t, p, "K1", "K2") // and one comes late
		if n := src.calls.Load(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestRefreshWithoutANewerSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events told
		var down atomic.Bool
		a := keys("A", 24*time.Hour)
		src := &fake{name: "src", give: func(context.Context, int) (aws.Credentials, error) {
			if down.Load() {
				return aws.Credentials{}, errors.New("issuer is down")
			}
			return a, nil
		}}
		p := New(Options{Sources: []Source{src}, Event: events.take})
		defer p.Close()
		mustWait(t, p, "A")
		for range 8 {
			refresh(t, p, "A", "A")
			time.Sleep(7 * time.Second)
		}
		if n := src.calls.Load(); n != 2 {
			t.Errorf("asked %d times within a minute", n)
		}
		down.Store(true)
		time.Sleep(4 * time.Second)
		refresh(t, p, "A", "A")
		if n := src.calls.Load(); n != 3 {
			t.Errorf("asked %d times after a minute", n)
		}
		time.Sleep(time.Hour)
		if live(p) != "A" || src.calls.Load() != 3 || events.kinds() != "" {
			t.Errorf("live %q, %d calls, events %q: a doubt disturbed the live set", live(p), src.calls.Load(), events.kinds())
		}
	})
}

// What is denied to a key that a doubt has just brought is denied for good.
func TestRefreshLeavesANewKeyAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{give: func(_ context.Context, call int) (aws.Credentials, error) {
			return keys(fmt.Sprintf("K%d", call), time.Hour), nil
		}}
		p := New(Options{Sources: []Source{src}})
		defer p.Close()
		mustWait(t, p, "K1")
		began := time.Now()
		for time.Since(began) < 10*time.Minute { // every file is denied
			if _, err := p.Another(t.Context(), live(p), false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := src.calls.Load(); n < 10 || n > 12 {
			t.Errorf("asked %d times in ten minutes", n)
		}
	})
}

func TestRefreshOfAKeyThatIsNotLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := giving("src", keys("A", time.Hour), keys("B", time.Hour))
		p := New(Options{Sources: []Source{src}})
		defer p.Close()
		if _, err := p.Another(t.Context(), "A", false); !errors.Is(err, ErrNone) {
			t.Errorf("without a set: %v", err)
		}
		mustWait(t, p, "A")
		refresh(t, p, "OLD", "A")
		if n := src.calls.Load(); n != 1 {
			t.Errorf("asked %d times for a key that is not the live one", n)
		}
	})
}

func TestRefreshEndsWithContextAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{give: func(ctx context.Context, call int) (aws.Credentials, error) {
			if call > 1 {
				<-ctx.Done()
				return aws.Credentials{}, ctx.Err()
			}
			return keys("A", time.Hour), nil
		}}
		p := New(Options{Sources: []Source{src}})
		mustWait(t, p, "A")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Another(gone, "A", false); !errors.Is(err, ErrNone) || !errors.Is(err, context.Canceled) || src.calls.Load() != 1 {
			t.Errorf("a context that had ended: %v", err)
		}
		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := p.Another(short, "A", false); !errors.Is(err, ErrNone) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		go func() {
			time.Sleep(time.Second)
			p.Close()
		}()
		if _, err := p.Another(t.Context(), "A", false); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrNone) {
			t.Errorf("at Close: %v", err)
		}
		if _, err := p.Another(t.Context(), "A", false); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// A refusal while the doubt is looked into wins; whoever waits gets what is live then.
func TestInvalidateDuringRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events told
		a := keys("A", time.Hour)
		src := &fake{name: "src", give: func(_ context.Context, call int) (aws.Credentials, error) {
			time.Sleep(4 * time.Second)
			if call < 3 {
				return a, nil
			}
			return keys("B", time.Hour), nil
		}}
		p := New(Options{Sources: []Source{src}, Event: events.take})
		defer p.Close()
		mustWait(t, p, "A")
		go func() {
			time.Sleep(time.Second)
			refuse(p, "A", "the store said that the key is over")
		}()
		if c, err := p.Another(t.Context(), "A", false); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "was refused: the store said that the key is over") {
			t.Errorf("%q, %v", c.AccessKeyID, err)
		}
		mustWait(t, p, "B")
		synctest.Wait()
		if events.kinds() != "WG" {
			t.Errorf("events %q", events.kinds())
		}
		noSecret(t, &events)
	})
}

// Which later source steps in for a set that is doubted or due.
func TestLaterSources(t *testing.T) {
	const none = 0 // no known end
	for name, c := range map[string]struct {
		first, later time.Duration // lives
		dedicated    bool
		after        time.Duration
		doubt        bool
		want         string
		asked        int32 // how often the later source is
	}{
		"doubt, longer":       {time.Hour, 2 * time.Hour, true, time.Minute, true, "B", 1},
		"doubt, sooner":       {time.Hour, 59 * time.Minute, true, time.Minute, true, "A", 1},
		"doubt, for ever":     {time.Hour, none, true, time.Minute, true, "B", 1},
		"doubt, no known end": {none, time.Hour, true, time.Minute, true, "B", 1},
		"doubt, of others":    {time.Hour, 2 * time.Hour, false, time.Minute, true, "A", 0},
		"due, longer":         {time.Hour, 2 * time.Hour, true, 51 * time.Minute, false, "B", 1},
		"due, of others":      {time.Hour, 2 * time.Hour, false, 51 * time.Minute, false, "A", 0},
		"not due":             {time.Hour, 2 * time.Hour, true, 49 * time.Minute, false, "A", 0},
		"no known end":        {none, time.Hour, true, 24 * time.Hour, false, "A", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var events told
				later := giving("later", keys("B", c.later))
				sources := []Source{giving("first", keys("A", c.first)), later}
				if c.dedicated {
					sources[1] = own{later}
				}
				p := New(Options{Sources: sources, Event: events.take})
				defer p.Close()
				mustWait(t, p, "A")
				time.Sleep(c.after)
				if c.doubt {
					refresh(t, p, "A", c.want)
				}
				if live(p) != c.want || later.calls.Load() != c.asked || events.kinds() != "" {
					t.Errorf("live %q, the later source asked %d times, events %q", live(p), later.calls.Load(), events.kinds())
				}
			})
		})
	}
}

// Two sets that end one soon after the other must not take turns.
func TestNoFlipping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := giving("environment", keys("A", 59*time.Minute))
		later := giving("paste", keys("B", time.Hour))
		p := New(Options{Sources: []Source{first, own{later}}})
		defer p.Close()
		mustWait(t, p, "A")
		p.ServerTime(time.Now())
		time.Sleep(50 * time.Minute) // A is due
		for range 595 {
			if id := live(p); id != "B" {
				t.Fatalf("live %q", id)
			}
			time.Sleep(time.Second)
		}
		if n := first.calls.Load(); n > 20 {
			t.Errorf("asked %d times", n)
		}
	})
}

// Sets of ten seconds are refreshed after eight, and that is no failure.
func TestShortSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{give: func(_ context.Context, call int) (aws.Credentials, error) {
			return keys(fmt.Sprintf("K%d", call), 10*time.Second), nil
		}}
		p := New(Options{Sources: []Source{src}})
		defer p.Close()
		mustWait(t, p, "K1")
		p.ServerTime(time.Now())
		began := time.Now()
		for time.Since(began) < 3*time.Minute {
			if live(p) == "" {
				t.Fatalf("no live set after %v", time.Since(began))
			}
			time.Sleep(50 * time.Millisecond)
		}
		if n := src.calls.Load(); n < 20 || n > 180/8+1 {
			t.Errorf("asked %d times in three minutes", n)
		}
	})
}

// People see the present reason, and each reason once.
func TestWaitingIsToldAgainWhenTheReasonChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events told
		src := &fake{name: "src", give: func(_ context.Context, call int) (aws.Credentials, error) {
			switch {
			case call < 10:
				return aws.Credentials{}, fmt.Errorf("StatusCode: 401, RequestID: %d, log in again", call)
			case call < 20:
				return aws.Credentials{}, fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:80: reset", 40000+call)
			}
			return keys("A", time.Hour), nil
		}}
		p := New(Options{Sources: []Source{src}, Event: events.take})
		defer p.Close()
		mustWait(t, p, "A")
		synctest.Wait() // Going is told just after
		if events.kinds() != "WWG" {
			t.Fatalf("events %q", events.kinds())
		}
		if !strings.Contains(events.all[0].Asked.String(), "log in again") || !strings.Contains(events.all[1].Asked.String(), "reset") {
			t.Errorf("%v", events.all)
		}
		refuse(p, "A", "ExpiredToken")
		synctest.Wait()
		if events.kinds() != "WWG" {
			t.Error("told before anybody wants credentials")
		}
	})
}
