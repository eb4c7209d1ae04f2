package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"agent/bench/sink"
)

// field is where contests are held.
type field struct {
	agent, sandbox string // paths
	peers          string // folder where peers may be; "" for none
	alone          bool   // no peers
	dir            string // of everything that is written
	made           load   // what is in the tree
}

// sample is what one run cost.
type sample struct {
	user, sys, wall time.Duration // user and sys of the client alone
	rss             int64         // bytes at the most, file pages included; 0 where the system does not tell
	anon            int64         // bytes at the most that no file stands behind; 0 likewise
	counts          sink.Counts   // what the server saw of it
}

func (s sample) cpu() time.Duration { return s.user + s.sys }

// result is a contest that was held.
type result struct {
	contest
	load    load
	missing []string   // runners that are not here
	failed  []string   // peers that did not do what they were to do, and what they said
	samples [][]sample // by runner, by round; every runner begins with the first round
}

// A peer that takes this many times the first runner's CPU in the first round,
// and that was no best of any kind, takes part in so few rounds: no goal depends
// on its figure, and it would take most of the time.
const (
	slow       = 3
	slowRounds = 2
)

// hangs is when a run is given up.
const hangs = 10 * time.Minute

// hold makes the workload of c and has its runners upload it in turns.
func (f *field) hold(ctx context.Context, c contest, scale float64, rounds int, progress io.Writer) (*result, error) {
	res := &result{contest: c, load: c.load.scaled(scale)}
	res.runners, res.missing = f.present(ctx, c)
	res.samples = make([][]sample, len(res.runners))
	dir, err := f.tree(res.load)
	if err != nil {
		return nil, err
	}
	if c.rounds > 0 {
		rounds = min(rounds, c.rounds)
	}
	rounds *= max(c.times, 1)
	var excused []bool
	failed := make([]error, len(res.runners))
	for round := range rounds {
		for i := range res.runners {
			// The order changes, so that nobody is always the one behind the heaviest.
			i = (i + round) % len(res.runners)
			r := res.runners[i]
			if failed[i] != nil || round >= slowRounds && excused[i] {
				continue
			}
			s, err := f.measure(ctx, c, r, res.load, dir)
			if err != nil {
				err = fmt.Errorf("%s: %w", r.name, err)
				if !r.other() || ctx.Err() != nil {
					return nil, err
				}
				fmt.Fprintf(progress, "%v\n", err)
				failed[i] = err
				continue
			}
			res.samples[i] = append(res.samples[i], s)
			fmt.Fprintf(progress, "round %d  %-24s CPU %6.2f s  wall %6.2f s  %6d requests  %3d connections\n",
				round+1, r.name, s.cpu().Seconds(), s.wall.Seconds(), s.counts.Requests, s.counts.Conns)
		}
		if round == 0 {
			excused = res.excused()
		}
	}
	res.drop(failed)
	return res, nil
}

// excused tells by the first round who need not take part in most others.
func (r *result) excused() []bool {
	all := make([]bool, len(r.runners))
	for i, run := range r.runners {
		if run.other() && len(r.samples[i]) > 0 {
			all[i] = r.samples[i][0].cpu() > slow*r.samples[0][0].cpu()
		}
	}
	for _, best := range []int{r.bestBare(cpuSeconds), r.bestChecking(cpuSeconds), r.bestPeer(cpuSeconds), r.bestPeer(wallSeconds)} {
		if best >= 0 {
			all[best] = false
		}
	}
	return all
}

// drop takes the runners that failed out of the result.
func (r *result) drop(failed []error) {
	var runners []runner
	var samples [][]sample
	for i, err := range failed {
		if err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			r.failed = append(r.failed, first)
			continue
		}
		runners, samples = append(runners, r.runners[i]), append(samples, r.samples[i])
	}
	r.runners, r.samples = runners, samples
}

// tree is the folder with the files of l. What the last contest left of other
// files is removed: there is not always room for two workloads.
func (f *field) tree(l load) (string, error) {
	dir := filepath.Join(f.dir, "tree")
	if f.made.equal(l) {
		return dir, nil
	}
	f.made = load{}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if free, need := freeBytes(f.dir), l.disk()+gib; free >= 0 && free < need {
		return "", fmt.Errorf("%s has %.1f GB free, and %.1f GB are needed: -dir names another folder", f.dir, float64(free)/1e9, float64(need)/1e9)
	}
	if err := l.write(dir); err != nil {
		return "", err
	}
	flush(f.dir)
	f.made = l
	return dir, nil
}

// measure runs r once against a server of its own, and checks by what came in
// there that it did its work.
func (f *field) measure(ctx context.Context, c contest, r runner, l load, dir string) (s sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, hangs)
	defer cancel()
	state, err := os.MkdirTemp(f.dir, "state-")
	if err != nil {
		return s, err
	}
	defer func() { _ = os.RemoveAll(state) }() // removed again with all the rest
	server, err := f.startServer(ctx, c, f.dir)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	cmd, err := r.command(turn{field: f, place: server.place(), dir: dir, state: state, prefix: "data"})
	if err != nil {
		return s, err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if s, err = runOn(ctx, cmd, clientCPU()); err != nil {
		return s, fmt.Errorf("%w\n%s", err, out.Bytes())
	}
	if s.counts, err = server.seen(ctx); err != nil {
		return s, err
	}
	if stored := s.counts.Objects; !r.byParts && stored != int64(l.files()) {
		return s, fmt.Errorf("the server has %d objects of %d\n%s", stored, l.files(), out.Bytes())
	}
	if s.counts.Bytes != l.bytes() {
		return s, fmt.Errorf("the server got %d bytes of %d\n%s", s.counts.Bytes, l.bytes(), out.Bytes())
	}
	return s, nil
}

// runOn runs cmd on one CPU until it ends, or kills it when ctx does.
func runOn(ctx context.Context, cmd *exec.Cmd, cpu int) (s sample, err error) {
	forgetPeak()
	began := time.Now()
	if err := onCPU(cpu, cmd.Start); err != nil {
		return s, err
	}
	kill := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // gone already: so much the better
	defer kill()
	watch, ended := context.WithCancel(ctx)
	defer ended()
	anon := make(chan int64, 1)
	go func() {
		// Not on the client's CPU. The wait for the answer below ends it.
		_ = onCPU(serverCPU(), func() error { watchAnon(watch, cmd.Process.Pid, anon); return nil })
	}()
	err = cmd.Wait()
	s = sample{wall: time.Since(began), user: cmd.ProcessState.UserTime(), sys: cmd.ProcessState.SystemTime(), rss: peakRSS(cmd.ProcessState)}
	ended()
	s.anon = <-anon
	return s, err
}
