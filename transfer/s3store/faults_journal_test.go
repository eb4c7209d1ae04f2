package s3store

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// stepCase is one step of the journal, and what happens there.
type stepCase struct {
	scene string
	how   string // a diskError's name, or "kill"
	n     int    // of the call, from 1
	after bool   // it was made, and nobody was told
}

const kill = "kill"

func (c stepCase) String() string {
	when := "before"
	if c.after {
		when = "after"
	}
	return fmt.Sprintf("%s/%s/%s-%d", c.scene, c.how, when, c.n)
}

// stepCases counts the calls that each scene makes, and takes every nth way to
// end one of them.
func stepCases(t *testing.T, source string, every int) (all []stepCase) {
	rnd := rand.New(rand.NewPCG(*faultSeed, 2))
	for _, s := range scenes {
		calls := 0
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, s, source, rnd)
			if e := w.run(); e.class != "done" || len(w.wrong) > 0 {
				t.Fatalf("%s without faults: %s %s %q", s.name, e.class, e.text, w.wrong)
			}
			calls = w.journal.Calls()
			w.inspect(true)
			if len(w.wrong) > 0 {
				t.Fatalf("%s without faults: %q", s.name, w.wrong)
			}
		})
		for n := range calls {
			for _, how := range []string{"ENOSPC", "EIO", kill} {
				all = append(all, stepCase{s.name, how, n + 1, false}, stepCase{s.name, how, n + 1, true})
			}
		}
	}
	if every == 1 {
		return all
	}
	rnd.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all[:len(all)/every]
}

// play ends a run at the step, and lets another go on.
func (c stepCase) play(t *testing.T, source string) (v played) {
	w := newWorld(t, sceneNamed(c.scene), source, rand.New(rand.NewPCG(*faultSeed, uint64(c.n))))
	reached := false
	var lost int64 // what the journal was not told of
	var mu sync.Mutex
	w.hook = func(at call) error {
		mu.Lock()
		defer mu.Unlock()
		if !reached && (at.n != c.n || at.after != c.after) {
			return nil
		}
		reached = true
		switch body := faultFiles()[strings.TrimPrefix(at.key, faultPrefix)]; {
		case at.method == "Part":
			lost += MinPartSize
		case at.method == "Done" && len(body) <= MinPartSize:
			lost += int64(len(body))
		}
		if c.how == kill {
			return w.crash()
		}
		return diskErrors[c.how]
	}
	first := w.run()
	v.class = first.class
	switch want := map[bool]string{true: "killed", false: "local"}[c.how == kill]; {
	case !reached: // this time it had less to do
		if first.class != "done" {
			w.wronged("without a fault it ended as %q:\n%s", first.class, first.text)
		}
	case first.class != want:
		w.wronged("it ended as %q, want %q:\n%s", first.class, want, first.text)
	case c.how != kill && !strings.Contains(first.text, diskErrors[c.how].Error()):
		w.wronged("%v is not in what it says:\n%s", diskErrors[c.how], first.text)
	}
	if reached {
		v.hits = 1
	}
	w.hook = nil
	w.inspect(false)
	if second := w.run(); second.class != "done" {
		w.wronged("after that it ended as %q:\n%s", second.class, second.text)
	}
	w.inspect(true)
	v.toll = w.toll()
	v.extra = v.toll.again + v.toll.cut
	if c.how == kill {
		lost += 4 * MinPartSize // what was queued for the next commit: a part for each lane
	}
	if lost += w.worthless; v.toll.again > lost {
		w.wronged("%d bytes were acknowledged and sent again, and the journal lacked %d", v.toll.again, lost)
	}
	if v.toll.cut > 4*MinPartSize {
		w.wronged("%d bytes were under way", v.toll.cut)
	}
	v.wrong = w.wrong
	return v
}

// playSteps plays one of every ways to end a step.
func playSteps(t *testing.T, every int) {
	source := faultDir(t)
	var mu sync.Mutex
	sums := map[string]*[2]int{} // by what happened: cases, and those that got there
	var worst played
	var at stepCase
	cases := stepCases(t, source, every)
	t.Run("case", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				var v played
				synctest.Test(t, func(t *testing.T) { v = c.play(t, source) })
				if len(v.wrong) > 0 {
					t.Errorf("%s\nagain: go test ./transfer/s3store -run '^TestFaultStep$' -step %s -seed %d", strings.Join(v.wrong, "\n"), c, *faultSeed)
				}
				mu.Lock()
				defer mu.Unlock()
				if sums[c.how] == nil {
					sums[c.how] = &[2]int{}
				}
				sums[c.how][0]++
				sums[c.how][1] += v.hits
				if v.extra > worst.extra {
					worst, at = v, c
				}
			})
		}
	})
	for _, how := range []string{"ENOSPC", "EIO", kill} {
		if s := sums[how]; s != nil {
			t.Logf("%-6s %4d cases, %4d got there", how, s[0], s[1])
			if s[1]*10 < s[0]*9 {
				t.Errorf("%s: %d of %d cases did not get to their step", how, s[0]-s[1], s[0])
			}
		}
	}
	t.Logf("%d cases; sent again at worst %.1f MiB in %s", len(cases), float64(worst.extra)/(1<<20), at)
}

// TestFaultJournal proves of a sample of the journal's steps that a full disk,
// a broken one and a kill at that instant end as a local fault, or not at all,
// and that the next run ends with everything done, and right.
func TestFaultJournal(t *testing.T) { playSteps(t, 25) }

var faultStep = flag.String("step", "", "the one case of TestFaultStep, as its failure names it")

// TestFaultStep plays the case of the flag -step, by default the one between the
// store's last answer and the record of it.
func TestFaultStep(t *testing.T) {
	source := faultDir(t)
	all := stepCases(t, source, 1)
	name := cmp.Or(*faultStep, stepCase{"upload", kill, len(all), false}.String())
	if *faultStep == "" {
		last := slices.IndexFunc(all, func(c stepCase) bool { return c.scene != "upload" }) - 1
		name = all[last].String()
	}
	at := slices.IndexFunc(all, func(c stepCase) bool { return c.String() == name })
	if at < 0 {
		t.Fatalf("there is no case %q", name)
	}
	synctest.Test(t, func(t *testing.T) {
		if v := all[at].play(t, source); len(v.wrong) > 0 {
			t.Error(strings.Join(v.wrong, "\n"))
		}
	})
}
