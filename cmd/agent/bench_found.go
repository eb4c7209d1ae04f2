package main

import "agent/cmd/internal/gauge"

// benchSample is what a step came to, and what disturbed it.
type benchSample struct {
	gauge.Sample
	retries int64
	waited  bool
}

// What steps are about, as --json names it.
const (
	aboutSmall    = "small"
	aboutUpload   = "upload"
	aboutSizes    = "part_size"
	aboutDownload = "download"
)

// rate is what is compared: small objects are counted, not weighed.
func (s *benchSample) rate(about string) float64 {
	if about == aboutSmall {
		return s.ObjectRate()
	}
	return s.Rate()
}

// benchFound is all that was measured.
type benchFound struct {
	gauge.Found
	latency []float64 // seconds
	fetched []gauge.Point
	trouble map[benchAbout]trouble
	short   bool // steps were ended by --max-bytes before they said much
}

// benchAbout names what was measured with n of something; 0 is the default settings.
type benchAbout struct {
	about string
	n     int64
}

// trouble is what was in the way of a measurement.
type trouble struct {
	retries int64
	waited  bool
}

// disturbed takes note of what was in the way of a step.
func (f *benchFound) disturbed(about string, n int64, s benchSample) {
	if s.retries == 0 && !s.waited {
		return
	}
	if f.trouble == nil {
		f.trouble = map[benchAbout]trouble{}
	}
	t := f.trouble[benchAbout{about, n}]
	f.trouble[benchAbout{about, n}] = trouble{t.retries + s.retries, t.waited || s.waited}
}
