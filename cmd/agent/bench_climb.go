package main

import (
	"context"
	"errors"
	"time"

	"agent/cmd/internal/gauge"
	"agent/transfer"
)

// climb is a way up a ladder of numbers of something, until more brings nothing.
type climb struct {
	about  string
	ladder []int64
	time   time.Duration // for all of it
	step   func(ctx context.Context, n int64, d time.Duration) (benchSample, error)
	// least is how many bytes a lane is to move in a step: where it gets to move
	// fewer, buffers count for more than the link. 0 for no bound.
	least int64
	// auto measures the default settings, of which skip is for finding their way;
	// nil where there are none.
	auto func(ctx context.Context, d time.Duration, skip float64) (benchSample, error)
}

// moreSamples is how often what was measured is measured again, if there is time.
const moreSamples = 2

// learning is how many steps the default settings have at least for finding their
// way, before they are measured: in a transfer that is soon forgotten.
const learning = 5

// each is the time of a step: of the whole ladder, the default settings, and once
// more what matters.
func (c *climb) each() time.Duration {
	steps := len(c.ladder) + 3
	if c.auto != nil {
		steps += learning + 2
	}
	return c.time / time.Duration(steps)
}

// climb measures up the ladder, and then in turns again what was measured: links
// change within a minute.
func (b *benching) climb(ctx context.Context, c climb) (points []gauge.Point, auto gauge.Point, err error) {
	until, d := time.Now().Add(c.time), c.each()
	if points, err = b.sweep(ctx, &c, d); err != nil {
		return points, auto, err
	}
	learn := max(learning*d, time.Until(until)/2) // the ladder may not have been needed to its end
	if err = b.sampleAuto(ctx, &c, &auto, learn+d, float64(learn)/float64(learn+d)); err != nil {
		return points, auto, err
	}
	for round := range moreSamples {
		again := gauge.Worth(points)
		if round > 0 {
			again = again[:0]
			for i := range points {
				again = append(again, i)
			}
		}
		for _, i := range again {
			if b.left() == 0 || round > 0 && time.Until(until) < d {
				return points, auto, nil
			}
			if err = b.sample(ctx, &c, &points[i], d); err != nil {
				return points, auto, err
			}
		}
		if err = b.sampleAuto(ctx, &c, &auto, d, 0); err != nil {
			return points, auto, err
		}
	}
	return points, auto, nil
}

// sample adds one to a point.
func (b *benching) sample(ctx context.Context, c *climb, p *gauge.Point, d time.Duration) error {
	got, err := c.step(ctx, p.N, d)
	return b.add(c.about, p, got, err)
}

func (b *benching) sampleAuto(ctx context.Context, c *climb, p *gauge.Point, d time.Duration, skip float64) error {
	if c.auto == nil {
		return nil
	}
	got, err := c.auto(ctx, d, skip)
	return b.add(c.about, p, got, err)
}

func (b *benching) add(about string, p *gauge.Point, got benchSample, err error) error {
	if err != nil {
		return err
	}
	p.Samples = append(p.Samples, got.rate(about))
	b.found.disturbed(about, p.N, got)
	return nil
}

// sweep goes up the ladder once. An error about single objects ends it there: so
// many at once are too many for this store.
func (b *benching) sweep(ctx context.Context, c *climb, d time.Duration) ([]gauge.Point, error) {
	fits := func(points []gauge.Point, n int64) bool {
		if b.left() == 0 && len(points) > 0 {
			return false
		}
		return n <= benchFewLanes || gauge.Best(points)*d.Seconds() >= float64(n*c.least)
	}
	points, err := gauge.Sweep(ctx, c.ladder, fits, func(ctx context.Context, n int64) (float64, error) {
		p := gauge.Point{N: n}
		err := b.sample(ctx, c, &p, d)
		return p.Rate(), err
	})
	if err != nil && len(points) > 0 && ctx.Err() == nil && !transfer.Fatal(err) && !errors.Is(err, transfer.ErrStopped) {
		text, _ := explain(b.withoutOwnKey(err))
		b.say("note: no more than %d at once: %s", points[len(points)-1].N, text)
		err = nil
	}
	return points, err
}
