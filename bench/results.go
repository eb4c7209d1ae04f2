package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is a whole run of the benchmark.
type report struct {
	at      time.Time
	args    []string
	machine machine
	results []*result
}

// spread is the least, the middle and the most of some figures.
type spread struct{ min, median, max float64 }

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	return spread{v[0], (v[(len(v)-1)/2] + v[len(v)/2]) / 2, v[len(v)-1]}
}

// spread of one figure over the rounds of a runner.
func (r *result) spread(runner int, figure func(sample) float64) spread {
	var v []float64
	for _, s := range r.samples[runner] {
		v = append(v, figure(s))
	}
	return spreadOf(v)
}

// ratio of the first runner's CPU to that of another, round by round.
func (r *result) ratio(other int) spread {
	var v []float64
	for i, s := range r.samples[0] {
		v = append(v, s.cpu.Seconds()/r.samples[other][i].cpu.Seconds())
	}
	return spreadOf(v)
}

// cost is CPU per object in µs, or per GB in seconds.
func (r *result) cost(s sample) float64 {
	if r.perObject {
		return float64(s.cpu.Microseconds()) / float64(r.load.files)
	}
	return s.cpu.Seconds() / (float64(r.load.bytes()) / 1e9)
}

func (r *result) unit() string {
	if r.perObject {
		return "µs/object"
	}
	return "s/GB"
}

func (r *result) header() []string {
	return []string{"", "CPU " + r.unit(), "min–max", "CPU s", "wall s", "peak RSS MB", "requests", "connections", r.runners[0].name + " / this"}
}

// rows are the figures by runner, as medians.
func (r *result) rows() [][]string {
	var rows [][]string
	for i, run := range r.runners {
		cost := r.spread(i, r.cost)
		median := func(f func(sample) float64) float64 { return r.spread(i, f).median }
		ratio := ""
		if i > 0 {
			q := r.ratio(i)
			ratio = fmt.Sprintf("%.2f (%.2f–%.2f)", q.median, q.min, q.max)
			if run.goal > 0 {
				ratio += fmt.Sprintf(", goal %.2f", run.goal)
			}
		}
		rows = append(rows, []string{
			run.name, fmt.Sprintf("%.3g", cost.median), fmt.Sprintf("%.3g–%.3g", cost.min, cost.max),
			fmt.Sprintf("%.2f", median(func(s sample) float64 { return s.cpu.Seconds() })),
			fmt.Sprintf("%.2f", median(func(s sample) float64 { return s.wall.Seconds() })),
			rss(median(func(s sample) float64 { return float64(s.rss) })),
			fmt.Sprintf("%.0f", median(func(s sample) float64 { return float64(s.counts.Requests) })),
			fmt.Sprintf("%.0f", median(func(s sample) float64 { return float64(s.counts.Conns) })),
			ratio,
		})
	}
	return rows
}

func rss(bytes float64) string {
	if bytes == 0 {
		return "?"
	}
	return fmt.Sprintf("%.0f", bytes/1e6)
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

// markdown is the report as it is kept.
func (rep *report) markdown() string {
	var b strings.Builder
	b.WriteString("# Results\n\nWritten by `go run ./bench" + strings.Join(append([]string{""}, rep.args...), " ") +
		"` on " + rep.at.UTC().Format("2 January 2006, 15:04") + " UTC.\n\n")
	b.WriteString(rep.machine.String() + "\n\n")
	b.WriteString("Client and server each had a core of their own. Figures are medians over the rounds; the ratio is the\n" +
		"median of those within a round, with the least and the most. CPU is user + system of the client.\n")
	for _, r := range rep.results {
		fmt.Fprintf(&b, "\n## %s\n\n%d rounds, %d files, %.3f GB.\n\n", r.title, len(r.samples[0]), r.load.files, float64(r.load.bytes())/1e9)
		head := r.header()
		b.WriteString("| " + strings.Join(head, " | ") + " |\n|" + strings.Repeat("---|", len(head)) + "\n")
		for _, row := range r.rows() {
			b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		}
		if len(r.missing) > 0 {
			b.WriteString("\nNot on this machine: " + strings.Join(r.missing, ", ") + ".\n")
		}
	}
	return b.String()
}

// machine is where and with what it was measured.
type machine struct{ cpu, system, versions string }

func (m machine) String() string {
	return cmp.Or(m.cpu, "unknown CPU") + "; " + m.system + "; " + m.versions
}
