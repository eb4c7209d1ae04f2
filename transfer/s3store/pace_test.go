package s3store

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// link is a network and a store as far as lanes see them.
type link struct {
	rate    float64       // bytes a second, of all connections
	perConn float64       // likewise, of one; 0: as fast as the link
	latency time.Duration // of a request, before and after its bytes
	most    int           // requests at once; more are refused. 0: without bound
	noise   float64       // share by which a moment's pace differs from the next
	flaky   float64       // share of requests that are refused without a reason

	mu     sync.Mutex
	rnd    *rand.Rand
	next   time.Time // when all that was let on has passed
	passed int64     // bytes
	done   int
	busy   int
	refuse int
	parts  []time.Duration
	seen   []int // lanes in use, at the start of each request
}

const piece = 64 << 10

// send passes n bytes and tells how it went.
func (k *link) send(n int64, moved func(int64)) (ok bool) {
	began := time.Now()
	k.mu.Lock()
	k.busy++
	k.seen = append(k.seen, k.busy)
	refused := k.most > 0 && k.busy > k.most || k.flaky > 0 && k.rnd.Float64() < k.flaky
	if refused {
		k.refuse++
	}
	k.mu.Unlock()
	time.Sleep(k.latency)
	if !refused {
		for left := n; left > 0; left -= piece {
			k.pass(min(left, piece), moved)
		}
		time.Sleep(k.latency)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy--
	if refused {
		return false
	}
	k.done++
	k.parts = append(k.parts, time.Since(began))
	return true
}

func (k *link) refusals() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.refuse
}

func (k *link) pass(n int64, moved func(int64)) {
	k.mu.Lock()
	now := time.Now()
	takes := float64(n) / k.rate * (1 + k.noise*(2*k.rnd.Float64()-1))
	if k.next.Before(now) {
		k.next = now
	}
	k.next = k.next.Add(time.Duration(takes * float64(time.Second)))
	until := k.next
	k.passed += n
	if k.perConn > 0 {
		if own := now.Add(time.Duration(float64(n) / k.perConn * float64(time.Second))); own.After(until) {
			until = own
		}
	}
	k.mu.Unlock()
	moved(n)
	time.Sleep(time.Until(until))
}

// course is one upload over a link that never ends, and what it was told.
type course struct {
	*link
	lanes *lanes
	told  []int
	stop  chan struct{}
	wg    sync.WaitGroup
}

// over starts so many senders of bodies of n bytes.
func over(k *link, senders int, n int64) *course {
	k.rnd = rand.New(rand.NewPCG(7, 7))
	c := &course{link: k, stop: make(chan struct{})}
	c.lanes = newLanes(0, func(n int, _ error) { c.told = append(c.told, n) })
	for range senders {
		c.wg.Go(func() { c.work(n) })
	}
	return c
}

func (c *course) work(n int64) {
	for {
		release, _ := c.lanes.acquire(context.Background(), n)
		for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
			began := time.Now()
			if c.send(n, func(n int64) { c.lanes.moved.Add(n) }) {
				c.lanes.succeeded()
				break
			}
			c.lanes.refused(began, nil)
			c.mu.Lock()
			d := time.Duration(float64(pause) * c.rnd.Float64())
			c.mu.Unlock()
			time.Sleep(d)
		}
		release()
		select {
		case <-c.stop:
			return
		default:
		}
	}
}

// said is what was told so far.
func (c *course) said() []int {
	c.lanes.mu.Lock()
	defer c.lanes.mu.Unlock()
	return slices.Clone(c.told)
}

func (c *course) end() {
	close(c.stop)
	c.wg.Wait()
}

// during lets d pass, and returns what it brought: bytes and requests a second,
// and the longest request that ended in it.
func (c *course) during(d time.Duration) (bytes, requests float64, longest time.Duration) {
	c.mu.Lock()
	passed, done, parts := c.passed, c.done, len(c.parts)
	c.mu.Unlock()
	time.Sleep(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.parts[parts:] {
		longest = max(longest, t)
	}
	return float64(c.passed-passed) / d.Seconds(), float64(c.done-done) / d.Seconds(), longest
}

const (
	mbit = 1e6 / 8 // bytes a second
	part = defaultPart
)

// TestPaceOfLinks: within seconds the lanes fill a link, whatever it is, and not
// many more are open than are of use.
func TestPaceOfLinks(t *testing.T) {
	for name, c := range map[string]struct {
		link      *link
		size      int64
		within    time.Duration
		share     float64 // of the link, from then on
		longest   time.Duration
		few, many int // lanes in the end
	}{
		"1 Mbit/s":                    {&link{rate: mbit, latency: 20 * time.Millisecond}, 5 << 20, time.Second, 0.95, 90 * time.Second, 1, 4}, // now and then two at once
		"10 Mbit/s":                   {&link{rate: 10 * mbit, latency: 25 * time.Millisecond}, unknownPart, 2 * time.Second, 0.97, 40 * time.Second, 2, 4},
		"10 Mbit/s, noisy":            {&link{rate: 10 * mbit, latency: 25 * time.Millisecond, noise: 0.5}, part, 2 * time.Second, 0.95, 40 * time.Second, 2, 4},
		"1 Gbit/s, 50 ms":             {&link{rate: 1000 * mbit, perConn: 500 * mbit, latency: 50 * time.Millisecond}, part, 4 * time.Second, 0.95, 20 * time.Second, 3, 10},
		"10 Gbit/s, 640 a connection": {&link{rate: 10_000 * mbit, perConn: 640 * mbit, latency: 25 * time.Millisecond}, part, 5 * time.Second, 0.90, 20 * time.Second, 16, 34},
		"10 Gbit/s, one fills it":     {&link{rate: 10_000 * mbit}, part, time.Second, 0.97, 20 * time.Second, 4, 8},
		"a busy machine":              {&link{rate: 4000 * mbit, noise: 0.4}, part, 2 * time.Second, 0.90, 20 * time.Second, 4, 12},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := over(c.link, 2*MaxLanes, c.size)
				_, _, early := r.during(c.within)
				rate, _, longest := r.during(2 * time.Minute)
				t.Logf("%.1f %% of the link, longest part %v, %d lanes, told %v", 100*rate/c.link.rate, longest.Round(time.Millisecond), r.lanes.open(), r.said())
				if rate < c.share*c.link.rate {
					t.Errorf("%.1f %% of the link from %v on", 100*rate/c.link.rate, c.within)
				}
				if max(early, longest) > c.longest {
					t.Errorf("a part took %v", longest)
				}
				if n := r.lanes.open(); n < c.few || n > c.many {
					t.Errorf("%d lanes in the end", n)
				}
				r.end()
			})
		})
	}
}

// TestPaceOfSmallObjects: latency alone holds them up, so all lanes open.
func TestPaceOfSmallObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := over(&link{rate: 1000 * mbit, latency: 25 * time.Millisecond}, 600, 4096)
		r.during(4 * time.Second)
		_, n, _ := r.during(20 * time.Second)
		most := float64(MaxLanes*smallPerLarge) / 0.05
		t.Logf("%.0f requests/s of %.0f, told %v", n, most, r.said())
		if n < 0.9*most {
			t.Errorf("%.0f requests a second, where %.0f can be", n, most)
		}
		r.end()
	})
}

// TestPaceBacksOff: a store that refuses more than so many requests at once is
// soon asked by as many, or a few less.
func TestPaceBacksOff(t *testing.T) {
	for _, most := range []int{1, 2, 6, 20, 50} {
		t.Run(strconv.Itoa(most), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &link{rate: 10_000 * mbit, perConn: 100 * mbit, latency: 10 * time.Millisecond, most: most}
				r := over(k, 2*MaxLanes, part)
				r.during(30 * time.Second)
				refused := k.refusals()
				rate, requests, _ := r.during(2 * time.Minute)
				can, again := min(float64(most)*k.perConn, k.rate), float64(k.refusals()-refused)
				t.Logf("%.0f %% of what they can do, %d lanes, %d refused before, then %.0f beside %.0f, told %v", 100*rate/can, r.lanes.open(), refused, again, 120*requests, r.said())
				if rate < 0.7*can || again > max(30, 0.05*120*requests) {
					t.Errorf("%.0f %% of what they can do, and %.0f requests were refused beside %.0f", 100*rate/can, again, 120*requests)
				}
				r.end()
			})
		})
	}
}

// TestPaceRecovers: a store that refuses everything for a while is asked by one
// request at a time, and by all that are of use soon after.
func TestPaceRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &link{rate: 1000 * mbit, perConn: 100 * mbit, latency: 25 * time.Millisecond}
		r := over(k, 2*MaxLanes, part)
		r.during(20 * time.Second)
		before := r.lanes.open()
		k.mu.Lock()
		k.flaky = 1
		k.mu.Unlock()
		r.during(20 * time.Second)
		if n := r.lanes.open(); n > 2 {
			t.Errorf("%d lanes while everything is refused", n)
		}
		k.mu.Lock()
		k.flaky = 0
		k.mu.Unlock()
		r.during(60 * time.Second)
		rate, _, _ := r.during(20 * time.Second)
		t.Logf("%d lanes before, %d after, told %v", before, r.lanes.open(), r.said())
		if rate < 0.85*k.rate {
			t.Errorf("%.0f %% of the link, a minute after it", 100*rate/k.rate)
		}
		r.end()
	})
}

// TestPaceOfFlakyStore: one refusal in a hundred is no reason to go slow.
func TestPaceOfFlakyStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &link{rate: 1000 * mbit, perConn: 100 * mbit, latency: 10 * time.Millisecond, flaky: 0.01}
		r := over(k, 600, 200_000)
		r.during(5 * time.Second)
		rate, _, _ := r.during(time.Minute)
		t.Logf("%.0f %%, told %v", 100*rate/k.rate, r.said())
		if rate < 0.85*k.rate {
			t.Errorf("%.0f %% of the link", 100*rate/k.rate)
		}
		r.end()
	})
}

// TestPaceFollowsTheLink: where it gets slower fewer parts are begun, and where
// it gets faster again the lanes open.
func TestPaceFollowsTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &link{rate: 1000 * mbit, perConn: 100 * mbit, latency: 25 * time.Millisecond}
		r := over(k, 2*MaxLanes, part)
		rates := func(rate, perConn float64) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.rate, k.perConn = rate, perConn
		}
		r.during(20 * time.Second)
		fast := r.lanes.open()
		rates(10*mbit, 10*mbit)
		r.during(5 * time.Minute) // what was under way ends
		rate, _, longest := r.during(5 * time.Minute)
		t.Logf("%d lanes, then %d: %.1f %% of the slow link, longest part %v", fast, r.lanes.open(), 100*rate/k.rate, longest)
		if rate < 0.97*k.rate || longest > 40*time.Second {
			t.Errorf("%.1f %% of the slow link, and a part took %v", 100*rate/k.rate, longest)
		}
		rates(1000*mbit, 100*mbit)
		r.during(45 * time.Second)
		rate, _, _ = r.during(time.Minute)
		t.Logf("then %d lanes: %.1f %%, told %v", r.lanes.open(), 100*rate/k.rate, r.said())
		if rate < 0.85*k.rate {
			t.Errorf("%.0f %% of the link when it is fast again", 100*rate/k.rate)
		}
		r.end()
	})
}

// TestPaceNeedsHunger: lanes that nobody waits for do not open.
func TestPaceNeedsHunger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := over(&link{rate: 1000 * mbit, perConn: 10 * mbit, latency: 25 * time.Millisecond}, 6, part)
		r.during(time.Minute)
		if n := r.lanes.open(); n < 4 || n > 8 {
			t.Errorf("%d lanes for six senders", n)
		}
		r.end()
	})
}
