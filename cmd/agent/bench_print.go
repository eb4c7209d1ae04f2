package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"agent/cmd/internal/gauge"
	"agent/cmd/internal/show"
)

// benchPrinter shows what is measured, part by part.
type benchPrinter struct {
	o     benchOptions
	out   io.Writer
	width int    // columns
	at    string // the prefix, as a destination
}

// Bounds of the width: on a wide terminal a bar would be further from its
// figure than the eye goes.
const (
	benchNarrow = 40
	benchWide   = 100
)

// benchWidth is the width to print for.
func benchWidth(out io.Writer) int { return min(max(show.Width(out), benchNarrow), benchWide) }

// perSecond writes "38/s", with a decimal below ten.
func perSecond(rate float64) string {
	if rate < 9.95 {
		return fmt.Sprintf("%.1f/s", rate)
	}
	return show.Count(int(rate+0.5)) + "/s"
}

// bits writes a rate as network people do: "787 Mbit/s".
func bits(bytesPerSecond float64) string {
	b := 8 * bytesPerSecond
	for _, u := range []struct {
		from   float64
		name   string
		digits int
	}{{9.995e9, "Gbit/s", 1}, {0.9995e9, "Gbit/s", 2}, {9.95e6, "Mbit/s", 0}, {0.995e6, "Mbit/s", 1}} {
		if b >= u.from {
			by := 1e6
			if u.name == "Gbit/s" {
				by = 1e9
			}
			return fmt.Sprintf("%.*f %s", u.digits, b/by, u.name)
		}
	}
	return fmt.Sprintf("%.0f kbit/s", b/1e3)
}

// benchSeconds writes a latency: "23 ms", "1.20 s".
func benchSeconds(s float64) string {
	switch {
	case s < 0.00995:
		return fmt.Sprintf("%.1f ms", s*1e3)
	case s < 0.9995:
		return fmt.Sprintf("%.0f ms", s*1e3)
	}
	return fmt.Sprintf("%.2f s", s)
}

func (p *benchPrinter) text(lines ...string) error {
	if p.o.quiet || p.o.json {
		return nil
	}
	_, err := io.WriteString(p.out, strings.Join(lines, "\n")+"\n")
	return err
}

func (p *benchPrinter) start() error {
	if p.o.json {
		return p.line(benchStart{benchHead: p.head("bench"), Prefix: p.at, MaxBytes: int64(p.o.maxBytes), Time: p.o.time.Seconds(), Download: p.o.download})
	}
	what := "sends"
	if p.o.download {
		what = "sends and fetches"
	}
	return p.text("bench "+show.Clean(p.at),
		fmt.Sprintf("  %s made-up data for about %s, at most %s;", what, show.Duration(p.o.time), wholeSize(int64(p.o.maxBytes))),
		"  it is removed afterwards; requests are billed as always", "")
}

func (p *benchPrinter) latency(samples []float64) error {
	median, slow := gauge.Quantile(samples, 0.5), gauge.Quantile(samples, 0.95)
	if p.o.json {
		return p.line(benchLatency{benchHead: p.head("latency"), Samples: len(samples), Median: milli(median), P95: milli(slow)})
	}
	return p.text(fmt.Sprintf("small files, one by one: %s each (median; 95%% of %d: %s)", benchSeconds(median), len(samples), benchSeconds(slow)), "")
}

// row is one line of a table with a bar.
type benchRow struct {
	name, rate string
	value      float64
	note       string
}

// table prints rows below a title, with bars of which the highest is full.
func (p *benchPrinter) table(title string, rows []benchRow) error {
	lines := []string{title}
	var full float64
	wide, noted := 0, 0
	for _, r := range rows {
		full, wide, noted = max(full, r.value), max(wide, len(r.rate)), max(noted, len(r.note))
	}
	if noted > 0 {
		noted += 2
	}
	room := p.width - 1 - len("  ") - benchName - 2 - wide - 2 - noted
	for _, r := range rows {
		line := fmt.Sprintf("  %*s  %*s  %s", benchName, r.name, wide, r.rate, gauge.Bar(r.value, full, room))
		if r.note != "" {
			line += "  " + r.note
		}
		lines = append(lines, line)
	}
	return p.text(append(lines, "")...)
}

// benchName is the width of the names of rows.
const benchName = len("256 at once")

// rows makes those of a sweep; name and rate write their figures.
func benchRows(points []gauge.Point, about string, f *benchFound, name func(int64) string, rate func(float64) string) []benchRow {
	var rows []benchRow
	knee := gauge.Knee(points)
	for i, pt := range points {
		note := f.trouble[benchAbout{about, pt.N}].String()
		if i == knee && len(points) > 1 {
			note = strings.TrimSuffix("enough, "+note, ", ")
		}
		rows = append(rows, benchRow{name: name(pt.N), rate: rate(pt.Rate()), value: pt.Rate(), note: note})
	}
	return rows
}

func (t trouble) String() string {
	switch {
	case t.waited:
		return "interrupted"
	case t.retries == 1:
		return "1 repeated"
	case t.retries > 0:
		return show.Count(int(t.retries)) + " repeated"
	}
	return ""
}

func (p *benchPrinter) small(f benchFound) error {
	if p.o.json {
		return p.steps(aboutSmall, f.Small, f.AutoSmall, benchSmall, &f)
	}
	rows := benchRows(f.Small, aboutSmall, &f, func(n int64) string { return fmt.Sprintf("%d at once", n) }, perSecond)
	rows = append(rows, benchRow{name: "automatic", rate: perSecond(f.AutoSmall.Rate()), value: f.AutoSmall.Rate(), note: f.trouble[benchAbout{aboutSmall, 0}].String()})
	return p.table("small files of "+wholeSize(benchSmall), rows)
}

func (p *benchPrinter) large(f benchFound) error {
	if p.o.json {
		return p.steps(aboutUpload, f.Lanes, f.Auto, f.Part, &f)
	}
	rows := benchRows(f.Lanes, aboutUpload, &f, lanesName, show.Rate)
	auto := benchRow{name: "automatic", rate: show.Rate(f.Auto.Rate()), value: f.Auto.Rate(), note: f.trouble[benchAbout{aboutUpload, 0}].String()}
	if f.AutoLanes > 0 {
		auto.note = strings.TrimSuffix("took "+lanesName(f.AutoLanes)+", "+auto.note, ", ")
	}
	rows = append(rows, auto)
	return p.table("upload in parts of "+wholeSize(f.Part), rows)
}

func (p *benchPrinter) sizes(f benchFound, lanes int64) error {
	if p.o.json {
		return p.steps(aboutSizes, f.Sizes, gauge.Point{}, 0, &f)
	}
	return p.table("size of parts, "+lanesName(lanes), benchRows(f.Sizes, aboutSizes, &f, wholeSize, show.Rate))
}

func (p *benchPrinter) noSizes() error {
	return p.text("size of parts: not compared, a larger one takes longer than a step (--time)", "")
}

func (p *benchPrinter) fetched(f benchFound) error {
	if p.o.json {
		return p.steps(aboutDownload, f.fetched, gauge.Point{}, f.Part, &f)
	}
	return p.table("download", benchRows(f.fetched, aboutDownload, &f, lanesName, show.Rate))
}

// conclusion says what it all means.
func (p *benchPrinter) conclusion(f benchFound, moved int64, clean bool) error {
	v := gauge.Judge(f.Found)
	if p.o.json {
		return p.line(newBenchResult(p.head("result"), &f, v, moved, clean))
	}
	_, err := io.WriteString(p.out, strings.Join(benchConclusion(&f, v), "\n")+"\n")
	return err
}

// benchNoisy is the noise from which on figures are to be taken with care.
const benchNoisy = 0.25

// benchConclusion is what the figures mean, in a few lines.
func benchConclusion(f *benchFound, v gauge.Verdict) []string {
	enough := lanesName(v.Lanes) + " are enough"
	switch {
	case v.AutoBest:
		enough = "automatic found the way"
	case v.Lanes == 1:
		enough = "1 lane is enough"
	case v.Grows:
		enough = "more than " + lanesName(v.Lanes) + " may bring more"
	}
	atOnce := fmt.Sprintf("%d at once are enough", v.AtOnce)
	switch {
	case gauge.Best(f.Small) < gauge.Close*v.Small:
		atOnce = "automatic found the way"
	case v.AtOnce == 1:
		atOnce = "one after the other is enough"
	}
	lines := []string{
		fmt.Sprintf("your link carries %s (%s); %s", show.Rate(v.Rate), bits(v.Rate), enough),
		fmt.Sprintf("small files go at %s; %s", perSecond(v.Small), atOnce),
	}
	if len(f.fetched) > 0 {
		best, knee := gauge.Best(f.fetched), f.fetched[gauge.Knee(f.fetched)]
		lines = append(lines, fmt.Sprintf("downloads come at %s (%s) with %s", show.Rate(best), bits(best), lanesName(knee.N)))
	}
	if v.Noise > benchNoisy {
		repeat := "when all is quiet"
		if !v.Nothing() {
			repeat = "before you set anything"
		}
		lines = append(lines, fmt.Sprintf("but the same measured again differs by %.0f%%: repeat it %s", 100*v.Noise, repeat))
	}
	if f.short {
		lines = append(lines, "but --max-bytes ended steps before they said much: allow more")
	}
	reached := fmt.Sprintf("automatic reached %.0f%% and %.0f%% of that", 100*v.Share, 100*v.SmallShare)
	switch {
	case !v.Nothing():
		flags, settings := benchSettings(v)
		return append(lines, reached+": set "+strings.Join(flags, " "), "  or in the file of 'agent config path': "+strings.Join(settings, ", "))
	case min(v.Share, v.SmallShare) >= gauge.Close:
		return append(lines, reached+": nothing to set")
	case v.Noisy:
		return append(lines, reached+", and that may be noise: nothing to set")
	default:
		return append(lines, reached+": nothing to set that would help both")
	}
}

// benchSettings are the flags to set, and the same in the file.
func benchSettings(v gauge.Verdict) (flags, settings []string) {
	if v.Parallel > 0 {
		flags = append(flags, fmt.Sprintf("--parallel %d", v.Parallel))
		settings = append(settings, fmt.Sprintf("parallel = %d", v.Parallel))
	}
	if size := byteSize(v.Part); size > 0 {
		flags = append(flags, "--part-size "+size.String())
		settings = append(settings, fmt.Sprintf("part-size = %q", size.String()))
	}
	return flags, settings
}

// wholeSize writes a size without decimals that say nothing: "16 MiB".
func wholeSize(n int64) string {
	number, unit, _ := strings.Cut(show.Bytes(n), " ")
	if strings.Contains(number, ".") {
		number = strings.TrimSuffix(strings.TrimRight(number, "0"), ".")
	}
	return number + " " + unit
}

// milli is a time in milliseconds with at most two decimals: more would claim
// too much.
func milli(seconds float64) float64 {
	return float64(time.Duration(seconds*1e9).Round(10*time.Microsecond)) / 1e6
}
