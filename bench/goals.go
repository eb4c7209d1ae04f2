package main

import "fmt"

// goal is what the first runner of a contest may cost at the most, as its ratio
// to somebody else.
type goal struct {
	of     goalFigure
	than   string  // the name of a runner, or one of the words below
	most   float64 // of the median over the rounds
	spread bool    // of the least of the rounds: it is not behind by more than the spread
}

// Whom a goal is held against, beside runners by their names.
const (
	bestBare     = "the best peer that checks nothing" // curl is one
	bestChecking = "the best command-line peer that checks"
	everyPeer    = "every peer"
)

// goalFigure is what is compared.
type goalFigure int

const (
	ofCPU goalFigure = iota
	ofWall
)

func (g goal) figure() (figure, string) {
	if g.of == ofWall {
		return wallSeconds, "wall time"
	}
	return cpuSeconds, "CPU"
}

// verdict is a goal and what became of it.
type verdict struct {
	goal, seen string
	state      string
}

const (
	met     = "met"
	missed  = "**missed**"
	unknown = "not measured"
)

func judged(ok bool) string {
	if ok {
		return met
	}
	return missed
}

// verdicts hold a contest's figures against its goals.
func (r *result) verdicts() (all []verdict) {
	for _, g := range r.goals {
		all = append(all, r.judge(g))
	}
	for i, run := range r.runners {
		if run.anon == 0 {
			continue
		}
		v := verdict{goal: fmt.Sprintf("RssAnon of %s at most %d MiB", run.name, run.anon), seen: "–", state: unknown}
		if most := r.spread(i, anonMiB).max; most > 0 {
			v.seen, v.state = fmt.Sprintf("%.0f MiB", most), judged(most <= float64(run.anon))
		}
		all = append(all, v)
	}
	return all
}

func (r *result) judge(g goal) verdict {
	f, name := g.figure()
	v := verdict{goal: fmt.Sprintf("%s at most %.2f × %s", name, g.most, g.than), seen: "–", state: unknown}
	if g.spread {
		v.goal = fmt.Sprintf("%s not behind %s by more than the spread", name, g.than)
	}
	against := r.against(g, f)
	if against < 0 {
		return v
	}
	q := r.ratio(against, f)
	v.seen = q.String() + ", " + r.runners[against].name
	counts := q.median
	if g.spread {
		counts = q.min
	}
	v.state = judged(counts <= g.most)
	if v.state == met && r.runners[against].other() && len(r.failed) > 0 {
		v.state = unknown // against those who failed
	}
	return v
}

// against is the runner that decides over a goal; -1 without one.
func (r *result) against(g goal, f figure) int {
	switch g.than {
	case bestBare:
		return r.bestBare(f)
	case bestChecking:
		return r.bestChecking(f)
	case everyPeer:
		return r.bestPeer(f)
	}
	for i, run := range r.runners {
		if run.name == g.than {
			return i
		}
	}
	return -1
}
