package s3store

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRoomOfSlowConnections: where a connection takes longer for a part than it
// should, but the link could do much more, as many go as fill it. And lanes that
// close only as such parts end are not taken for of no use meanwhile.
func TestRoomOfSlowConnections(t *testing.T) {
	for name, c := range map[string]struct {
		rate, perConn float64
		size          int64
	}{
		"100 Mbit/s, 8 a connection":    {100 * mbit, 8 * mbit, unknownPart},
		"100 Mbit/s, 4 a connection":    {100 * mbit, 4 * mbit, unknownPart},
		"100 Mbit/s, 4, ranges":         {100 * mbit, 4 * mbit, part},
		"100 Mbit/s, 2 a connection":    {100 * mbit, 2 * mbit, unknownPart},
		"50 Mbit/s, 1 a connection":     {50 * mbit, 1 * mbit, MinPartSize},
		"1 Gbit/s, 20, a file of 1 TiB": {1000 * mbit, 20 * mbit, 106 << 20},
		"1 Gbit/s, 25, parts of 64 MiB": {1000 * mbit, 25 * mbit, 64 << 20},
		"1 Gbit/s, 80, a file of 5 TiB": {1000 * mbit, 80 * mbit, 525 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := over(&link{rate: c.rate, perConn: c.perConn, latency: 100 * time.Millisecond}, 2*MaxLanes, c.size)
				r.during(3 * time.Minute) // up to six tries, each of a part's time
				rate, _, _ := r.during(5 * time.Minute)
				t.Logf("%.1f %% of the link, %d lanes, told %v", 100*rate/c.rate, r.lanes.open(), r.said())
				if rate < 0.95*c.rate {
					t.Errorf("%.1f %% of the link", 100*rate/c.rate)
				}
				r.end()
			})
		})
	}
}

// TestRoomIsGivenUp: where the link gets so slow that each connection fills a good
// part of it, the bytes under way are few again.
func TestRoomIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &link{rate: 100 * mbit, perConn: 4 * mbit, latency: 100 * time.Millisecond}
		r := over(k, 2*MaxLanes, unknownPart)
		r.during(2 * time.Minute)
		k.mu.Lock()
		k.rate = 5 * mbit
		k.mu.Unlock()
		r.during(20 * time.Minute) // what was under way ends, 64 parts at worst
		rate, _, longest := r.during(5 * time.Minute)
		t.Logf("%.1f %% of the slow link, longest part %v", 100*rate/k.rate, longest)
		if rate < 0.95*k.rate || longest > 60*time.Second {
			t.Errorf("%.1f %% of the slow link, and a part took %v", 100*rate/k.rate, longest)
		}
		r.end()
	})
}

// TestRoomIsNoneTheMore: a link that a few parts fill has room for no more of them,
// however often it is tried, and those that were tried stay far apart.
func TestRoomIsNoneTheMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &link{rate: mbit, latency: 20 * time.Millisecond, noise: 0.5}
		r := over(k, 2*MaxLanes, MinPartSize)
		r.during(time.Hour)
		r.end()
		crowded := 0
		for _, n := range k.seen {
			if n > 2 {
				t.Errorf("%d parts at once", n)
			}
			crowded += n - 1
		}
		t.Logf("%d of %d parts beside another", crowded, len(k.seen))
		if crowded > len(k.seen)/4 {
			t.Errorf("%d of %d parts beside another", crowded, len(k.seen))
		}
	})
}
