package s3store

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer/storetest"
)

// episode is a job that meets many faults at once, and kills between.
type episode struct {
	seed  uint64
	scene *scene
	share float64 // of the requests that meet one
	runs  int     // with faults
}

func newEpisode(seed uint64) (episode, *rand.Rand) {
	rnd := rand.New(rand.NewPCG(seed, 3))
	return episode{
		seed: seed, scene: scenes[rnd.IntN(len(scenes))],
		share: 0.02 + 0.4*rnd.Float64()*rnd.Float64(), runs: 1 + rnd.IntN(4),
	}, rnd
}

// strike is a fault for one attempt of a request; false for none. It depends on
// what is asked for and not on when, so that a seed can be played again.
func (e episode) strike(r *http.Request, run, attempt int) (*faultKind, storetest.Fault, bool) {
	h := fnv.New64a()
	fmt.Fprint(h, r.Method, r.URL.Path, r.URL.Query().Get("partNumber"), r.Header.Get("Range"), run)
	rnd := rand.New(rand.NewPCG(e.seed^h.Sum64(), uint64(attempt)))
	if rnd.Float64() >= e.share {
		return nil, storetest.Fault{}, false
	}
	kind := &faultKinds[rnd.IntN(len(faultKinds))]
	if kind.kills { // at a step of the journal instead: so many would leave no run to live
		return nil, storetest.Fault{}, false
	}
	fault, ok := kind.make(storetest.OpOf(r))
	return kind, fault, ok
}

// struckBy is a fault that a request met.
type struckBy struct {
	kind *faultKind
	op   string
}

// bounds holds what was sent again against what the faults account for: a file
// that starts over for each that voids an upload, and for each kill what was not on
// disk yet; and what was under way beside what failed, was killed or voided. ended
// are the runs that did not end with everything done, kills those that died, and
// failed the files that did.
func (e episode) bounds(w *world, v played, met []struckBy, kills, ended, failed int) {
	const underWay = 4 * MinPartSize // a part for each lane
	voided, most := 0, w.worthless+int64(kills*underWay)
	for _, m := range met {
		if !m.kind.voidsBy(m.op) {
			continue
		}
		voided++
		for name, body := range faultFiles() {
			if name == faultBig || m.op == opList { // which is about all of them
				most += int64(len(body)) + framing
			}
		}
	}
	if v.toll.again > most {
		w.wronged("%d bytes were acknowledged and sent again, and %d faults and %d kills account for %d", v.toll.again, voided, kills, most)
	}
	if most := int64((ended + failed + voided) * underWay); v.toll.cut > most {
		w.wronged("%d bytes were under way beside what failed, and %d runs, %d files and %d faults account for %d", v.toll.cut, ended, failed, voided, most)
	}
}

// play lets every run meet faults of all kinds at random requests, and kills
// some of them at a random step of the journal. A last one meets none.
func (e episode) play(t *testing.T, source string, rnd *rand.Rand) (v played) {
	w := newWorld(t, e.scene, source, rnd)
	var met []struckBy
	kills, bad, failed := 0, 0, 0
	for n := range e.runs {
		w.faults = &storetest.Faulty{Next: &struck{world: w, episode: e, run: n, met: &met, attempts: map[string]int{}}}
		w.hook = e.killing(w, rnd)
		ended := w.run()
		if w.hook = nil; ended.class == "killed" {
			v.class = ended.class
			kills++
		}
		if failed += len(w.failed); ended.class != "done" {
			bad++
		}
		if ended.class == "stopped" || ended.class == "credentials" {
			w.wronged("it ended as %q:\n%s", ended.class, ended.text)
		}
		w.inspect(false)
	}
	w.faults = &storetest.Faulty{Next: w.s3}
	if last := w.run(); last.class != "done" {
		w.wronged("without faults it ended as %q:\n%s", last.class, last.text)
	}
	w.inspect(true)
	v.hits, v.toll = len(met), w.toll()
	v.extra = v.toll.again + v.toll.hit + v.toll.cut
	e.bounds(w, v, met, kills, bad, failed)
	v.wrong = w.wrong
	return v
}

// killing ends a run at a random call of the journal, if it makes so many.
func (e episode) killing(w *world, rnd *rand.Rand) func(call) error {
	at, after := 1+rnd.IntN(80), rnd.IntN(2) == 0
	return func(c call) error {
		if c.n == at && c.after == after {
			return w.crash()
		}
		return nil
	}
}

// struck is a store behind random faults.
type struck struct {
	*world
	episode
	run int
	met *[]struckBy

	mu       sync.Mutex
	attempts map[string]int // by what was asked for
}

// Do implements storetest.Doer.
func (s *struck) Do(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	unit := r.Method + r.URL.String() + r.Header.Get("Range")
	s.attempts[unit]++
	kind, fault, hit := s.strike(r, s.run, s.attempts[unit])
	if hit {
		*s.met = append(*s.met, struckBy{kind, storetest.OpOf(r)})
		s.wires[len(s.wires)-1].met(r, kind)
	}
	s.mu.Unlock()
	if !hit {
		return s.s3.Do(r)
	}
	var resp *http.Response
	if fault.After {
		var err error
		if resp, err = s.s3.Do(r); err != nil {
			return nil, err
		}
	}
	return fault.Answer(r, resp)
}

// TestSoak plays episodes of many faults at once: a few, or as many as go into
// the time of the flag -soak. 'make soak' does so for an hour.
func TestSoak(t *testing.T) {
	source := faultDir(t)
	const few = 10
	seed, hits, killed := *faultSeed, 0, 0
	var worst int64
	began := time.Now()
	for n := 0; n < few || time.Since(began) < *soakFor; n++ {
		e, rnd := newEpisode(seed)
		var v played
		synctest.Test(t, func(t *testing.T) { v = e.play(t, source, rnd) })
		hits += v.hits
		worst = max(worst, v.toll.again+v.toll.cut)
		if v.class == "killed" {
			killed++
		}
		if len(v.wrong) > 0 {
			t.Fatalf("%s, %.0f %% of the requests, %d runs:\n%s\nagain: go test ./transfer/s3store -run '^TestSoak$' -seed %d",
				e.scene.name, 100*e.share, e.runs, strings.Join(v.wrong, "\n"), seed)
		}
		seed++
	}
	t.Logf("%d episodes, %d faults, %d with a kill; of what met no fault at worst %.1f MiB went again", seed-*faultSeed, hits, killed, float64(worst)/(1<<20))
}
