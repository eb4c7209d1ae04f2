package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"agent/bench/sink"
)

// field is where contests are held.
type field struct {
	agent  string // path
	dir    string // of everything that is written
	server *sinkProcess
}

// sample is what one run cost.
type sample struct {
	cpu, wall time.Duration // user + system, of the client alone
	rss       int64         // bytes at the most, file pages included; 0 where the system does not tell
	counts    sink.Counts   // what the server saw of it
}

// result is a contest that was held.
type result struct {
	contest
	load    load
	missing []string   // runners whose programs are not here
	samples [][]sample // by runner, by round
}

// hold makes the workload of c and has its runners upload it in turns.
func (f *field) hold(ctx context.Context, c contest, scale float64, rounds int, progress io.Writer) (*result, error) {
	res := &result{contest: c, load: c.load.scaled(scale)}
	res.runners, res.missing = c.present()
	res.samples = make([][]sample, len(res.runners))
	dir := filepath.Join(f.dir, c.name)
	if err := res.load.write(dir); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // removed again with all the rest
	for round := range rounds {
		for i := range res.runners {
			// The order changes, so that nobody is always the one behind the heaviest.
			i = (i + round) % len(res.runners)
			s, err := f.measure(ctx, c, res.runners[i], res.load, dir)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", res.runners[i].name, err)
			}
			res.samples[i] = append(res.samples[i], s)
			fmt.Fprintf(progress, "round %d  %-24s CPU %6.2f s  wall %6.2f s  %6d requests  %3d connections\n",
				round+1, res.runners[i].name, s.cpu.Seconds(), s.wall.Seconds(), s.counts.Requests, s.counts.Conns)
		}
	}
	return res, nil
}

// measure runs r once, and checks by the server's counts that it did its work.
func (f *field) measure(ctx context.Context, c contest, r runner, l load, dir string) (sample, error) {
	state, err := os.MkdirTemp(f.dir, "state-")
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = os.RemoveAll(state) }() // likewise
	before, err := f.server.counts(ctx)
	if err != nil {
		return sample{}, err
	}
	t := turn{field: f, endpoint: f.server.HTTPS, dir: dir, state: state, prefix: filepath.Base(state)}
	if c.plain {
		t.endpoint = f.server.HTTP
	}
	cmd, err := r.command(t)
	if err != nil {
		return sample{}, err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := runOn(ctx, cmd, clientCPU()); err != nil {
		return sample{}, fmt.Errorf("%w\n%s", err, out.Bytes())
	}
	s := sample{wall: time.Since(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), rss: peakRSS(cmd.ProcessState)}
	after, err := f.server.counts(ctx)
	if err != nil {
		return sample{}, err
	}
	s.counts = after.Sub(before)
	if stored := s.counts.Objects; !r.byParts && stored != int64(l.files) {
		return s, fmt.Errorf("the server has %d objects of %d", stored, l.files)
	}
	if s.counts.Bytes != l.bytes() {
		return s, fmt.Errorf("the server got %d bytes of %d", s.counts.Bytes, l.bytes())
	}
	return s, nil
}

// runOn runs cmd on one CPU until it ends, or kills it when ctx does.
func runOn(ctx context.Context, cmd *exec.Cmd, cpu int) error {
	if err := startOn(cmd, cpu); err != nil {
		return err
	}
	kill := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // gone already: so much the better
	defer kill()
	return cmd.Wait()
}
