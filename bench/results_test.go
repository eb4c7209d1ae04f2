package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"agent/bench/sink"
)

// round is a sample of so many seconds.
func round(cpu, wall float64, counts sink.Counts) sample {
	second := float64(time.Second)
	return sample{user: time.Duration(cpu / 2 * second), sys: time.Duration(cpu / 2 * second), wall: time.Duration(wall * second), anon: 30 * mib, counts: counts}
}

var (
	summed = sink.Counts{Requests: 1234, Summed: 4}
	bare   = sink.Counts{Requests: 4, Bare: 4}
	half   = sink.Counts{Requests: 4, Bare: 2, Summed: 2}
)

// example is a contest with everybody in it; the slow one has fewer rounds.
func example() *result {
	r := &result{contest: contest{name: "example", title: "a contest", runners: []runner{
		{name: "agent", anon: 64}, {name: "floor", role: floor}, {name: "kit", role: yardstick},
		{name: "curl", role: byHand}, {name: "bare", role: peer}, {name: "checking", role: peer}, {name: "slow", role: peer}, {name: "half", role: peer},
	}}, load: same(2, 1e9)}
	for i, each := range []struct {
		cpu, wall float64
		counts    sink.Counts
	}{{2, 4, summed}, {1, 4, bare}, {4, 4, bare}, {1.6, 8, bare}, {2.5, 3, bare}, {5, 8, summed}, {40, 40, summed}, {3, 9, half}} {
		r.samples = append(r.samples, nil)
		rounds := 3
		if r.runners[i].name == "slow" {
			rounds = 2
		}
		for n := range rounds {
			noise := 1 + float64(n)/10 // the machine gets slower for all
			r.samples[i] = append(r.samples[i], round(each.cpu*noise, each.wall*noise, each.counts))
		}
	}
	return r
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		goal        goal
		state, says string
	}{
		{goal{than: "floor", most: 2}, met, "CPU at most 2.00 × floor: 2.00 (2.00–2.00), floor"},
		{goal{than: "floor", most: 1.9}, missed, "2.00"},
		{goal{than: "slow", most: 0.05}, met, "0.05 (0.05–0.05), slow"},
		{goal{than: bestBare, most: 1.2}, missed, "1.25 (1.25–1.25), curl"},
		{goal{than: bestChecking, most: 0.4}, met, "0.40 (0.40–0.40), checking"},
		{goal{than: everyPeer, most: 0.8}, met, "0.80 (0.80–0.80), bare"},
		{goal{of: ofWall, than: everyPeer, most: 1}, missed, "wall time at most 1.00 × every peer: 1.33 (1.33–1.33), bare"},
		{goal{of: ofWall, than: everyPeer, most: 1, spread: true}, missed, "by more than the spread: 1.33"},
		{goal{than: "nobody", most: 1}, unknown, "–"},
	} {
		r := example()
		v := r.judge(c.goal)
		if v.state != c.state || !strings.Contains(v.goal+": "+v.seen, c.says) {
			t.Errorf("%+v: %+v, want %s, %q", c.goal, v, c.state, c.says)
		}
	}
}

// TestJudgeSpread proves that one round as fast as the other's is enough where
// the spread decides.
func TestJudgeSpread(t *testing.T) {
	r := example()
	r.samples[0][1].wall /= 2
	if v := r.judge(goal{of: ofWall, than: everyPeer, most: 1, spread: true}); v.state != met {
		t.Errorf("%+v", v)
	}
	if v := r.judge(goal{of: ofWall, than: everyPeer, most: 1}); v.state != missed {
		t.Errorf("%+v", v)
	}
}

// TestJudgeFailed proves that no goal is met because a peer could not run.
func TestJudgeFailed(t *testing.T) {
	r := example()
	r.failed = []string{"best: exit status 1"}
	for than, want := range map[string]string{everyPeer: unknown, bestChecking: unknown, "floor": met} {
		if v := r.judge(goal{than: than, most: 2}); v.state != want {
			t.Errorf("%+v, want %s", v, want)
		}
	}
	if v := r.judge(goal{than: bestBare, most: 1}); v.state != missed {
		t.Errorf("%+v", v)
	}
}

// TestMemoryGoal proves that the worst round counts.
func TestMemoryGoal(t *testing.T) {
	r := example()
	last := func() verdict { v := r.verdicts(); return v[len(v)-1] }
	if v := last(); v.state != met || v.seen != "30 MiB" {
		t.Errorf("%+v", v)
	}
	r.samples[0][2].anon = 65 * mib
	if v := last(); v.state != missed {
		t.Errorf("%+v", v)
	}
	for i := range r.samples[0] {
		r.samples[0][i].anon = 0
	}
	if v := last(); v.state != unknown {
		t.Errorf("%+v", v)
	}
}

// TestExcused proves that the slow are excused, but for the best of a kind: goals
// are held against these.
func TestExcused(t *testing.T) {
	r := example()
	r.samples[2][0] = round(50, 50, bare) // a yardstick, and none of the others
	for i, got := range r.excused() {
		if want := r.runners[i].name == "slow"; got != want {
			t.Errorf("%s: excused is %v", r.runners[i].name, got)
		}
	}
	r.samples[5] = nil // the better one that checks failed
	for i, got := range r.excused() {
		if got {
			t.Errorf("%s is excused", r.runners[i].name)
		}
	}
}

// TestDrop proves that who fails leaves the others' figures with their names.
func TestDrop(t *testing.T) {
	r := example()
	failed := make([]error, len(r.runners))
	failed[1] = errors.New("floor: gave way\nwith much to say")
	r.drop(failed)
	if len(r.runners) != 7 || len(r.samples) != 7 || r.runners[1].name != "kit" || r.samples[1][0].cpu() != 4*time.Second {
		t.Errorf("left are %+v", r.runners)
	}
	if len(r.failed) != 1 || r.failed[0] != "floor: gave way" {
		t.Errorf("failed is %q", r.failed)
	}
}

func TestMarkdown(t *testing.T) {
	r := example()
	r.goals = []goal{{than: "floor", most: 1.5}, {than: bestChecking, most: 0.65}}
	r.missing, r.failed = []string{"absent"}, []string{"broken: exit status 1"}
	rep := report{args: []string{"-only", "example"}, results: []*result{r}, took: 90 * time.Second,
		machine: machine{cpu: "2 × X", system: "linux", versions: "go1", peers: []string{"bare 1.0", "checking 2.0"}}}
	text := rep.markdown()
	for _, want := range []string{
		"`go run ./bench -only example`", "after 2 minutes", "2 × X; linux; go1", "Peers: bare 1.0; checking 2.0", "](results.svg)",
		"| a contest | CPU at most 1.50 × floor | 2.00 (2.00–2.00), floor | **missed** |",
		"| a contest | CPU at most 0.65 × the best command-line peer that checks | 0.40 (0.40–0.40), checking | not measured |",
		"| a contest | RssAnon of agent at most 64 MiB | 30 MiB | met |",
		"\n## A contest\n\n`-only example`: 2 files, 2.000 GB.\n",
		"\n| agent | checks | 3 | 1.1 | 1–1.2 | 2.20 | 4.40 | 4.00–4.80 | ? | 30 | 1234 | ? |  |  |\n",
		"\n| floor | limit | 3 |", "\n| kit | yardstick | 3 |", "\n| curl | checks nothing | 3 |", "\n| half | checks some | 3 |",
		"\n| slow | checks | 2* |", "\n\\* More than 3 times",
		"\nThe best peer that checks nothing: curl; agent / it is 1.25 (1.25–1.25) of CPU, 0.50 (0.50–0.50) of wall time.\n",
		"\nThe best command-line peer that checks: checking;", "\nNot to be had here: absent.\n", "\nFailed: broken: exit status 1.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestSandboxTellsNoChecks proves that nothing is said of what nobody counted.
func TestSandboxTellsNoChecks(t *testing.T) {
	r := example()
	r.sandbox = true
	if got := r.what(0) + r.what(4) + r.what(1); got != "limit" {
		t.Errorf("what is %q", got)
	}
	if r.bestBare(cpuSeconds) >= 0 || r.bestChecking(cpuSeconds) >= 0 || r.bestPeer(cpuSeconds) != 4 {
		t.Errorf("best are %d, %d, %d", r.bestBare(cpuSeconds), r.bestChecking(cpuSeconds), r.bestPeer(cpuSeconds))
	}
}
