package s3store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
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
//
// A fixed number opens to the last. An automatic one is set by pace, which is
// told what happens while lanes are in use. Lanes that close while they are in
// use are not handed out again; nothing is cut off.
type lanes struct {
	moved atomic.Int64 // bytes, so far

	mu    sync.Mutex
	most  int   // large lanes
	limit int   // units that may be out
	out   int   // units
	busy  int   // requests
	big   int   // large ones among them
	load  int64 // their bytes
	queue []*waiting
	timer *time.Timer // set while there is something to look at
	armed bool

	pace  *pace                      // nil where the number is fixed
	tell  func(lanes int, why error) // it has settled, or backed off; called under mu
	told  int
	since struct { // the beginning of the window
		at    time.Time
		moved int64
		big   int
	}
	now struct { // the window
		done, refused int
		beside        int   // refused, too, while requests of before were under way
		why           error // of a refusal
	}
}

// waiting is a request that waits for its lane.
type waiting struct {
	units int
	size  int64
	ready chan struct{} // closed when it has it
}

// newLanes makes so many large lanes; 0 is automatic.
func newLanes(large int, tell func(lanes int, why error)) *lanes {
	l := &lanes{most: large, limit: smallPerLarge, tell: tell}
	if large <= 0 {
		l.most, l.pace = MaxLanes, newPace()
	}
	return l
}

// bound keeps an automatic number at n or below; 0 is no bound.
func (l *lanes) bound(n int) {
	if l.pace != nil && n > 0 {
		l.most = min(l.most, n)
		l.pace.most = l.most
	}
}

// acquire takes the lane of a request with a body of n bytes.
func (l *lanes) acquire(ctx context.Context, n int64) (release func(), _ error) {
	w := &waiting{units: smallPerLarge, size: n}
	if n <= smallSize {
		w.units = 1
	}
	l.mu.Lock()
	if len(l.queue) == 0 && l.fits(w) {
		l.take(w)
		l.mu.Unlock()
		return func() { l.release(w) }, nil
	}
	w.ready = make(chan struct{})
	l.queue = append(l.queue, w)
	l.arm()
	l.mu.Unlock()
	select {
	case <-w.ready:
		return func() { l.release(w) }, nil
	case <-ctx.Done():
		l.leave(w)
		return nil, context.Cause(ctx)
	}
}

// fits is called under mu, as are all that take no lock themselves.
func (l *lanes) fits(w *waiting) bool {
	return l.out+w.units <= l.limit && l.roomFor(w)
}

// roomFor reports whether another large request would end in good time.
func (l *lanes) roomFor(w *waiting) bool {
	return l.pace == nil || w.units == 1 || l.pace.room.takes(l.big, l.load, w.size)
}

func (l *lanes) take(w *waiting) {
	l.out += w.units
	l.busy++
	if w.units == smallPerLarge {
		l.big++
		l.load += w.size
	}
	l.arm()
}

// grant hands out what is free, first come first served: a large request is not
// passed by small ones for ever.
func (l *lanes) grant() {
	n := 0
	for ; n < len(l.queue) && l.fits(l.queue[n]); n++ {
		l.take(l.queue[n])
		close(l.queue[n].ready)
		l.queue[n] = nil
	}
	l.queue = l.queue[n:]
}

func (l *lanes) release(w *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out -= w.units
	l.busy--
	if w.units == smallPerLarge {
		l.big--
		l.load -= w.size
	}
	l.grant()
}

// leave takes back a request that waits no longer, and the lane that it was
// given meanwhile.
func (l *lanes) leave(w *waiting) {
	l.mu.Lock()
	for i, q := range l.queue {
		if q == w {
			l.queue = append(l.queue[:i:i], l.queue[i+1:]...)
			l.grant() // it may have been in the way of others
			l.mu.Unlock()
			return
		}
	}
	l.mu.Unlock()
	l.release(w)
}

// arm has tick called soon, as long as there is something to look at.
func (l *lanes) arm() {
	every := widenEvery
	if l.pace != nil {
		every = windowLeast
	} else if len(l.queue) == 0 || l.limit == l.most*smallPerLarge {
		return
	}
	if l.armed {
		return
	}
	l.armed = true
	if l.pace != nil {
		l.begin()
	}
	if l.timer == nil {
		l.timer = time.AfterFunc(every, l.tick)
		return
	}
	l.timer.Reset(every)
}

func (l *lanes) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pace == nil {
		l.armed = false
		l.set(l.limit/smallPerLarge + 1)
		l.arm()
		return
	}
	if l.busy == 0 && len(l.queue) == 0 {
		l.armed = false
		return
	}
	now := time.Now()
	w := window{took: now.Sub(l.since.at), bytes: l.moved.Load() - l.since.moved, done: l.now.done,
		large: l.big, begun: l.big - l.since.big, refused: l.now.refused, excess: l.out > l.limit}
	if len(l.queue) > 0 {
		w.cramped = !l.roomFor(l.queue[0])
		w.hungry = !w.cramped // the number of lanes is what it waits for
	}
	if w.over(l.busy) {
		if w.done == 0 && w.bytes <= 0 { // there are more than there should be, but none fares better
			w.refused += l.now.beside
		}
		l.follow(l.pace.took(now, w))
		l.begin()
	}
	l.grant() // there may be more room for bytes
	l.timer.Reset(windowLeast)
}

// follow does what the pace says, and tells what people may want to know.
func (l *lanes) follow(v verdict) {
	before := l.limit / smallPerLarge
	l.set(l.pace.level)
	switch n := l.pace.level; {
	case v == backed && n < before:
		l.told = n
		l.tell(n, l.now.why)
	case v == settled && 4*max(l.told-n, n-l.told) > l.told:
		l.told = n
		l.tell(n, nil)
	}
}

// begin begins a window.
func (l *lanes) begin() {
	l.since.at, l.since.moved, l.since.big = time.Now(), l.moved.Load(), l.big
	l.now.done, l.now.refused, l.now.beside, l.now.why = 0, 0, 0, nil
}

// set opens so many large lanes, within bounds.
func (l *lanes) set(large int) {
	l.limit = min(max(large, 1), l.most) * smallPerLarge
	l.grant()
}

// succeeded takes note of a request that went well. Each opens another lane,
// where the number is fixed, until all are open.
func (l *lanes) succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pace == nil {
		l.set(l.limit/smallPerLarge + 1)
		return
	}
	l.now.done++
	l.pace.succeeded()
	l.set(l.pace.level)
}

// refused takes note of an attempt, begun at that time, which failed as if there
// were too many of its kind. Those that began before lanes were closed last tell
// nothing new.
func (l *lanes) refused(began time.Time, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.pace == nil || began.Before(l.pace.backed):
		return
	case l.out > l.limit:
		l.now.beside++
	default:
		l.now.refused++
	}
	l.now.why = why
}

// open is how many large requests may be made at once just now.
func (l *lanes) open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit / smallPerLarge
}

// link is the measured rate, in bytes a second; 0 where it is not known.
func (l *lanes) link() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pace == nil {
		return 0
	}
	return l.pace.room.link
}
