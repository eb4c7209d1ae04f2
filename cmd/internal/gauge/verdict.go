package gauge

// Found is all that was measured of a link. What is empty was not.
type Found struct {
	Lanes []Point // bytes a second by lanes, with parts of Part bytes
	Sizes []Point // bytes a second by bytes of a part, with the knee's lanes
	Small []Point // small objects a second by requests at once

	Auto      Point // bytes a second of the default settings
	AutoSmall Point // small objects a second of them

	AutoLanes int64 // that the default settings came to; 0: not known

	Part       int64 // bytes
	SmallLanes int64 // how many small requests take the place of one lane; at least 1
}

// Verdict is what Found means.
type Verdict struct {
	Rate   float64 // bytes a second that the link carries
	Lanes  int64   // the fewest that carry it
	Grows  bool    // the most lanes that were tried were still better than anything else
	Small  float64 // small objects a second
	AtOnce int64   // the fewest requests for that

	AutoBest   bool    // the default settings were clearly better than all that was tried: Lanes says little
	Share      float64 // of Rate, that the default settings reached; at most 1
	SmallShare float64 // of Small

	Noise float64 // by how much the samples of the same differ, as a share of them
	Noisy bool    // where the default settings reached less, that may be noise

	// What to set; 0 leaves it to the default settings.
	Parallel int64
	Part     int64 // bytes
}

// Nothing reports that the default settings do already.
func (v Verdict) Nothing() bool { return v.Parallel == 0 && v.Part == 0 }

// Close is the share of the best rate from which on nothing is worth setting: a
// fixed number can't follow the link.
const Close = 0.9

// noisiest is the most that noise excuses.
const noisiest = 0.5

// Noise is by how much samples of the same differ: the median of the points' spreads.
func Noise(points ...Point) float64 {
	var spreads []float64
	for _, p := range points {
		if len(p.Samples) > 1 {
			spreads = append(spreads, p.Spread())
		}
	}
	return Quantile(spreads, 0.5)
}

// Judge says what the link carries and what, if anything, is to be set for that.
func Judge(f Found) Verdict {
	var v Verdict
	noise := Noise(append([]Point{f.Auto}, f.Lanes...)...)
	v.Noise = max(noise, Noise(append([]Point{f.AutoSmall}, f.Small...)...))
	if knee := Knee(f.Lanes); knee >= 0 {
		v.Lanes, v.Rate = f.Lanes[knee].N, max(Best(f.Lanes), f.Auto.Rate())
		v.Share = share(f.Auto, v.Rate)
		v.AutoBest = Best(f.Lanes) < Close*v.Rate
		v.Grows = knee == len(f.Lanes)-1 && knee > 0 && v.Share < Close
		if enough(f.Auto, v.Rate, noise) {
			v.Noisy = v.Share < Close
		} else {
			v.Parallel = v.Lanes
		}
	}
	v.size(f, noise)
	v.small(f)
	return v
}

// size judges the sizes of parts: only one that is clearly better than the usual
// one is worth a setting.
func (v *Verdict) size(f Found, noise float64) {
	at, best := Knee(f.Sizes), Best(f.Sizes)
	if at < 0 || len(f.Auto.Samples) > 0 && enough(f.Auto, best, noise) {
		return
	}
	for _, p := range f.Sizes {
		if p.N == f.Part && enough(p, best, noise) {
			return
		}
	}
	v.Part = f.Sizes[at].N
	if best > v.Rate {
		v.Rate = best
		v.Share = share(f.Auto, best)
	}
}

// small judges small objects. Fewer lanes than large ones need would help them at
// the others' cost.
func (v *Verdict) small(f Found) {
	at := Knee(f.Small)
	if at < 0 {
		return
	}
	v.AtOnce, v.Small = f.Small[at].N, max(Best(f.Small), f.AutoSmall.Rate())
	v.SmallShare = share(f.AutoSmall, v.Small)
	n := max(1, f.SmallLanes)
	lanes := (v.AtOnce + n - 1) / n
	switch {
	case enough(f.AutoSmall, v.Small, Noise(append([]Point{f.AutoSmall}, f.Small...)...)):
		v.Noisy = v.Noisy || v.SmallShare < Close
	case lanes > max(v.Lanes, f.AutoLanes):
		v.Parallel = lanes
	}
}

// share is what p has of the best; 0 where it was not measured.
func share(p Point, best float64) float64 {
	if best <= 0 {
		return 0
	}
	return min(1, p.Rate()/best)
}

// enough reports that what was not measured can't be blamed, and that p, by what
// is known of the noise, may be as good as the best.
func enough(p Point, best, noise float64) bool {
	if len(p.Samples) == 0 {
		return true
	}
	slack := max(1-Close, min(noisiest, noise))
	return p.Rate() >= (1-slack)*best
}
