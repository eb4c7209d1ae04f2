package s3store

import (
	"cmp"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer/storetest"
)

var (
	faultSeed = flag.Uint64("seed", 1, "of the fault tests: the same seed makes the same cases")
	soakFor   = flag.Duration("soak", 0, "how long TestSoak goes on")
)

// faultKind is one thing that happens to a call.
type faultKind struct {
	name string
	// make is the fault for one operation; false where it can't happen to it.
	make func(op string) (storetest.Fault, bool)
	says []string // what failed by it says one of these
	ends map[string][]string
	// voids: it makes worthless what the store has acknowledged, so that a file
	// starts over.
	voids bool
	// loses: the store has done what was asked for, and its answer can't be read.
	loses bool
	// kills: the process dies there. Answer is made for each case.
	kills bool
}

// How long a fault goes on.
const (
	once      = "once"
	ten       = "ten-times"
	fiveMins  = "five-minutes"
	faultLong = 5 * time.Minute
)

var faultTimes = []string{once, ten, fiveMins}

// What a run may end with, by how long a fault went on. See classOf.
var (
	// trouble passes, or is given up: for one object after ten attempts while
	// the store is otherwise well, for all a minute after the first request.
	troubleEnds = map[string][]string{once: {"done"}, ten: {"done", "files", "unreachable"}, fiveMins: {"done", "files", "unreachable"}}
	// Expiry is never a failure.
	expiryEnds = map[string][]string{once: {"done"}, ten: {"done"}, fiveMins: {"done"}}
	skewEnds   = map[string][]string{once: {"done"}, ten: {"done", "files", "refused"}, fiveMins: {"done", "files", "refused"}}
	// A denial is of one object, or of all.
	deniedEnds = map[string][]string{once: {"done", "files", "refused"}, ten: {"done", "files", "refused"}, fiveMins: {"done", "files", "refused"}}
	wrongEnds  = map[string][]string{once: {"done"}, ten: {"done", "files"}, fiveMins: {"done", "files"}}
)

func always(f storetest.Fault) func(string) (storetest.Fault, bool) {
	return func(string) (storetest.Fault, bool) { return f, true }
}

// onceTakes is how long a run with one fault takes at most.
const onceTakes = 3 * time.Minute

// stallTime is how long the HTTP client waits for the header of an answer.
const stallTime = time.Minute

var faultKinds = []faultKind{
	{name: "503", make: always(storetest.Refuse(503, "SlowDown")), says: []string{"SlowDown", "HTTP 503"}, ends: troubleEnds},
	{name: "500", make: always(storetest.Refuse(500, "InternalError")), says: []string{"InternalError", "HTTP 500"}, ends: troubleEnds},
	{name: "reset-before", make: always(storetest.Reset(false)), says: []string{"connection reset"}, ends: troubleEnds},
	{name: "reset-amid", make: always(storetest.Cut()), says: []string{"connection reset"}, ends: troubleEnds},
	{name: "reset-after", make: always(storetest.Reset(true)), says: []string{"connection reset"}, ends: troubleEnds, loses: true},
	{name: "lost-reply", make: always(storetest.Timeout(stallTime, true)), says: []string{"timeout"}, ends: troubleEnds, loses: true},
	{name: "stall", make: always(storetest.Timeout(stallTime, false)), says: []string{"timeout"}, ends: troubleEnds},
	{name: "stall-amid", make: always(storetest.Stall(stallTime)), says: []string{"timeout", errStalled.Error()}, ends: troubleEnds, loses: true},
	{name: "truncated", make: always(storetest.Truncate()), says: []string{"EOF"}, ends: troubleEnds, loses: true},
	{name: "portal", make: always(storetest.HTML()), says: []string{errNotS3.Error()}, ends: troubleEnds},
	{name: "portal-etag", make: always(storetest.Tagged()), says: []string{errNotS3.Error(), "object replaced"}, ends: troubleEnds},
	{name: "garbage", make: always(storetest.Garbage()), says: []string{errNotS3.Error(), "XML", "EOF"}, ends: troubleEnds, loses: true},
	{name: "wrong-etag", make: wrongETag, says: []string{errStartOver.Error(), "object replaced"}, ends: wrongEnds, voids: true},
	{name: "wrong-sum", make: wrongSum, says: []string{errBadAnswer.Error(), errStartOver.Error(), "checksum"}, ends: wrongEnds, voids: true},
	{name: "expired", make: always(storetest.Refuse(400, "ExpiredToken")), says: []string{"ExpiredToken"}, ends: expiryEnds},
	{name: "skewed", make: always(storetest.Skewed(20 * time.Minute)), says: []string{"RequestTimeTooSkewed", "HTTP 403", "access denied"}, ends: skewEnds},
	{name: "denied", make: always(storetest.Refuse(403, "AccessDenied")), says: []string{"AccessDenied", "access denied"}, ends: deniedEnds},
	{name: "killed-before", make: always(storetest.Fault{}), says: deathWords, ends: killEnds, kills: true},
	{name: "killed-after", make: always(storetest.Fault{After: true}), says: deathWords, ends: killEnds, kills: true, loses: true},
}

var (
	killEnds   = map[string][]string{once: {"killed", "done"}} // done where it makes no second such call
	deathWords = []string{errDead.Error(), "canceled"}
)

const (
	strangeETag = "00000000000000000000000000000000"
	strangeSum  = "AAAAAAAAAAA="
)

func wrongETag(op string) (storetest.Fault, bool) {
	switch op {
	case opPut, opPart, opHead, opGet:
		return storetest.Header("ETag", `"`+strangeETag+`"`), true
	case opComplete, opParts, opList:
		return storetest.Element("ETag", "&quot;"+strangeETag+"&quot;"), true
	}
	return storetest.Fault{}, false
}

func wrongSum(op string) (storetest.Fault, bool) {
	switch op {
	case opPut, opPart, opHead, opGet:
		return storetest.Header("X-Amz-Checksum-Crc64nvme", strangeSum), true
	case opComplete, opParts:
		return storetest.Element("ChecksumCRC64NVME", strangeSum), true
	}
	return storetest.Fault{}, false
}

// voidsBy: so does a lost answer to Complete, of which something else may come than
// an object; and a page's ETag for an object's.
func (k *faultKind) voidsBy(op string) bool {
	return k.voids || k.loses && op == opComplete || k.name == "portal-etag" && op == opHead
}

func kindNamed(name string) *faultKind {
	for i := range faultKinds {
		if faultKinds[i].name == name {
			return &faultKinds[i]
		}
	}
	return nil
}

// faultCase is one cell of the matrix.
type faultCase struct{ scene, op, kind, times string }

func (c faultCase) String() string { return c.scene + "/" + c.op + "/" + c.kind + "/" + c.times }

// dice are what differs between two seeds of a case.
func (c faultCase) dice() *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(c.String()))
	return rand.New(rand.NewPCG(*faultSeed, h.Sum64()))
}

// faultCases are all that make sense.
func faultCases() (all []faultCase) {
	for _, s := range scenes {
		for _, op := range s.ops {
			for _, k := range faultKinds {
				if _, ok := k.make(op); !ok {
					continue
				}
				for _, times := range faultTimes {
					if k.ends[times] == nil {
						continue
					}
					all = append(all, faultCase{s.name, op, k.name, times})
				}
			}
		}
	}
	return all
}

// when matches requests for as long as the case says. from is how many pass
// before the first.
func (c faultCase) when(from int, met func(*http.Request)) func(*http.Request) bool {
	seen, heads := 0, map[string]int{}
	var until time.Time
	return func(r *http.Request) bool {
		if storetest.OpOf(r) != c.op {
			return false
		}
		if heads[r.URL.Path]++; c.op == opHead && sceneNamed(c.scene).settled && heads[r.URL.Path] == 1 {
			return false
		}
		seen++
		hit := false
		switch {
		case seen <= from:
		case c.times == once:
			hit = seen == from+1
		case c.times == ten:
			hit = seen <= from+10
		default:
			if until.IsZero() {
				until = time.Now().Add(faultLong)
			}
			hit = time.Now().Before(until)
		}
		if hit {
			met(r)
		}
		return hit
	}
}

// played is how a case went.
type played struct {
	faultCase
	class string // of the run with faults
	hits  int
	toll  toll
	extra int64 // bytes that went over the wire more than once
	wrong []string
}

// play runs the case with its faults, and then without, as often as it takes to
// be certain that it is at rest.
func (c faultCase) play(t *testing.T, source string) (v played) {
	v.faultCase = c
	rnd := c.dice()
	w := newWorld(t, sceneNamed(c.scene), source, rnd)
	kind := kindNamed(c.kind)
	fault, _ := kind.make(c.op)
	if kind.kills {
		fault.Answer = func(*http.Request, *http.Response) (*http.Response, error) { return nil, w.crash() }
	}
	from := 0
	if many := []string{opPut, opPart, opGet, opDelete}; c.times == once && slices.Contains(many, c.op) {
		from = rnd.IntN(2)
	}
	var mu sync.Mutex
	w.faults.On(0, c.when(from, func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		v.hits++
		w.wires[len(w.wires)-1].met(r, kind)
	}), fault)

	began := time.Now()
	first := w.run()
	if took := time.Since(began); c.times == once && took > onceTakes+w.s3.waits() {
		w.wronged("it took %v", took)
	}
	v.class = first.class
	if !slices.Contains(kind.ends[c.times], first.class) {
		w.wronged("it ended as %q:\n%s", first.class, first.text)
	}
	if first.class != "done" && !saysOne(first.text, kind.says) {
		w.wronged("none of %q is in what it says:\n%s", kind.says, first.text)
	}
	w.inspect(first.class == "done")

	w.faults.Clear()
	if second := w.run(); second.class != "done" {
		w.wronged("without faults it ended as %q:\n%s", second.class, second.text)
	}
	w.inspect(true)
	v.toll = w.toll()
	v.extra = v.toll.again + v.toll.hit + v.toll.cut
	c.bounds(w, kind, v)
	v.wrong = w.wrong
	return v
}

func saysOne(text string, says []string) bool {
	return slices.ContainsFunc(says, func(s string) bool { return strings.Contains(text, s) })
}

// bounds holds what was sent again against what may be: the bodies of requests
// that met the fault, what was under way beside one that failed for good, and
// nothing that was acknowledged, but for a file whose upload the store itself
// says to be worthless, which may begin three times in each run.
func (c faultCase) bounds(w *world, kind *faultKind, v played) {
	acknowledged := w.worthless
	const lanes = 4
	switch {
	case kind.kills: // what was not on disk yet
		acknowledged += lanes * MinPartSize
	case kind.voidsBy(c.op):
		acknowledged += 2 * 3 * int64(len(faultFiles()[faultBig]))
	}
	if v.toll.again > acknowledged {
		w.wronged("%d bytes were acknowledged and sent again", v.toll.again)
	}
	if underWay := int64(3 * lanes * MinPartSize); v.toll.cut > underWay {
		w.wronged("%d bytes were under way beside what failed", v.toll.cut)
	}
}

// TestFaultMatrix proves of a sample of the matrix that every end is the right
// one: all is done, or it stops with what is wrong said and goes on later; that
// nothing is ever said to be done which is not; and that what was acknowledged
// is not sent again. Always among them is that an answer to Complete was lost and an
// older object is there. TestLongFaultMatrix plays all of it.
func TestFaultMatrix(t *testing.T) {
	all := faultCases()
	rnd := rand.New(rand.NewPCG(*faultSeed, 0))
	rnd.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	sample := all[:60:60]
	for _, c := range all[60:] {
		if c.op == opComplete && c.times == once && kindNamed(c.kind).loses && sceneNamed(c.scene).older {
			sample = append(sample, c)
		}
	}
	playAll(t, sample)
}

// playAll plays cases, and says in sum how they went.
func playAll(t *testing.T, cases []faultCase) {
	source := faultDir(t)
	var mu sync.Mutex
	var all []played
	t.Run("case", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				var v played
				synctest.Test(t, func(t *testing.T) { v = c.play(t, source) })
				if len(v.wrong) > 0 {
					t.Errorf("%s\nagain: go test ./transfer/s3store -run '^TestFaultCase$' -case %s -seed %d", strings.Join(v.wrong, "\n"), c, *faultSeed)
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, v)
			})
		}
	})
	tellPlayed(t, all)
}

var faultOne = flag.String("case", "", "the one case of TestFaultCase, as its failure names it")

// TestFaultCase plays the case of the flag -case, by default the worst that
// there is: a lost answer to Complete.
func TestFaultCase(t *testing.T) {
	name := cmp.Or(*faultOne, faultCase{"upload", opComplete, "lost-reply", once}.String())
	for _, c := range faultCases() {
		if c.String() == name {
			playAll(t, []faultCase{c})
			return
		}
	}
	t.Fatalf("there is no case %q", name)
}

// tellPlayed prints the sums that docs/faults.md has, and fails where cases did not
// meet their fault: of all more than a twentieth, of a kind or a call more than a
// tenth. Such a case proves nothing.
func tellPlayed(t *testing.T, all []played) {
	type row struct {
		cases, met int
		ends       map[string]int
		worst      played
	}
	rows := map[string]*row{}
	total := row{ends: map[string]int{}}
	for _, v := range all {
		call := v.scene + "/" + v.op
		for _, name := range []string{v.kind, call} {
			if rows[name] == nil {
				rows[name] = &row{ends: map[string]int{}}
			}
		}
		for _, r := range []*row{rows[v.kind], rows[call], &total} {
			r.cases++
			if v.hits > 0 {
				r.met++
			}
			r.ends[v.class]++
			if v.extra >= r.worst.extra {
				r.worst = v
			}
		}
	}
	line := func(name string, r *row) {
		ends := fmt.Sprint(r.ends)
		t.Logf("%-13s %4d cases, %4d met it, ends %s; sent again at worst %.1f MiB (acknowledged %.1f) in %s",
			name, r.cases, r.met, strings.TrimPrefix(ends, "map"), float64(r.worst.extra)/(1<<20), float64(r.worst.toll.again)/(1<<20), r.worst.faultCase)
	}
	for _, k := range faultKinds {
		if r := rows[k.name]; r != nil {
			line(k.name, r)
		}
	}
	line("all", &total)
	if missed := total.cases - total.met; missed*20 > total.cases {
		t.Errorf("%d of %d cases did not meet their fault", missed, total.cases)
	}
	for name, r := range rows {
		if missed := r.cases - r.met; missed*10 > r.cases && missed > 1 {
			t.Errorf("%s: %d of %d cases did not meet their fault", name, missed, r.cases)
		}
	}
}
