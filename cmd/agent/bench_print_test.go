package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"agent/cmd/internal/gauge"
)

func benchPoint(n int64, samples ...float64) gauge.Point { return gauge.Point{N: n, Samples: samples} }

// exampleFound is a link of 94 MB/s that eight lanes fill.
func exampleFound() benchFound {
	const mb = 1e6
	f := benchFound{latency: []float64{0.020, 0.023, 0.041}}
	f.Lanes = []gauge.Point{benchPoint(1, 24*mb), benchPoint(2, 48*mb), benchPoint(4, 80*mb), benchPoint(8, 93*mb, 94*mb), benchPoint(16, 94*mb, 94*mb)}
	f.Sizes = []gauge.Point{benchPoint(8<<20, 90*mb), benchPoint(16<<20, 94*mb), benchPoint(32<<20, 95*mb), benchPoint(64<<20, 95*mb)}
	f.Small = []gauge.Point{benchPoint(1, 38), benchPoint(4, 151), benchPoint(16, 560), benchPoint(64, 571)}
	f.Auto, f.AutoSmall = benchPoint(0, 91*mb, 92*mb), benchPoint(0, 566)
	f.Part, f.SmallLanes = benchPart, smallForLarge
	f.disturbed(aboutUpload, 16, benchSample{retries: 12})
	return f
}

// printed is all that is printed of f.
func printed(t testing.TB, f benchFound, o benchOptions, width int) string {
	t.Helper()
	var b bytes.Buffer
	p := benchPrinter{o: o, out: &b, width: width, at: "s3://b/ws/.agent-bench-k3v7q2ab/"}
	for _, part := range []func() error{
		p.start, func() error { return p.latency(f.latency) }, func() error { return p.small(f) }, func() error { return p.large(f) },
		func() error { return p.sizes(f, 8) }, func() error { return p.fetched(f) }, func() error { return p.conclusion(f, 1<<30, true) },
	} {
		if err := part(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func exampleOptions() benchOptions { return benchOptions{time: time.Minute, maxBytes: 16 << 30} }

func TestBenchPrints(t *testing.T) {
	f := exampleFound()
	f.fetched = []gauge.Point{benchPoint(1, 50e6), benchPoint(2, 100e6), benchPoint(4, 100e6)}
	o := exampleOptions()
	o.download = true
	want := `bench s3://b/ws/.agent-bench-k3v7q2ab/
  sends and fetches made-up data for about 1 min, at most 16 GiB;
  it is removed afterwards; requests are billed as always

small files, one by one: 23 ms each (median; 95% of 3: 39 ms)

small files of 10 KiB
    1 at once   38/s  ###
    4 at once  151/s  #############
   16 at once  560/s  ################################################  enough
   64 at once  571/s  #################################################
    automatic  566/s  #################################################

upload in parts of 16 MiB
       1 lane  22.9 MiB/s  ##########
      2 lanes  45.8 MiB/s  ####################
      4 lanes  76.3 MiB/s  #################################
      8 lanes  89.2 MiB/s  #######################################  enough
     16 lanes  89.6 MiB/s  #######################################  12 repeated
    automatic  87.3 MiB/s  ######################################

size of parts, 8 lanes
        8 MiB  85.8 MiB/s  ##########################################
       16 MiB  89.6 MiB/s  ############################################  enough
       32 MiB  90.6 MiB/s  ############################################
       64 MiB  90.6 MiB/s  ############################################

download
       1 lane  47.7 MiB/s  ######################
      2 lanes  95.4 MiB/s  ############################################  enough
      4 lanes  95.4 MiB/s  ############################################

your link carries 89.6 MiB/s (752 Mbit/s); 8 lanes are enough
small files go at 571/s; 16 at once are enough
downloads come at 95.4 MiB/s (800 Mbit/s) with 2 lanes
automatic reached 97% and 99% of that: nothing to set
`
	if got := printed(t, f, o, 80); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBenchConclusion(t *testing.T) {
	slow := func(change func(*benchFound)) benchFound {
		f := exampleFound()
		change(&f)
		return f
	}
	for name, tt := range map[string]struct {
		f    benchFound
		want []string
	}{
		"automatic is enough": {exampleFound(), []string{"automatic reached 97% and 99% of that: nothing to set"}},
		"too few lanes": {slow(func(f *benchFound) { f.Auto = benchPoint(0, 40e6) }),
			[]string{"automatic reached 43% and 99% of that: set --parallel 8", "  or in the file of 'agent config path': parallel = 8"}},
		"too small parts": {slow(func(f *benchFound) { f.Sizes = []gauge.Point{benchPoint(16<<20, 94e6), benchPoint(32<<20, 140e6)} }),
			[]string{"your link carries 134 MiB/s (1.12 Gbit/s); 8 lanes are enough", "automatic reached 65% and 99% of that: set --part-size 32MiB", `  or in the file of 'agent config path': part-size = "32MiB"`}},
		"it grows to the end": {slow(func(f *benchFound) { f.Lanes = f.Lanes[:3]; f.Auto = benchPoint(0, 70e6) }),
			[]string{"your link carries 76.3 MiB/s (640 Mbit/s); more than 4 lanes may bring more"}},
		"automatic is the best": {slow(func(f *benchFound) { f.Auto = benchPoint(0, 180e6) }),
			[]string{"your link carries 172 MiB/s (1.44 Gbit/s); automatic found the way", "automatic reached 100% and 99% of that: nothing to set"}},
		"one lane": {slow(func(f *benchFound) { f.Lanes = f.Lanes[4:]; f.Lanes[0].N = 1 }),
			[]string{"your link carries 89.6 MiB/s (752 Mbit/s); 1 lane is enough"}},
		"small files one after the other": {slow(func(f *benchFound) { f.Small = f.Small[:1]; f.AutoSmall = benchPoint(0, 20) }),
			[]string{"small files go at 38/s; one after the other is enough", "automatic reached 97% and 53% of that: nothing to set that would help both"}},
		"automatic is the best for small files": {slow(func(f *benchFound) { f.AutoSmall = benchPoint(0, 900) }),
			[]string{"small files go at 900/s; automatic found the way", "automatic reached 97% and 100% of that: nothing to set"}},
		"bytes ran out": {slow(func(f *benchFound) { f.short, f.Auto = true, benchPoint(0, 40e6) }),
			[]string{"but --max-bytes ended steps before they said much: allow more", "automatic reached 43% and 99% of that: set --parallel 8"}},
		"noise, and something to set": {slow(func(f *benchFound) {
			f.Auto = benchPoint(0, 30e6)
			f.Lanes[3], f.Lanes[4] = benchPoint(8, 70e6, 110e6), benchPoint(16, 80e6, 110e6)
		}), []string{"but the same measured again differs by 38%: repeat it before you set anything", "automatic reached 32% and 99% of that: set --parallel 16"}},
		"noise": {slow(func(f *benchFound) {
			f.Auto = benchPoint(0, 70e6)
			f.Lanes[3], f.Lanes[4] = benchPoint(8, 70e6, 110e6), benchPoint(16, 80e6, 110e6)
		}), []string{"but the same measured again differs by 38%: repeat it when all is quiet", "automatic reached 74% and 99% of that, and that may be noise: nothing to set"}},
	} {
		got := benchConclusion(&tt.f, gauge.Judge(tt.f.Found))
		for _, line := range tt.want {
			if !slices.Contains(got, line) {
				t.Errorf("%s: no %q in\n%s", name, line, strings.Join(got, "\n"))
			}
		}
	}
}

// TestBenchFits: whatever was measured, no line is wider than the terminal, but
// where names are longer.
func TestBenchFits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	some := func(ns []int64, most float64) []gauge.Point {
		var all []gauge.Point
		for _, n := range ns[:1+rnd.IntN(len(ns))] {
			all = append(all, benchPoint(n, rnd.Float64()*most, rnd.Float64()*most))
		}
		return all
	}
	for range 300 {
		most := []float64{10, 1e5, 1e8, 2e10}[rnd.IntN(4)]
		f := benchFound{latency: []float64{rnd.Float64() * 10}, fetched: some(benchLanes, most)}
		f.Lanes, f.Small, f.Sizes = some(benchLanes, most), some(benchAtOnce, most), some(benchSizes, most)
		f.Auto, f.AutoSmall = benchPoint(0, rnd.Float64()*most), benchPoint(0, rnd.Float64()*most)
		f.Part, f.SmallLanes = benchPart, smallForLarge
		f.disturbed(aboutUpload, f.Lanes[0].N, benchSample{retries: rnd.Int64N(1e6)})
		for _, width := range []int{60, 80, 100} {
			for line := range strings.Lines(printed(t, f, exampleOptions(), width)) {
				if n := len(strings.TrimSuffix(line, "\n")); n > max(width, 80) || strings.Contains(line, "#") && n >= width {
					t.Fatalf("%d columns in a terminal of %d: %q", n, width, line)
				}
			}
		}
	}
}

func TestBits(t *testing.T) {
	for in, want := range map[float64]string{
		0: "0 kbit/s", 1000: "8 kbit/s", 125e3: "1.0 Mbit/s", 1.25e6: "10 Mbit/s", 94e6: "752 Mbit/s", 125e6: "1.00 Gbit/s", 1.25e9: "10.0 Gbit/s",
	} {
		if got := bits(in); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[float64]string{0: "0.0/s", 3.14: "3.1/s", 38.4: "38/s", 1234: "1,234/s"} {
		if got := perSecond(in); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[float64]string{0.0011: "1.1 ms", 0.023: "23 ms", 0.99949: "999 ms", 1.2: "1.20 s"} {
		if got := benchSeconds(in); got != want {
			t.Errorf("%v: %q, want %q", in, got, want)
		}
	}
}

var benchLines = map[string]reflect.Type{
	"bench": reflect.TypeFor[benchStart](), "latency": reflect.TypeFor[benchLatency](), "step": reflect.TypeFor[benchStepLine](), "result": reflect.TypeFor[benchResult](),
}

// decodeBench reads a line the strict way: no field may be unknown, and none of
// those that are always there may be missing.
func decodeBench(t *testing.T, line string) (kind string) {
	t.Helper()
	var has map[string]any
	if err := json.Unmarshal([]byte(line), &has); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	kind, _ = has["type"].(string)
	typ, ok := benchLines[kind]
	if !ok {
		t.Fatalf("%s: unknown type", line)
	}
	dec := json.NewDecoder(strings.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(reflect.New(typ).Interface()); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	for name, optional := range benchFields(typ) {
		if _, ok := has[name]; !ok && !optional {
			t.Errorf("%s: no %s", line, name)
		}
	}
	return kind
}

func benchFields(typ reflect.Type) map[string]bool {
	out := map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		if !f.Anonymous {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			out[name] = options == "omitempty"
		}
	}
	return out
}

// TestBenchJSON: docs/json.md has an example of each line that is printed, and
// explains every field.
func TestBenchJSON(t *testing.T) {
	o := exampleOptions()
	o.json = true
	kinds := map[string]bool{}
	f := exampleFound()
	f.fetched = f.Lanes
	for line := range strings.Lines(printed(t, f, o, 80)) {
		kinds[decodeBench(t, line)] = true
	}
	page := readPage(t, filepath.Join(sourceRoot, "docs", "json.md"))
	_, section, ok := strings.Cut(page, "\n# Lines of agent bench\n")
	if !ok {
		t.Fatal("docs/json.md has no such section")
	}
	shown := map[string]bool{}
	for _, line := range regexp.MustCompile(`(?m)^\{.*$`).FindAllString(section, -1) {
		shown[decodeBench(t, line)] = true
	}
	for kind, typ := range benchLines {
		if !kinds[kind] || !shown[kind] {
			t.Errorf("%s: printed %v, in the page %v", kind, kinds[kind], shown[kind])
		}
		for name := range benchFields(typ) {
			if !strings.Contains(section, "`"+name+"`") {
				t.Errorf("%s: %s is not explained", kind, name)
			}
		}
	}
}

// TestBenchChecks: what can't measure anything is wrong use.
func TestBenchChecks(t *testing.T) {
	for change, ok := range map[string]bool{"": true, "--time=5s": true, "--time=4s": false, "--time=61m": false, "--max-bytes=64MiB": true, "--max-bytes=63MiB": false, "--json": true} {
		cmd := benchCommand(program, std{out: os.Stdout, err: os.Stderr})
		var o benchOptions
		cmd.ResetFlags()
		o.addFlags(cmd)
		if err := cmd.ParseFlags(strings.Fields(change)); err != nil {
			t.Fatal(err)
		}
		if err := o.check(); (err == nil) != ok {
			t.Errorf("%q: %v", change, err)
		}
	}
}
