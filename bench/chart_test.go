package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
)

// box is where something is drawn.
type box struct {
	x, y, w, h float64
	text       string // "" for a bar
}

func (b box) overlaps(o box) bool {
	return b.x < o.x+o.w && o.x < b.x+b.w && b.y < o.y+o.h && o.y < b.y+b.h
}

// checkChart checks that an SVG is well-formed, that no two texts overlap, nor
// a text and a bar, and that all is on the page.
func checkChart(t *testing.T, svg string) (texts, bars []box) {
	t.Helper()
	var page box
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		at := map[string]string{}
		for _, a := range e.Attr {
			at[a.Name.Local] = a.Value
		}
		num := func(name string) float64 {
			v, err := strconv.ParseFloat(at[name], 64)
			if err != nil {
				t.Fatalf("%s of %+v: %v", name, e, err)
			}
			return v
		}
		switch {
		case e.Name.Local == "svg":
			page = box{w: num("width"), h: num("height")}
		case e.Name.Local == "rect" && at["class"] != "page":
			bars = append(bars, box{x: num("x"), y: num("y"), w: num("width"), h: num("height")})
		case e.Name.Local == "text":
			var s string
			if err := d.DecodeElement(&s, &e); err != nil {
				t.Fatal(err)
			}
			b := box{x: num("x"), y: num("y") - num("font-size"), w: textWidth(s, num("font-size")), h: num("font-size"), text: s}
			switch at["text-anchor"] {
			case "end":
				b.x -= b.w
			case "middle":
				b.x -= b.w / 2
			}
			texts = append(texts, b)
		}
	}
	for i, b := range texts {
		if b.x < 0 || b.y < 0 || b.x+b.w > page.w || b.y+b.h > page.h {
			t.Errorf("%+v is not on the page", b)
		}
		for _, o := range append(texts[i+1:len(texts):len(texts)], bars...) {
			if b.overlaps(o) {
				t.Errorf("%+v overlaps %+v", b, o)
			}
		}
	}
	for _, b := range bars {
		if b.x < 0 || b.w < 0 || b.x+b.w > figuresFrom+0.1 || b.y+b.h > page.h {
			t.Errorf("bar %+v is not where bars are", b)
		}
	}
	return texts, bars
}

func TestChart(t *testing.T) {
	a, b := example(), example()
	b.runners[4].name = `<&"ü 日`
	b.samples[0] = []sample{round(0.0123, 0.02, summed)}
	for i := range b.samples {
		b.samples[i] = b.samples[i][:1]
	}
	texts, bars := checkChart(t, chart([]*result{a, b}))
	var all []string
	for _, b := range texts {
		all = append(all, b.text)
	}
	for _, want := range []string{"A contest", "agent", "checks nothing", "2.20", "1,234", `<&"ü 日`, "0.01"} {
		if !strings.Contains("\n"+strings.Join(all, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("no text %q among %q", want, all)
		}
	}
	// The agent's bar is 2.2 s of an axis that ends above six times its wall time.
	agent := bars[6]
	slowest := bars[len(bars)-1]
	if agent.w <= 0 || slowest.x+slowest.w > figuresFrom+0.1 {
		t.Errorf("bars are %+v", bars)
	}
}

// TestEveryTitleFits proves that the contests there are can be drawn.
func TestEveryTitleFits(t *testing.T) {
	var all []*result
	for _, c := range contests {
		r := &result{contest: c, load: c.load}
		for range c.runners {
			r.samples = append(r.samples, []sample{round(1234.56, 2345.67, summed)})
		}
		all = append(all, r)
	}
	checkChart(t, chart(all))
}

func TestScale(t *testing.T) {
	for _, c := range []struct{ cpu, most, step float64 }{{1, 1, 0.2}, {1.01, 1.2, 0.2}, {3.3, 3.5, 0.5}, {7, 7, 1}, {0.05, 0.05, 0.01}, {61, 70, 10}} {
		r := &result{contest: contest{runners: []runner{{}}}, samples: [][]sample{{round(c.cpu, 0, summed)}}}
		most, step := r.scale()
		if diff := most - c.most; diff > 1e-9 || diff < -1e-9 || step-c.step > 1e-9 || c.step-step > 1e-9 {
			t.Errorf("%v: the axis ends at %v by %v, want %v by %v", c.cpu, most, step, c.most, c.step)
		}
	}
}
