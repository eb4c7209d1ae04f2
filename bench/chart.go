package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The chart, in pixels: a panel for each contest, below each other; in each a row
// for each runner: name, what it checks, bar, figures.
const (
	chartWidth  = 1000
	chartMargin = 20
	rowHeight   = 22
	barHeight   = 12
	figureWidth = 68 // of a column of figures
	figuresFrom = chartWidth - chartMargin - 4*figureWidth
)

// A bar that is longer than so many times the first runner's is cut: the figure
// beside it tells. Else the slowest peer would make all others dots.
const cutAt = 6

// chartStyle has the colours, for a light page and for a dark one. The first of a
// pair of bars is user time, the second system time.
const chartStyle = `<style>
text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2328}
.b{font-weight:600}.m{fill:#59636e}
.page{fill:#ffffff}.grid{stroke:#d1d9e0}.wall{stroke:#1f2328;stroke-width:2}.cut{stroke:#ffffff;stroke-width:3}
.tool1{fill:#0969da}.tool2{fill:#80b8f5}.limit1{fill:#1a7f37}.limit2{fill:#8fd19e}.other1{fill:#818b98}.other2{fill:#c8d1da}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}.m{fill:#9198a1}
.page{fill:#0d1117}.grid{stroke:#3d444d}.wall{stroke:#f0f6fc}.cut{stroke:#0d1117}
.tool1{fill:#4493f8}.tool2{fill:#1f4f8f}.limit1{fill:#3fb950}.limit2{fill:#1f6b30}.other1{fill:#9198a1}.other2{fill:#4c545d}
}
</style>
`

// drawing is an SVG in the making.
type drawing struct{ b strings.Builder }

func (d *drawing) text(x, y, size float64, anchor, class, s string) {
	fmt.Fprintf(&d.b, `<text x="%s" y="%s" font-size="%s" text-anchor="%s" class="%s">`, px(x), px(y), px(size), anchor, class)
	_ = xml.EscapeText(&d.b, []byte(s)) // a Builder takes everything
	d.b.WriteString("</text>\n")
}

func (d *drawing) block(x, y, w float64, class string) {
	fmt.Fprintf(&d.b, `<rect x="%s" y="%s" width="%s" height="%d" class="%s"/>`+"\n", px(x), px(y), px(w), barHeight, class)
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&d.b, `<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"/>`+"\n", px(x1), px(y1), px(x2), px(y2), class)
}

func px(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// textWidth is more than a text takes in any of the fonts of chartStyle.
func textWidth(s string, size float64) float64 { return 0.58 * size * float64(len([]rune(s))) }

// chart draws the medians of all results.
func chart(results []*result) string {
	var d drawing
	y := 30.0
	d.text(chartMargin, y, 17, "start", "b", "CPU time of uploads, in seconds")
	d.legend(y + 22)
	y += 56
	for _, r := range results {
		y = d.panel(r, y) + 30
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%s" viewBox="0 0 %d %s" role="img" aria-label="CPU time of uploads by contest and client">`+"\n",
		chartWidth, px(y), chartWidth, px(y)) + chartStyle + fmt.Sprintf(`<rect width="%d" height="%s" class="page"/>`+"\n", chartWidth, px(y)) + d.b.String() + "</svg>\n"
}

// legend says what bars and marks are.
func (d *drawing) legend(y float64) {
	x := float64(chartMargin)
	for _, e := range []struct{ class, text string }{
		{"tool", "agent"}, {"limit", "limit: bare PUT requests"}, {"other", "others"},
	} {
		d.block(x, y-10, 12, e.class+"1")
		d.block(x+12, y-10, 12, e.class+"2")
		d.text(x+30, y, 12, "start", "m", e.text)
		x += 30 + textWidth(e.text, 12) + 14
	}
	d.text(x, y, 12, "start", "m", "strong: user, pale: system")
	x += textWidth("strong: user, pale: system", 12) + 14
	d.line(x, y-12, x, y+4, "wall")
	d.text(x+8, y, 12, "start", "m", "wall time")
	x += 8 + textWidth("wall time", 12) + 14
	d.text(x, y, 12, "start", "m", "medians; less is better; long bars are cut")
}

// panel draws a contest from y on, and returns where it ends.
func (d *drawing) panel(r *result, y float64) float64 {
	d.text(chartMargin, y, 14, "start", "b", strings.ToUpper(r.title[:1])+r.title[1:])
	for i, head := range []string{"CPU s", "wall s", "RSS MiB", "requests"} {
		d.text(figureEnd(i), y, 11, "end", "m", head)
	}
	names, checks := 0.0, 0.0
	for i, run := range r.runners {
		names, checks = max(names, textWidth(run.name, 13)), max(checks, textWidth(r.what(i), 11))
	}
	checksFrom := chartMargin + names + 10
	barsFrom := checksFrom + checks + 10
	most, step := r.scale()
	at := func(seconds float64) float64 { return barsFrom + (figuresFrom-barsFrom)*seconds/most }
	top := y + 10
	end := top + rowHeight*float64(len(r.runners))
	for n := 0.0; n*step <= most*1.0001; n++ {
		d.line(at(n*step), top, at(n*step), end, "grid")
		d.text(at(n*step), end+13, 11, "middle", "m", strconv.FormatFloat(n*step, 'g', 4, 64))
	}
	for i, run := range r.runners {
		base := top + rowHeight*float64(i) + rowHeight/2
		class, weight := "other", ""
		switch run.role {
		case tool:
			class, weight = "tool", "b"
		case floor:
			class = "limit"
		}
		d.text(chartMargin, base+4, 13, "start", weight, run.name)
		d.text(checksFrom, base+4, 11, "start", "m", r.what(i))
		d.bar(r, i, base, class, at, most)
		for n, figure := range r.figures(i) {
			d.text(figureEnd(n), base+4, 12, "end", weight, figure)
		}
	}
	return end + 20
}

// bar draws one runner's CPU, user first, and its wall time.
func (d *drawing) bar(r *result, i int, y float64, class string, at func(float64) float64, most float64) {
	total := r.spread(i, cpuSeconds).median
	user := min(r.spread(i, func(s sample) float64 { return s.user.Seconds() }).median, total)
	top := y - barHeight/2
	d.block(at(0), top, at(min(user, most))-at(0), class+"1")
	if user < most {
		d.block(at(user), top, at(min(total, most))-at(user), class+"2")
	}
	if total > most {
		d.line(at(most)-12, y+9, at(most)-6, y-9, "cut")
	}
	if took := r.spread(i, wallSeconds).median; took <= most {
		d.line(at(took), y-9, at(took), y+9, "wall")
	}
}

// scale is where a contest's axis ends, and how far its marks are apart, in seconds.
func (r *result) scale() (most, step float64) {
	longer := func(i int) float64 { return max(r.spread(i, cpuSeconds).median, r.spread(i, wallSeconds).median) }
	for i := range r.runners {
		most = max(most, longer(i))
	}
	most = max(min(most, cutAt*longer(0)), 1e-3)
	step = math.Pow(10, math.Floor(math.Log10(most)))
	switch {
	case most/step < 2:
		step /= 5
	case most/step < 5:
		step /= 2
	}
	return step * math.Ceil(most/step), step
}

// figures are what stands beside a bar.
func (r *result) figures(i int) []string {
	median := func(f figure) float64 { return r.spread(i, f).median }
	return []string{
		fmt.Sprintf("%.2f", median(cpuSeconds)), fmt.Sprintf("%.2f", median(wallSeconds)),
		orUnknown(median(rssMiB)), thousands(int64(median(requests))),
	}
}

// figureEnd is where the n-th column of figures ends.
func figureEnd(n int) float64 { return figuresFrom + figureWidth*float64(n+1) }

// thousands writes a number with commas.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
