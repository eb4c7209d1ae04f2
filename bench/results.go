package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// spread is the least, the middle and the most of some figures.
type spread struct{ min, median, max float64 }

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	return spread{v[0], (v[(len(v)-1)/2] + v[len(v)/2]) / 2, v[len(v)-1]}
}

func (s spread) String() string { return fmt.Sprintf("%.2f (%.2f–%.2f)", s.median, s.min, s.max) }

// figure is something that a sample has a number for.
type figure func(sample) float64

func cpuSeconds(s sample) float64  { return s.cpu().Seconds() }
func wallSeconds(s sample) float64 { return s.wall.Seconds() }
func rssMiB(s sample) float64      { return float64(s.rss) / mib }
func anonMiB(s sample) float64     { return float64(s.anon) / mib }
func requests(s sample) float64    { return float64(s.counts.Requests) }

// spread of one figure over the rounds of a runner.
func (r *result) spread(runner int, f figure) spread {
	var v []float64
	for _, s := range r.samples[runner] {
		v = append(v, f(s))
	}
	return spreadOf(v)
}

// ratio of the first runner's figure to that of another, over the rounds that
// both took part in.
func (r *result) ratio(other int, f figure) spread {
	var v []float64
	for i, s := range r.samples[other] {
		v = append(v, f(r.samples[0][i])/f(s))
	}
	return spreadOf(v)
}

// cost is CPU per object in µs, or per GB in seconds.
func (r *result) cost(s sample) float64 {
	if r.perObject {
		return float64(s.cpu().Microseconds()) / float64(r.load.files())
	}
	return s.cpu().Seconds() / (float64(r.load.bytes()) / 1e9)
}

func (r *result) unit() string {
	if r.perObject {
		return "µs/object"
	}
	return "s/GB"
}

// What a runner gives the server to compare the bytes with, as far as is known.
const (
	checksAll  = "checks"
	checksSome = "checks some"
	checksNone = "checks nothing"
)

// checks tells what of a runner's bytes came with a checksum; "" where nobody counted.
func (r *result) checks(i int) string {
	if r.sandbox {
		return ""
	}
	var bare, summed int64
	for _, s := range r.samples[i] {
		bare, summed = bare+s.counts.Bare, summed+s.counts.Summed
	}
	switch {
	case bare == 0:
		return checksAll
	case summed == 0:
		return checksNone
	}
	return checksSome
}

// what says what a runner is in the contest for, or checks.
func (r *result) what(i int) string {
	if role := r.runners[i].role; role == floor || role == yardstick {
		return string(role)
	}
	return r.checks(i)
}

// best is the other client that comes nearest to the first runner, or leaves it
// behind, of those that counts takes; -1 without any.
func (r *result) best(f figure, counts func(i int) bool) int {
	best, most := -1, 0.0
	for i := range r.runners {
		if len(r.samples[i]) == 0 || !counts(i) { // it failed, or does not count
			continue
		}
		if q := r.ratio(i, f).median; q > most {
			best, most = i, q
		}
	}
	return best
}

// bestBare is the best that sends nothing to compare the bytes with, curl
// among them; bestChecking the best client that does, always.
func (r *result) bestBare(f figure) int {
	return r.best(f, func(i int) bool {
		role := r.runners[i].role
		return (role == peer || role == byHand) && r.checks(i) == checksNone
	})
}

func (r *result) bestChecking(f figure) int {
	return r.best(f, func(i int) bool { return r.runners[i].role == peer && r.checks(i) == checksAll })
}

func (r *result) bestPeer(f figure) int {
	return r.best(f, func(i int) bool { return r.runners[i].role == peer })
}

func (r *result) header() []string {
	first := r.runners[0].name
	return []string{"", "", "rounds", "CPU " + r.unit(), "min–max", "CPU s", "wall s", "min–max", "peak RSS MiB", "RssAnon MiB", "requests", "connections",
		"CPU, " + first + " / this", "wall, " + first + " / this"}
}

// rows are the figures by runner, as medians.
func (r *result) rows() [][]string {
	var rows [][]string
	for i, run := range r.runners {
		median := func(f figure) float64 { return r.spread(i, f).median }
		rounds := fmt.Sprint(len(r.samples[i]))
		if len(r.samples[i]) < len(r.samples[0]) {
			rounds += "*"
		}
		var cpu, wall string
		if i > 0 {
			cpu, wall = r.ratio(i, cpuSeconds).String(), r.ratio(i, wallSeconds).String()
		}
		cost, took := r.spread(i, r.cost), r.spread(i, wallSeconds)
		rows = append(rows, []string{
			run.name, r.what(i), rounds,
			fmt.Sprintf("%.3g", cost.median), fmt.Sprintf("%.3g–%.3g", cost.min, cost.max),
			fmt.Sprintf("%.2f", median(cpuSeconds)),
			fmt.Sprintf("%.2f", took.median), fmt.Sprintf("%.2f–%.2f", took.min, took.max),
			orUnknown(median(rssMiB)), orUnknown(r.spread(i, anonMiB).max),
			orUnknown(median(requests)), orUnknown(median(func(s sample) float64 { return float64(s.counts.Conns) })),
			cpu, wall,
		})
	}
	return rows
}

// orUnknown is a whole number; none is one that nobody could tell.
func orUnknown(n float64) string {
	if n == 0 {
		return "?"
	}
	return fmt.Sprintf("%.0f", n)
}

// table is for the terminal.
func (r *result) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{r.header()}, r.rows()...) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // a Builder takes everything
	return b.String()
}
