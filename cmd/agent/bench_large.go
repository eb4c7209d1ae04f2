package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"agent/cmd/internal/gauge"
	"agent/transfer"
	"agent/transfer/s3store"
)

// lanesName writes "1 lane", "2 lanes".
func lanesName(n int64) string {
	if n == 1 {
		return "1 lane"
	}
	return fmt.Sprintf("%d lanes", n)
}

// upload is a step of parts by so many lanes of a store.
func (b *benching) upload(ctx context.Context, name string, store *s3store.Store, lanes, size int64, d time.Duration, skip float64) (benchSample, error) {
	return b.run(ctx, benchStep{name: name, lanes: lanes, size: size, time: d, skip: skip, move: b.objects.put(store, benchParts)})
}

// large finds how many lanes the link needs, and what the default settings make
// of it.
func (b *benching) large(ctx context.Context) error {
	c := climb{about: aboutUpload, ladder: benchLanes, time: b.span(timeLanes), least: benchLeastLane}
	d := c.each()
	err := b.partFor(ctx, d)
	if err != nil {
		return err
	}
	c.time -= d
	c.step = func(ctx context.Context, n int64, d time.Duration) (benchSample, error) {
		return b.upload(ctx, "upload, "+lanesName(n), b.lanes, n, b.found.Part, d, 0)
	}
	c.auto = b.automatic
	if b.found.Lanes, b.found.Auto, err = b.climb(ctx, c); err != nil {
		return err
	}
	return b.print.large(b.found)
}

// slowPart is how many steps a part may take: few enough for buffers not to
// matter. It need not be done within one, since bytes are counted; and with small
// parts more lanes would seem to be needed than large ones need.
const slowPart = 4

// partFor finds the size of parts while lanes are counted.
func (b *benching) partFor(ctx context.Context, d time.Duration) error {
	got, err := b.upload(ctx, "upload, a first look", b.lanes, 1, benchPart, d, 0)
	b.found.Part = benchPart
	for b.found.Part > benchLeastPart && float64(b.found.Part) > slowPart*got.Rate()*d.Seconds() {
		b.found.Part /= 2
	}
	return err
}

// automaticLanes is how many parts at once are offered to the default settings:
// more than they take.
const automaticLanes = 2 * benchMaxLanes

// automatic measures what the default settings make of the link. Its store is
// kept: what it learned of the link the first time counts the next.
func (b *benching) automatic(ctx context.Context, d time.Duration, skip float64) (benchSample, error) {
	got, err := b.upload(ctx, "upload, automatic", b.auto, automaticLanes, b.found.Part, d, skip)
	b.found.AutoLanes = int64(b.auto.Lanes())
	return got, err
}

// sizes compares sizes of parts by as many lanes as are enough: those of which
// every lane can finish one in a step.
func (b *benching) sizes(ctx context.Context) error {
	knee := b.found.Lanes[gauge.Knee(b.found.Lanes)]
	d := b.span(timeSizes) / time.Duration(len(benchSizes))
	var sizes []int64
	for _, size := range benchSizes {
		if float64(size) <= knee.Rate()/float64(knee.N)*d.Seconds() {
			sizes = append(sizes, size)
		}
	}
	if b.found.Part < benchPart || len(sizes) < 2 {
		return b.print.noSizes()
	}
	for _, size := range sizes {
		got, err := b.upload(ctx, fmt.Sprintf("upload, parts of %s, %s", wholeSize(size), lanesName(knee.N)), b.lanes, knee.N, size, d, 0)
		if err != nil {
			return err
		}
		b.found.Sizes = append(b.found.Sizes, gauge.Point{N: size, Samples: []float64{got.Rate()}})
		b.found.disturbed(aboutSizes, size, got)
	}
	return b.print.sizes(b.found, knee.N)
}

// fetch finds how many lanes a download needs.
func (b *benching) fetch(ctx context.Context) error {
	if !b.o.download {
		return nil
	}
	if b.left() == 0 {
		b.say("note: --max-bytes is used up: nothing is fetched")
		return nil
	}
	move, err := b.fetching(ctx)
	if err != nil || move == nil {
		return err
	}
	c := climb{about: aboutDownload, ladder: benchLanes, time: b.span(timeDownload), least: benchLeastLane}
	c.step = func(ctx context.Context, n int64, d time.Duration) (benchSample, error) {
		return b.run(ctx, benchStep{name: "download, " + lanesName(n), lanes: n, size: b.found.Part, time: d, move: move})
	}
	if b.found.fetched, _, err = b.climb(ctx, c); err != nil {
		return err
	}
	return b.print.fetched(b.found)
}

// fetching fetches the larger ones of the parts that are stored. A listing tells
// their sizes: what was cut short here may be whole there. nil where there are none.
func (b *benching) fetching(ctx context.Context) (gauge.Move, error) {
	found, err := b.listOwn(ctx, b.lanes)
	if err != nil {
		return nil, err
	}
	var largest int64
	var parts []transfer.Object
	for key, obj := range found {
		if strings.HasPrefix(key, b.prefix+benchParts) {
			parts, largest = append(parts, obj), max(largest, obj.Size)
		}
	}
	parts = slices.DeleteFunc(parts, func(obj transfer.Object) bool { return obj.Size < largest/2 })
	if len(parts) == 0 {
		b.say("note: no part was finished, so none can be fetched: a longer --time helps")
		return nil, nil
	}
	return fetch(b.lanes, parts), nil
}
