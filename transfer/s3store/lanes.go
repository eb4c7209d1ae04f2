package s3store

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// A small request takes one unit of the lanes, a large one smallPerLarge: on a
// link with latency, small objects need many requests at once and little
// memory, large parts the opposite.
const (
	smallPerLarge = 4
	smallSize     = 256 << 10 // bytes
)

// widenEvery is how long a full set of lanes waits before another one opens
// although nothing was finished: on a slow link one part takes minutes.
const widenEvery = time.Second

// lanes bound how many requests with a body are made at once. They open one by
// one, as requests succeed: on a link that one lane fills, parts then finish one
// after the other instead of all at the end, and an early crash costs less.
type lanes struct {
	sem      *semaphore.Weighted
	withheld atomic.Int64 // units not opened yet
	widened  atomic.Int64 // when that was last changed for want of success, Unix ns
}

func newLanes(large int) *lanes {
	l := &lanes{sem: semaphore.NewWeighted(int64(large) * smallPerLarge)}
	l.withheld.Store(int64(large-1) * smallPerLarge)
	l.sem.TryAcquire(l.withheld.Load())
	l.widened.Store(time.Now().UnixNano())
	return l
}

// acquire takes the lane of a request with a body of n bytes.
func (l *lanes) acquire(ctx context.Context, n int64) (release func(), _ error) {
	units := int64(smallPerLarge)
	if n <= smallSize {
		units = 1
	}
	for {
		err := l.try(ctx, units)
		if err == nil {
			return func() { l.sem.Release(units) }, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		now, last := time.Now().UnixNano(), l.widened.Load()
		if now-last >= int64(widenEvery) && l.widened.CompareAndSwap(last, now) {
			l.widen()
		}
	}
}

// try waits for units, but not for long while lanes could be opened instead.
func (l *lanes) try(ctx context.Context, units int64) error {
	if l.withheld.Load() > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, widenEvery)
		defer cancel()
	}
	return l.sem.Acquire(ctx, units)
}

// widen opens another large lane, if one is left.
func (l *lanes) widen() {
	for {
		n := l.withheld.Load()
		if n == 0 {
			return
		}
		if l.withheld.CompareAndSwap(n, n-smallPerLarge) {
			l.sem.Release(smallPerLarge)
			return
		}
	}
}
