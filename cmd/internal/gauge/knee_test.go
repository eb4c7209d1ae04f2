package gauge

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// points makes them from rates with 1, 2, 4 … of something.
func points(rates ...float64) []Point {
	var all []Point
	for i, r := range rates {
		all = append(all, Point{N: 1 << i, Samples: []float64{r}})
	}
	return all
}

func TestKnee(t *testing.T) {
	for name, tt := range map[string]struct {
		rates []float64
		want  int
	}{
		"nothing measured":          {nil, -1},
		"one is enough":             {[]float64{100, 101, 99}, 0},
		"more than enough":          {[]float64{25, 50, 93, 98, 100, 97}, 3},
		"just enough":               {[]float64{50, 95, 100}, 1},
		"not quite":                 {[]float64{50, 94.9, 100}, 2},
		"still growing":             {[]float64{10, 20, 40, 80}, 3},
		"falls again":               {[]float64{40, 100, 60, 50}, 1},
		"a dip does not hide it":    {[]float64{40, 96, 30, 100}, 1},
		"nothing goes through":      {[]float64{0, 0}, 0},
		"the first one is the best": {[]float64{100, 10}, 0},
	} {
		if got := Knee(points(tt.rates...)); got != tt.want {
			t.Errorf("%s: %v: %d, want %d", name, tt.rates, got, tt.want)
		}
	}
}

// TestKneeOfAny: whatever was measured, the knee is enough and nothing before it is.
func TestKneeOfAny(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var ps []Point
		for i := range 1 + rnd.IntN(8) {
			p := Point{N: 1 << i}
			for range 1 + rnd.IntN(3) {
				p.Samples = append(p.Samples, rnd.Float64()*100)
			}
			ps = append(ps, p)
		}
		k, best := Knee(ps), Best(ps)
		if k < 0 || ps[k].Rate() < Enough*best {
			t.Fatalf("%v: %d is not enough", ps, k)
		}
		for _, p := range ps[:k] {
			if p.Rate() >= Enough*best {
				t.Fatalf("%v: %d, but %d is enough", ps, k, p.N)
			}
		}
		if w := Worth(ps); !slices.Contains(w, k) || !slices.IsSorted(w) || len(w) > 3 {
			t.Fatalf("%v: worth %v", ps, w)
		}
	}
}

func TestSweepEndsWhereMoreBringsNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		rates []float64 // of the whole ladder
		want  int       // that are measured
	}{
		"one lane fills it":        {[]float64{100, 100, 101, 100, 100}, 3},
		"grows to the end":         {[]float64{10, 20, 40, 80, 160}, 5},
		"two in a row end it":      {[]float64{10, 20, 40, 41, 40, 80}, 5},
		"one bad one does not":     {[]float64{10, 20, 9, 80, 80, 80, 160}, 6},
		"fewer than it takes":      {[]float64{10, 10}, 2},
		"slow growth is no reason": {[]float64{100, 102, 104, 106}, 3},
	} {
		ladder := make([]int64, len(tt.rates))
		for i := range ladder {
			ladder[i] = int64(i)
		}
		got, err := Sweep(t.Context(), ladder, nil, func(_ context.Context, n int64) (float64, error) { return tt.rates[n], nil })
		if err != nil || len(got) != tt.want {
			t.Errorf("%s: %d measured, want %d (%v)", name, len(got), tt.want, err)
		}
	}
	few, err := Sweep(t.Context(), []int64{1, 2, 4, 8}, func(ps []Point, n int64) bool { return float64(n)*Best(ps) < 8 },
		func(_ context.Context, n int64) (float64, error) { return float64(n), nil })
	if err != nil || len(few) != 2 {
		t.Errorf("where no more fit: %v, %v", few, err)
	}
	failed := errors.New("no")
	got, err := Sweep(t.Context(), []int64{1, 2, 4}, nil, func(_ context.Context, n int64) (float64, error) {
		if n == 4 {
			return 0, failed
		}
		return float64(n), nil
	})
	if !errors.Is(err, failed) || len(got) != 2 {
		t.Errorf("with an error: %v, %v", got, err)
	}
}

func TestQuantile(t *testing.T) {
	v := []float64{40, 10, 30, 20}
	for q, want := range map[float64]float64{0: 10, 0.5: 25, 1: 40, -1: 10, 2: 40} {
		if got := Quantile(v, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if got := Quantile([]float64{7}, 0.95); got != 7 {
		t.Errorf("of one: %v", got)
	}
	if got := Quantile(nil, 0.5); got != 0 {
		t.Errorf("of none: %v", got)
	}
	if !slices.Equal(v, []float64{40, 10, 30, 20}) {
		t.Errorf("its values were sorted: %v", v)
	}
}

func TestVerdict(t *testing.T) {
	const mib = 1 << 20
	auto := func(samples ...float64) Point { return Point{Samples: samples} }
	sizes := func(rates ...float64) []Point {
		var all []Point
		for i, r := range rates {
			all = append(all, Point{N: 8 * mib << i, Samples: []float64{r}})
		}
		return all
	}
	for name, tt := range map[string]struct {
		in   Found
		want Verdict
	}{
		"automatic is enough": {
			Found{Lanes: points(25, 50, 99, 100), Auto: auto(97), Small: points(40, 80, 80), AutoSmall: auto(80)},
			Verdict{Rate: 100, Lanes: 4, Small: 80, AtOnce: 2, Share: 0.97, SmallShare: 1},
		},
		"automatic is better than all": {
			Found{Lanes: points(25, 50, 99, 100), Auto: auto(120)},
			Verdict{Rate: 120, Lanes: 4, AutoBest: true, Share: 1},
		},
		"automatic is enough where more might bring more": {
			Found{Lanes: points(25, 50, 100), Auto: auto(99)},
			Verdict{Rate: 100, Lanes: 4, Share: 0.99},
		},
		"automatic is nearly enough": {
			Found{Lanes: points(25, 50, 99, 100), Auto: auto(91), Sizes: sizes(90, 100, 109, 110), Part: 16 * mib},
			Verdict{Rate: 100, Lanes: 4, Share: 0.91},
		},
		"automatic uses too few": {
			Found{Lanes: points(10, 20, 40, 80, 150, 152), Auto: auto(80)},
			Verdict{Rate: 152, Lanes: 16, Share: 80. / 152, Parallel: 16},
		},
		"noise excuses it": {
			Found{Lanes: []Point{{N: 1, Samples: []float64{45, 55}}, {N: 2, Samples: []float64{90, 110}}}, Auto: auto(80, 90)},
			Verdict{Rate: 100, Lanes: 2, Grows: true, Share: 0.85, Noise: 0.2, Noisy: true},
		},
		"but not everything": {
			Found{Lanes: []Point{{N: 1, Samples: []float64{45, 55}}, {N: 2, Samples: []float64{90, 110}}}, Auto: auto(70)},
			Verdict{Rate: 100, Lanes: 2, Grows: true, Share: 0.7, Noise: 0.2, Parallel: 2},
		},
		"not even where nothing is sure": {
			Found{Lanes: []Point{{N: 1, Samples: []float64{10, 90}}, {N: 2, Samples: []float64{20, 180}}}, Auto: auto(49)},
			Verdict{Rate: 100, Lanes: 2, Grows: true, Share: 0.49, Noise: 1.6, Parallel: 2},
		},
		"noise of large files excuses no small ones": {
			Found{Lanes: []Point{{N: 1, Samples: []float64{80, 120}}}, Auto: auto(90), Small: points(10, 50), AutoSmall: auto(40), SmallLanes: 1},
			Verdict{Rate: 100, Lanes: 1, Share: 0.9, Small: 50, AtOnce: 2, SmallShare: 0.8, Noise: 0.4, Parallel: 2},
		},
		"small files want more": {
			Found{Lanes: points(99, 100, 100), Auto: auto(99), Small: []Point{{N: 16, Samples: []float64{100}}, {N: 66, Samples: []float64{400}}}, AutoSmall: auto(200), SmallLanes: 4},
			Verdict{Rate: 100, Lanes: 1, Share: 0.99, Small: 400, AtOnce: 66, SmallShare: 0.5, Parallel: 17},
		},
		"what large files need is not taken from them": {
			Found{Lanes: points(10, 20, 40, 80, 80, 80), Auto: auto(80), Small: points(10, 20), AutoSmall: auto(10), SmallLanes: 4},
			Verdict{Rate: 80, Lanes: 8, Share: 1, Small: 20, AtOnce: 2, SmallShare: 0.5},
		},
		"larger parts are better": {
			Found{Lanes: points(50, 100, 100), Auto: auto(100), Sizes: sizes(60, 100, 130, 131), Part: 16 * mib},
			Verdict{Rate: 131, Lanes: 2, Share: 100. / 131, Part: 32 * mib},
		},
		"larger parts hardly matter": {
			Found{Lanes: points(50, 100, 100), Auto: auto(100), Sizes: sizes(60, 100, 103, 104), Part: 16 * mib},
			Verdict{Rate: 100, Lanes: 2, Share: 1},
		},
		"automatic has found the size": {
			Found{Lanes: points(50, 100, 100), Auto: auto(130), Sizes: sizes(60, 100, 130, 131), Part: 16 * mib},
			Verdict{Rate: 130, Lanes: 2, AutoBest: true, Share: 1},
		},
		"small files need no more than automatic has open": {
			Found{Lanes: points(50, 50), Auto: auto(100), AutoLanes: 7, Small: points(10, 20, 40, 80, 160), AutoSmall: auto(20), SmallLanes: 4},
			Verdict{Rate: 100, Lanes: 1, AutoBest: true, Share: 1, Small: 160, AtOnce: 16, SmallShare: 0.125},
		},
		"nothing was measured": {Found{}, Verdict{}},
	} {
		if got := Judge(tt.in); got != tt.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, tt.want)
		}
	}
}
