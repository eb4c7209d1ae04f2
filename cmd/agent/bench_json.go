package main

import (
	"math"
	"time"

	"agent/cmd/internal/gauge"
)

// The lines of --json, as docs/json.md promises them: fields are added, never
// changed or removed. A test holds the examples there against these types.
type (
	benchHead struct {
		Type string `json:"type"`
		At   string `json:"time"`
	}
	benchStart struct {
		benchHead
		Prefix   string  `json:"prefix"`
		MaxBytes int64   `json:"max_bytes"`
		Time     float64 `json:"max_s"`
		Download bool    `json:"download"`
	}
	benchLatency struct {
		benchHead
		Samples int     `json:"samples"`
		Median  float64 `json:"median_ms"`
		P95     float64 `json:"p95_ms"`
	}
	benchStepLine struct {
		benchHead
		About       string   `json:"about"`
		Automatic   bool     `json:"automatic,omitempty"`
		Requests    int64    `json:"requests,omitempty"`
		Lanes       int64    `json:"lanes,omitempty"`
		ObjectBytes int64    `json:"object_bytes,omitempty"`
		Rate        *int64   `json:"bytes_per_s,omitempty"`
		ObjectRate  *float64 `json:"objects_per_s,omitempty"`
		Samples     int      `json:"samples"`
		Spread      float64  `json:"spread"`
		Retries     int64    `json:"retries"`
		Waited      bool     `json:"waited,omitempty"`
	}
	benchResult struct {
		benchHead
		Rate       int64   `json:"bytes_per_s"`
		Lanes      int64   `json:"lanes"`
		Grows      bool    `json:"grows,omitempty"`
		AutoBest   bool    `json:"automatic_best,omitempty"`
		Small      float64 `json:"small_per_s"`
		AtOnce     int64   `json:"small_at_once"`
		Fetched    int64   `json:"download_bytes_per_s,omitempty"`
		Share      float64 `json:"automatic_share"`
		SmallShare float64 `json:"automatic_small_share"`
		Noise      float64 `json:"noise"`
		Set        bool    `json:"set"`
		Parallel   int64   `json:"parallel,omitempty"`
		Part       int64   `json:"part_size,omitempty"`
		Moved      int64   `json:"bytes_moved"`
		Clean      bool    `json:"removed"`
	}
)

func (p *benchPrinter) head(kind string) benchHead {
	return benchHead{Type: kind, At: time.Now().UTC().Format("2006-01-02T15:04:05.000Z")}
}

func (p *benchPrinter) line(v any) error { return encodeLine(p.out, v) }

// steps writes a line for each point, and one for the default settings.
func (p *benchPrinter) steps(about string, points []gauge.Point, auto gauge.Point, size int64, f *benchFound) error {
	for _, pt := range points {
		l := p.stepLine(about, pt, f)
		l.ObjectBytes = size
		switch about {
		case aboutSmall:
			l.Requests = pt.N
		case aboutSizes:
			l.Lanes, l.ObjectBytes = f.Lanes[gauge.Knee(f.Lanes)].N, pt.N
		default:
			l.Lanes = pt.N
		}
		if err := p.line(l); err != nil {
			return err
		}
	}
	if len(auto.Samples) == 0 {
		return nil
	}
	l := p.stepLine(about, auto, f)
	l.Automatic = true
	if about == aboutUpload {
		l.Lanes = f.AutoLanes
	}
	return p.line(l)
}

func (p *benchPrinter) stepLine(about string, pt gauge.Point, f *benchFound) benchStepLine {
	t := f.trouble[benchAbout{about, pt.N}]
	l := benchStepLine{benchHead: p.head("step"), About: about, Samples: len(pt.Samples), Spread: decimals(pt.Spread()), Retries: t.retries, Waited: t.waited}
	if about == aboutSmall {
		l.ObjectRate = new(decimals(pt.Rate()))
	} else {
		l.Rate = new(int64(pt.Rate()))
	}
	return l
}

func newBenchResult(head benchHead, f *benchFound, v gauge.Verdict, moved int64, clean bool) benchResult {
	return benchResult{
		benchHead: head, Rate: int64(v.Rate), Lanes: v.Lanes, Grows: v.Grows, AutoBest: v.AutoBest, Small: decimals(v.Small), AtOnce: v.AtOnce,
		Fetched: int64(gauge.Best(f.fetched)), Share: decimals(v.Share), SmallShare: decimals(v.SmallShare),
		Noise: decimals(v.Noise), Set: !v.Nothing(), Parallel: v.Parallel, Part: v.Part, Moved: moved, Clean: clean,
	}
}

// decimals keeps three.
func decimals(f float64) float64 { return math.Round(f*1e3) / 1e3 }
