package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"agent/cmd/internal/gauge"
	"agent/cmd/internal/show"
	"agent/transfer"
	"agent/transfer/s3store"
)

// What is tried, in order.
var (
	benchLanes  = []int64{1, 2, 4, 8, 16, 32, benchMaxLanes}
	benchAtOnce = []int64{1, 4, 16, 64, benchMaxLanes * smallForLarge}
	benchSizes  = []int64{8 << 20, 16 << 20, 32 << 20, benchLargest}
)

// benchPart is the size of parts while lanes are counted; smaller ones, down to
// benchLeastPart, are for very slow links.
const (
	benchPart      = 16 << 20
	benchLargest   = 64 << 20
	benchLeastPart = 1 << 20
)

// More than benchFewLanes are only tried where each gets to move benchLeastLane in
// a step.
const (
	benchFewLanes  = 8
	benchLeastLane = 512 << 10
)

// Shares of --time.
const (
	timeLatency  = 0.04
	timeSmall    = 0.25
	timeLanes    = 0.50
	timeSizes    = 0.20
	timeDownload = 0.30 // on top, with --download
)

// benching is one run of bench.
type benching struct {
	*remote
	o       benchOptions
	objects *objectsSent
	line    *liveLine
	print   benchPrinter
	under   string         // keys below DEST begin so
	prefix  string         // those of this run
	lanes   *s3store.Store // with benchMaxLanes: steps use as many of them as they say
	// With the default settings: what they learn of parts is not of use for small
	// objects.
	auto, autoSmall *s3store.Store

	begun   time.Time
	moved   atomic.Int64 // bytes, both ways
	retries atomic.Int64
	waited  atomic.Bool // something was waited for: what was measured meanwhile says nothing
	found   benchFound
}

func newBenching(r *remote, o benchOptions, under, prefix string, line *liveLine) *benching {
	b := &benching{remote: r, o: o, under: under, prefix: prefix, objects: newObjectsSent(prefix), line: line}
	b.lanes, b.auto, b.autoSmall = b.storeFor(benchMaxLanes), b.storeFor(0), b.storeFor(0)
	return b
}

// event takes note of what disturbs a measurement.
func (b *benching) event(e transfer.Event) {
	switch e.Kind {
	case transfer.Retry:
		b.retries.Add(1)
	case transfer.Waiting:
		b.waited.Store(true)
	}
	b.remote.event(e)
}

// span is a share of --time.
func (b *benching) span(share float64) time.Duration {
	all := timeLatency + timeSmall + timeLanes + timeSizes
	if b.o.download {
		all += timeDownload
	}
	return time.Duration(float64(b.o.time) * share / all)
}

// measure measures everything. Small objects come first: their many requests
// open all lanes, which a store opens one by one, and take few bytes.
func (b *benching) measure(ctx context.Context) error {
	if err := b.print.start(); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{b.latency, b.small, b.large, b.sizes, b.fetch} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step is one measurement, for people.
type benchStep struct {
	name  string // "8 lanes"
	lanes int64
	size  int64
	time  time.Duration
	skip  float64
	move  gauge.Move
}

// disturbances is how often a step is made again because something was waited for.
const disturbances = 3

// shortSample is a sample that says little: --max-bytes ended its step.
const shortSample = 100 * time.Millisecond

// run makes a step, and makes it again when something was waited for in it.
func (b *benching) run(ctx context.Context, s benchStep) (benchSample, error) {
	for n := 1; ; n++ {
		if err := b.ready(ctx); err != nil {
			return benchSample{}, err
		}
		b.waited.Store(false)
		b.retries.Store(0)
		step := gauge.Step{Lanes: int(s.lanes), Size: s.size, Time: s.time, Skip: s.skip, MaxBytes: b.allowance(s.time), Progress: b.progress(s)}
		if s.size <= benchSmall { // these are counted, and done in a moment
			step.Least, step.Grace = 1, s.time/4
		}
		got, err := gauge.Run(ctx, step, s.move)
		b.moved.Add(got.Sent)
		if err != nil || !b.waited.Load() || n == disturbances {
			b.found.short = b.found.short || got.Took < s.time && got.Elapsed < shortSample
			return benchSample{got, b.retries.Load(), b.waited.Load()}, err
		}
	}
}

// ready returns when a request gets through: it waits for the store and for
// credentials as all requests do.
func (b *benching) ready(ctx context.Context) error {
	if b.begun.IsZero() {
		b.begun = time.Now()
	}
	return b.objects.put(b.lanes, benchSmalls)(ctx, 0, 1, func(int64) {})
}

// left is how many bytes may still be moved.
func (b *benching) left() int64 { return max(0, int64(b.o.maxBytes)-b.moved.Load()) }

// allowance is what a step of that length may move: its share of what is left.
func (b *benching) allowance(d time.Duration) int64 {
	rest := max(d, b.o.time-time.Since(b.begun))
	return max(1, int64(float64(b.left())*d.Seconds()/rest.Seconds()))
}

func (b *benching) progress(s benchStep) func(gauge.Sample) {
	if !b.line.on {
		return nil
	}
	return func(now gauge.Sample) {
		rate := show.Rate(now.Rate())
		if s.size <= benchSmall {
			rate = perSecond(now.ObjectRate())
		}
		b.line.draw(fmt.Sprintf("%s  %s  %s of about %s", s.name, rate, show.Duration(time.Since(b.begun)), show.Duration(b.o.time)))
	}
}

// Latencies that are taken, if there is time.
const (
	fewLatencies  = 5
	manyLatencies = 20
)

// latency takes the time of small objects, one after the other. The first one
// is not counted: it makes the connection.
func (b *benching) latency(ctx context.Context) error {
	if err := b.ready(ctx); err != nil {
		return err
	}
	put := b.objects.put(b.lanes, benchSmalls)
	until := time.Now().Add(b.span(timeLatency))
	for n := 0; n < fewLatencies || n < manyLatencies && time.Now().Before(until); n++ {
		b.waited.Store(false)
		began := time.Now()
		if err := put(ctx, 0, 1, func(int64) {}); err != nil {
			return err
		}
		if !b.waited.Load() {
			b.found.latency = append(b.found.latency, time.Since(began).Seconds())
		}
	}
	return b.print.latency(b.found.latency)
}

// small counts small objects a second with more and more requests at once.
func (b *benching) small(ctx context.Context) error {
	step := func(name string, n int64, store *s3store.Store) func(context.Context, time.Duration, float64) (benchSample, error) {
		return func(ctx context.Context, d time.Duration, skip float64) (benchSample, error) {
			return b.run(ctx, benchStep{name: name, lanes: n, size: benchSmall, time: d, skip: skip, move: b.objects.put(store, benchSmalls)})
		}
	}
	most := benchAtOnce[len(benchAtOnce)-1]
	c := climb{about: aboutSmall, ladder: benchAtOnce, time: b.span(timeSmall), auto: step("small files, automatic", most, b.autoSmall)}
	c.step = func(ctx context.Context, n int64, d time.Duration) (benchSample, error) {
		return step(fmt.Sprintf("small files, %d at once", n), n, b.lanes)(ctx, d, 0)
	}
	var err error
	b.found.SmallLanes = smallForLarge
	if b.found.Small, b.found.AutoSmall, err = b.climb(ctx, c); err != nil {
		return err
	}
	return b.print.small(b.found)
}
