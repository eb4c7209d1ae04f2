package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// report is a whole run of the benchmark.
type report struct {
	at      time.Time
	took    time.Duration
	args    []string
	machine machine
	results []*result
}

// chartName is the chart's file, beside the report.
const chartName = "results.svg"

// write writes the report to file, and its chart beside it.
func (rep *report) write(file string) error {
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), chartName), []byte(chart(rep.results)), 0o644); err != nil { //nolint:gosec // to be read
		return err
	}
	return os.WriteFile(file, []byte(rep.markdown()), 0o644) //nolint:gosec // likewise
}

// markdown is the report as it is kept.
func (rep *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Results\n\nWritten by `%s` on %s UTC, after %.0f minutes.\n\n", strings.Join(append([]string{"go run ./bench"}, rep.args...), " "),
		rep.at.UTC().Format("2 January 2006, 15:04"), rep.took.Minutes())
	b.WriteString(rep.machine.String())
	b.WriteString("\nClient and server each had a core of their own, and each run a new server. Figures are medians over the rounds;\n" +
		"ratios are medians of those within a round, with the least and the most. CPU is user + system of the client, RssAnon\n" +
		"the most that was seen in any round, looking every 50 ms. *Checks* is what came with a checksum or a signature of its\n" +
		"bytes, by the server's count, over the whole contest. curl is handed a list of files that was made before: it is no\n" +
		"client for directories, counts as a peer that checks nothing, and not as one of *every peer*.\n\n")
	b.WriteString("![CPU, wall time, memory and requests by contest](" + chartName + ")\n\n## Goals\n\n")
	b.WriteString(row("contest", "goal", "seen", "") + row("---", "---", "---", "---"))
	for _, r := range rep.results {
		for _, v := range r.verdicts() {
			b.WriteString(row(r.title, v.goal, v.seen, v.state))
		}
	}
	for _, r := range rep.results {
		r.writeTo(&b)
	}
	return b.String()
}

// writeTo writes the section of one contest.
func (r *result) writeTo(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n`-only %s`: %d files, %.3f GB.\n\n", strings.ToUpper(r.title[:1])+r.title[1:], r.name, r.load.files(), float64(r.load.bytes())/1e9)
	head := r.header()
	b.WriteString(row(head...) + "|" + strings.Repeat("---|", len(head)) + "\n")
	for _, cells := range r.rows() {
		b.WriteString(row(cells...))
	}
	var notes []string
	for _, best := range []struct {
		name string
		i    int
	}{{bestBare, r.bestBare(cpuSeconds)}, {bestChecking, r.bestChecking(cpuSeconds)}} {
		if best.i >= 0 {
			notes = append(notes, fmt.Sprintf("%s: %s; %s / it is %v of CPU, %v of wall time", strings.ToUpper(best.name[:1])+best.name[1:],
				r.runners[best.i].name, r.runners[0].name, r.ratio(best.i, cpuSeconds), r.ratio(best.i, wallSeconds)))
		}
	}
	for i := range r.samples {
		if len(r.samples[i]) < len(r.samples[0]) {
			notes = append(notes, fmt.Sprintf("\\* More than %d times the agent's CPU in the first round, and not the best of its kind: %d rounds, and ratios over these", slow, slowRounds))
			break
		}
	}
	if len(r.missing) > 0 {
		notes = append(notes, "Not to be had here: "+strings.Join(r.missing, ", "))
	}
	if len(r.failed) > 0 {
		notes = append(notes, "Failed: "+strings.Join(r.failed, "; "))
	}
	for _, n := range notes {
		b.WriteString("\n" + n + ".\n")
	}
}

func row(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// machine is where and with what it was measured.
type machine struct {
	cpu, system, versions string
	peers                 []string // their versions
}

func (m machine) String() string {
	s := cmp.Or(m.cpu, "unknown CPU") + "; " + m.system + "; " + m.versions + "\n"
	if len(m.peers) > 0 {
		s += "\nPeers: " + strings.Join(m.peers, "; ") + "\n"
	}
	return s
}
