package gauge

import (
	"context"
	"slices"
)

// Enough is the share of the best rate from which on more requests, or other
// sizes, are not worth having: what is nearer is noise.
const Enough = 0.95

// Point is what was measured with N of something: lanes, requests, bytes of a part.
type Point struct {
	N       int64
	Samples []float64 // a second
}

// Rate is the median of the samples; 0 where there is none.
func (p Point) Rate() float64 { return Quantile(p.Samples, 0.5) }

// Spread is how far the samples are apart, as a share of their median.
func (p Point) Spread() float64 {
	if len(p.Samples) < 2 || p.Rate() <= 0 {
		return 0
	}
	return (slices.Max(p.Samples) - slices.Min(p.Samples)) / p.Rate()
}

// Quantile is the q-quantile of values: the median for 0.5, between two values
// where it falls there. 0 where there is none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	at := min(max(q, 0), 1) * float64(len(s)-1)
	i := int(at)
	if i+1 == len(s) {
		return s[i]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

// Best is the highest rate of the points.
func Best(points []Point) float64 {
	best := 0.
	for _, p := range points {
		best = max(best, p.Rate())
	}
	return best
}

// Knee is the first of the points, which are in order of N, that has Enough of
// the best rate: more of it brings nothing worth having. -1 where there is none.
func Knee(points []Point) int {
	best := Best(points)
	return slices.IndexFunc(points, func(p Point) bool { return p.Rate() >= Enough*best })
}

// flat is how many points in a row that bring nothing end a sweep: one may be
// bad luck.
const flat = 2

// Grows reports whether more than the last of the points may still bring more.
func Grows(points []Point) bool {
	if len(points) <= flat {
		return true
	}
	before, last := points[:len(points)-flat], points[len(points)-flat:]
	return Enough*Best(last) > Best(before)
}

// Sweep measures one N of the ladder after the other, as long as that may bring
// more, and as another one fits after the points so far; fits may be nil. With an
// error come the points before it.
func Sweep(ctx context.Context, ladder []int64, fits func(points []Point, n int64) bool, measure func(ctx context.Context, n int64) (rate float64, err error)) ([]Point, error) {
	var points []Point
	for _, n := range ladder {
		if fits != nil && !fits(points, n) {
			break
		}
		rate, err := measure(ctx, n)
		if err != nil {
			return points, err
		}
		points = append(points, Point{N: n, Samples: []float64{rate}})
		if !Grows(points) {
			break
		}
	}
	return points, nil
}

// Worth are the indexes of the points that are worth a second sample: the knee,
// the one before it, and the best.
func Worth(points []Point) []int {
	knee := Knee(points)
	if knee < 0 {
		return nil
	}
	best := knee
	for i, p := range points {
		if p.Rate() > points[best].Rate() {
			best = i
		}
	}
	worth := []int{max(0, knee-1), knee, best}
	slices.Sort(worth)
	return slices.Compact(worth)
}
