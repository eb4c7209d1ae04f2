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
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// planted is in every secret of these tests, and must be in no text.
const planted = "PLANTED"

// fake is a source that says what it is told to.
type fake struct {
	name  string
	calls atomic.Int32
	give  func(ctx context.Context, call int) (aws.Credentials, error)
}

func (f *fake) String() string { return f.name }

func (f *fake) Retrieve(ctx context.Context) (aws.Credentials, error) {
	return f.give(ctx, int(f.calls.Add(1)))
}

func keys(id string, life time.Duration) aws.Credentials {
	c := aws.Credentials{AccessKeyID: id, SecretAccessKey: planted + id, SessionToken: planted + "-token"}
	if life != 0 {
		c.CanExpire, c.Expires = true, time.Now().Add(life)
	}
	return c
}

// told collects events.
type told struct {
	mu  sync.Mutex
	all []Event
}

func (t *told) take(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, e)
}

func (t *told) kinds() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, e := range t.all {
		b.WriteString(map[Kind]string{Waiting: "W", Going: "G"}[e.Kind])
	}
	return b.String()
}

func mustWait(t *testing.T, p *Provider, id string) {
	t.Helper()
	c, err := p.Wait(t.Context())
	if err != nil || c.AccessKeyID != id {
		t.Fatalf("Wait = %q, %v; want %q", c.AccessKeyID, err, id)
	}
}

// refuse gives back the live set if it has that key, else one that a fake source
// gave.
func refuse(p *Provider, id, why string) {
	c := keys(id, 0)
	if s := p.live.Load(); s != nil && s.AccessKeyID == id {
		c = s.Credentials
	}
	p.Invalidate(c, why)
}

func live(p *Provider) string {
	c, err := p.Retrieve(context.Background())
	if err != nil {
		return ""
	}
	return c.AccessKeyID
}

func TestOneRoundForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{give: func(context.Context, int) (aws.Credentials, error) {
			time.Sleep(3 * time.Second)
			return keys("A", time.Hour), nil
		}}
		p := New(Options{Sources: []Source{src}})
		defer p.Close()
		time.Sleep(time.Hour)
		if n := src.calls.Load(); n != 0 {
			t.Fatalf("asked %d times before anybody wanted credentials", n)
		}
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() { mustWait(t, p, "A") })
		}
		all.Wait()
		if n := src.calls.Load(); n != 1 {
			t.Errorf("asked %d times for 64 waiters", n)
		}
	})
}

func TestRefreshAheadAndOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events told
		var up atomic.Bool
		src := &fake{name: "src", give: func(_ context.Context, call int) (aws.Credentials, error) {
			if call == 1 {
				return keys("A", time.Hour), nil
			}
			if !up.Load() {
				return aws.Credentials{}, errors.New("issuer is down")
			}
			return keys("B", time.Hour), nil
		}}
		p := New(Options{Sources: []Source{src}, Event: events.take})
		defer p.Close()
		mustWait(t, p, "A")
		time.Sleep(49 * time.Minute)
		if n := src.calls.Load(); n != 1 {
			t.Errorf("asked %d times within 49 min", n)
		}
		time.Sleep(5 * time.Minute)
		if live(p) != "A" || events.kinds() != "" || src.calls.Load() < 4 {
			t.Errorf("live %q, events %q, asked %d; a failed refresh must disturb nobody", live(p), events.kinds(), src.calls.Load())
		}
		if n := src.calls.Load(); n > 15 {
			t.Errorf("asked %d times in four minutes while the set lived", n)
		}
		up.Store(true)
		time.Sleep(2 * time.Minute)
		if live(p) != "B" || events.kinds() != "" {
			t.Errorf("live %q, events %q", live(p), events.kinds())
		}
	})
}

func TestExpiryWaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events told
		src := &fake{name: "issuer", give: func(_ context.Context, call int) (aws.Credentials, error) {
			if call == 1 {
				return keys("AKIDAKIDAKID", 5*time.Minute), nil
			}
			if time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) < 20*time.Minute {
				return aws.Credentials{}, errors.New("log in again")
			}
			return keys("B", time.Hour), nil
		}}
		p := New(Options{Sources: []Source{src}, Event: events.take})
		defer p.Close()
		mustWait(t, p, "AKIDAKIDAKID")
		p.ServerTime(time.Now())
		time.Sleep(5 * time.Minute)
		if _, err := p.Retrieve(t.Context()); !errors.Is(err, ErrNone) {
			t.Fatalf("after its time: %v", err)
		}
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := p.Wait(short)
		if !errors.Is(err, ErrNone) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "issuer: log in again") {
			t.Errorf("a wait that ended early: %v", err)
		}
		for range 8 {
			go func() { _, _ = p.Wait(t.Context()) }()
		}
		mustWait(t, p, "B")
		synctest.Wait() // Going is told just after
		if events.kinds() != "WG" {
			t.Errorf("events %q, want WG", events.kinds())
		}
		if n := src.calls.Load(); n > 110 {
			t.Errorf("asked %d times in fifteen minutes", n)
		}
		noSecret(t, &events, err)
	})
}

func TestBeforeTheServerIsHeardALocalClockDecidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{give: func(context.Context, int) (aws.Credentials, error) {
			return keys("A", -time.Hour), nil // over, if our clock is right
		}}
		p := New(Options{Sources: []Source{src}})
		defer p.Close()
		mustWait(t, p, "A")
		p.ServerTime(time.Now().Add(-24 * time.Hour))
		mustWait(t, p, "A")
		p.ServerTime(time.Now())
		if _, err := p.Retrieve(t.Context()); !errors.Is(err, ErrNone) {
			t.Errorf("the server's clock says that it is over: %v", err)
		}
	})
}

func noSecret(t *testing.T, events *told, errs ...error) {
	t.Helper()
	if text := fmt.Sprintf("%+v %v", events.all, errs); strings.Contains(text, planted) {
		t.Errorf("a secret is shown: %s", text)
	}
}

func TestInvalidateBeatsRefreshInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events told
		src := &fake{name: "slow", give: func(_ context.Context, call int) (aws.Credentials, error) {
			time.Sleep(10 * time.Second) // the answer is ready when it is asked for, and slow to arrive
			if call < 4 {
				return keys("A", 0), nil
			}
			return keys("B", 0), nil
		}}
		p := New(Options{Sources: []Source{src}, Event: events.take})
		defer p.Close()
		mustWait(t, p, "A")
		refuse(p, "A", "ExpiredToken")
		if live(p) != "" {
			t.Fatal("a refused set is offered")
		}
		time.Sleep(2 * time.Second) // a round is under way
		for range 64 {
			refuse(p, "A", "ExpiredToken") // late answers to requests in flight
		}
		mustWait(t, p, "B")
		refuse(p, "A", "ExpiredToken")
		if live(p) != "B" {
			t.Error("a late refusal of the old key drops the new set")
		}
		synctest.Wait()
		if events.kinds() != "WGWWG" || src.calls.Load() != 4 {
			t.Fatalf("events %q, %d calls", events.kinds(), src.calls.Load())
		}
		for i, want := range map[int]string{0: "slow: has not answered yet", 2: "slow: has not answered yet", 3: "was refused: ExpiredToken"} {
			if said := events.all[i].Asked.String(); !strings.Contains(said, want) {
				t.Errorf("waiting says %q, want %q", said, want)
			}
		}
	})
}

// A refresh ahead of expiry that began before the refusal must not bring the
// refused set back, whatever expiry it now claims.
func TestInvalidateDuringRefreshAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{give: func(_ context.Context, call int) (aws.Credentials, error) {
			c := keys("A", time.Hour)
			if call > 1 {
				time.Sleep(20 * time.Second)
			}
			return c, nil
		}}
		p := New(Options{Sources: []Source{src}})
		defer p.Close()
		mustWait(t, p, "A")
		time.Sleep(50*time.Minute + 5*time.Second)
		if src.calls.Load() != 2 {
			t.Fatalf("no refresh is under way: %d", src.calls.Load())
		}
		refuse(p, "A", "InvalidToken")
		time.Sleep(time.Hour)
		if live(p) != "" {
			t.Error("the refused set is back")
		}
	})
}

func TestMendedTokenIsAnotherSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{give: func(_ context.Context, call int) (aws.Credentials, error) {
			c := keys("A", 0)
			if call > 2 {
				c.SessionToken += "-whole"
			}
			return c, nil
		}}
		p := New(Options{Sources: []Source{src}})
		defer p.Close()
		mustWait(t, p, "A")
		refuse(p, "A", "InvalidToken")
		c, err := p.Wait(t.Context())
		if err != nil || !strings.HasSuffix(c.SessionToken, "-whole") {
			t.Errorf("got %v", err)
		}
	})
}

func TestQuickRefusalsAreSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fake{give: func(_ context.Context, call int) (aws.Credentials, error) {
			return keys(fmt.Sprintf("KEY%d", call), time.Hour), nil
		}}
		p := New(Options{Sources: []Source{src}})
		defer p.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		for {
			c, err := p.Wait(ctx)
			if err != nil {
				break
			}
			refuse(p, c.AccessKeyID, "InvalidAccessKeyId")
		}
		if n := src.calls.Load(); n < 30 || n > 70 {
			t.Errorf("asked %d times in ten minutes", n)
		}
	})
}

func TestServerClockAndSleepingLaptop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var jump atomic.Int64 // what the wall clock gained while timers stood still
		src := &fake{give: func(_ context.Context, call int) (aws.Credentials, error) {
			return keys(fmt.Sprintf("K%d", call), time.Hour+time.Duration(jump.Load())), nil
		}}
		p := New(Options{Sources: []Source{src}, Clock: func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }})
		defer p.Close()
		mustWait(t, p, "K1")
		p.ServerTime(time.Now().Add(-30 * time.Minute)) // this machine is 30 min fast
		time.Sleep(61 * time.Minute)
		if live(p) != "K1" || src.calls.Load() != 1 {
			t.Errorf("%q after %d calls: the server has half an hour left", live(p), src.calls.Load())
		}
		p.ServerTime(time.Now().Add(2 * time.Hour))
		if live(p) != "" {
			t.Error("a set that the server's clock has ended is offered")
		}
		p.ServerTime(time.Now())
		mustWait(t, p, "K2")

		jump.Store(int64(55 * time.Minute)) // sleeps, and wakes with five minutes left
		time.Sleep(31 * time.Second)
		if live(p) != "K3" {
			t.Errorf("live %q: the wall clock was not looked at", live(p))
		}
		jump.Add(int64(3 * time.Hour))
		if live(p) != "" {
			t.Error("a set that ended in the laptop's sleep is offered")
		}
		mustWait(t, p, "K4")
	})
}

func TestOrderOfSourcesAndInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := &fake{name: "one", give: func(context.Context, int) (aws.Credentials, error) { return keys("ASIAEXAMPLEWXYZ", time.Hour), nil }}
		two := &fake{name: "two", give: func(context.Context, int) (aws.Credentials, error) { return keys("B", 0), nil }}
		p := New(Options{Sources: []Source{one, two}})
		mustWait(t, p, "ASIAEXAMPLEWXYZ")
		if i, ok := p.Info(); !ok || i.Source != "one" || i.Key != "ASIA…WXYZ" || i.Expires.IsZero() {
			t.Errorf("Info = %+v", i)
		}
		time.Sleep(51 * time.Minute) // refreshing ahead; the first still lives, and keeps its turn
		if two.calls.Load() != 0 {
			t.Error("the second was asked while the first lived")
		}
		refuse(p, "ASIAEXAMPLEWXYZ", "ExpiredToken")
		mustWait(t, p, "B")
		if i, _ := p.Info(); !i.Expires.IsZero() {
			t.Error("a set without an end has one")
		}
		go func() {
			time.Sleep(time.Second)
			p.Close()
		}()
		refuse(p, "B", "ExpiredToken")
		if _, err := p.Wait(t.Context()); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrNone) {
			t.Errorf("Wait at Close: %v", err)
		}
	})
}
