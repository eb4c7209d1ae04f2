// Package gauge measures how much a link carries with how many requests at
// once, and judges what came of it.
//
// It moves nothing itself and knows of no store: whoever measures hands it a
// Move. It says nothing to people either.
package gauge

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Move moves one object of size bytes for a lane, and tells of its bytes as they
// go: less than nothing where some have to be moved again. Lanes are numbered
// from 0; a lane moves one object at a time.
type Move func(ctx context.Context, lane int, size int64, moved func(n int64)) error

// Step is one measurement: so many lanes that move one object after the other.
type Step struct {
	Lanes    int
	Size     int64         // bytes of an object
	Time     time.Duration // all of it; up to four times that where Least takes so long
	Least    int           // objects that have to be done in the steady part; with 0 some bytes do
	MaxBytes int64         // ends it earlier; 0 for no bound
	// Skip is the part of the step that counts as ramp-up, from 0 to below 1:
	// connections are made, windows open, buffers fill. Default a third. Until all
	// lanes have begun, it is ramp-up too.
	Skip float64
	// Grace is how long what is in flight at the end may take to be done, before
	// it is cancelled; that costs its connection.
	Grace time.Duration
	// Progress is told how it goes, now and then; nil for nobody.
	Progress func(Sample)
}

// Sample is what a step came to in its steady part.
type Sample struct {
	Elapsed time.Duration
	Bytes   int64
	Objects int           // that ended in it
	Sent    int64         // bytes of the whole step, also of what was cut short
	Took    time.Duration // the whole step
}

// Rate is in bytes a second.
func (s Sample) Rate() float64 { return perSecond(float64(s.Bytes), s.Elapsed) }

// ObjectRate is in objects a second.
func (s Sample) ObjectRate() float64 { return perSecond(float64(s.Objects), s.Elapsed) }

func perSecond(n float64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return max(0, n/d.Seconds())
}

// tick is the time between two looks at the counters: short, since a bound on bytes
// ends a step of a fast link in no time. Every shown'th is told of.
const (
	tick  = 10 * time.Millisecond
	shown = 10
)

// look is what the counters were at a time since the step's beginning.
type look struct {
	at      time.Duration
	bytes   int64
	objects int64
	lanes   int64 // that have begun
}

// Run makes a step. What is in flight at its end is cancelled, and has ended when
// Run returns. The first error of a Move ends the step.
//
// Bytes are counted as they leave, not when an object is done: on a slow link no
// object is done in a few seconds. Over the steady part that comes to the same,
// since what is on its way then is as much at its beginning as at its end.
func Run(ctx context.Context, s Step, move Move) (Sample, error) {
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	c := counters{lanes: make([]atomic.Bool, s.Lanes)}
	over := make(chan struct{})
	g, work := errgroup.WithContext(stop)
	for lane := range s.Lanes {
		g.Go(func() error {
			err := c.lane(work, over, lane, &s, move)
			if stop.Err() != nil && ctx.Err() == nil {
				return nil // it was cut short because the step is over
			}
			return err
		})
	}
	looks := c.watch(work, &s)
	close(over)
	grace := time.AfterFunc(s.Grace, cancel)
	defer grace.Stop()
	err := g.Wait()
	if err == nil {
		err = ctx.Err() // all may have been done just then
	}
	sample := steady(looks, s.skip())
	sample.Sent = c.sent.Load()
	return sample, err
}

// counters are what a step has moved so far.
type counters struct {
	bytes, sent, objects, begun atomic.Int64
	lanes                       []atomic.Bool // that have begun
}

// lane moves objects until the step is over.
func (c *counters) lane(ctx context.Context, over <-chan struct{}, lane int, s *Step, move Move) error {
	moved := func(n int64) {
		c.bytes.Add(n)
		c.sent.Add(max(0, n))
		if !c.lanes[lane].Swap(true) {
			c.begun.Add(1)
		}
	}
	// The first object of each lane has another size: else all lanes would wait
	// for their answers at the same time, again and again.
	for size := first(s.Size, lane, s.Lanes); ; size = s.Size {
		select {
		case <-over:
			return nil
		default:
		}
		if err := move(ctx, lane, size, moved); err != nil {
			return err
		}
		c.objects.Add(1)
	}
}

// first is the size of a lane's first object: from a part of the full size up
// to all of it.
func first(size int64, lane, lanes int) int64 {
	return max(1, size/int64(lanes)*int64(lane+1))
}

func (s *Step) skip() float64 {
	if s.Skip <= 0 || s.Skip >= 1 {
		return 1. / 3
	}
	return s.Skip
}

// watch looks at the counters until the step is over.
func (c *counters) watch(ctx context.Context, s *Step) []look {
	began := time.Now()
	t := time.NewTicker(tick)
	defer t.Stop()
	looks := []look{{}}
	for {
		select {
		case <-ctx.Done():
			return looks
		case <-t.C:
		}
		l := look{time.Since(began), c.bytes.Load(), c.objects.Load(), c.begun.Load()}
		looks = append(looks, l)
		if s.Progress != nil && len(looks)%shown == 0 {
			s.Progress(recent(looks))
		}
		if l.at >= s.Time && s.says(looks) || s.MaxBytes > 0 && c.sent.Load() >= s.MaxBytes {
			return looks
		}
	}
}

// patience is how many times its time a step may take to say something.
const patience = 4

// says reports that a step has come to something, or never will.
func (s *Step) says(looks []look) bool {
	got := steady(looks, s.skip())
	return got.Bytes > 0 && got.Objects >= s.Least || got.Took >= patience*s.Time
}

// recent is the last second, or what there is of it.
func recent(looks []look) Sample {
	last := looks[len(looks)-1]
	from := last
	for i := len(looks) - 1; i >= 0 && last.at-looks[i].at <= time.Second; i-- {
		from = looks[i]
	}
	return between(from, last)
}

// latest is the part of a step from which on it is measured in any case: with
// the default settings not all lanes ever begin.
const latest = 0.6

// fewest looks apart are the ends of what is measured: over less, it is chance
// whether anything was moved at all.
const fewest = 5

// steady is what was moved after the ramp-up; in a very short step, in some of it.
func steady(looks []look, skip float64) Sample {
	last := looks[len(looks)-1]
	from := looks[0]
	for _, l := range looks[:max(1, len(looks)-fewest)] {
		from = l
		if share := float64(l.at) / max(1, float64(last.at)); share >= skip && (l.lanes == last.lanes || share >= max(skip, latest)) {
			break
		}
	}
	return between(from, last)
}

func between(from, to look) Sample {
	return Sample{Elapsed: to.at - from.at, Bytes: to.bytes - from.bytes, Objects: int(to.objects - from.objects), Took: to.at}
}
