package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"agent/bench/sink"
	"agent/journal"
)

// million is how the agent fares as the number of files grows: what its journal
// weighs, how long that takes to open, and what a run costs that finds all or a
// part of its work done. Files are tiny: it is about their number.
type million struct {
	agent  string
	rounds int
	dir    string // of everything that is written
	server *sinkProcess
	out    io.Writer
}

// benchMillion is 'bench million'.
func benchMillion(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	m := million{out: stdout}
	f := flag.NewFlagSet("bench million", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&m.agent, "agent", "bin/agent", "`path` of the agent")
	f.IntVar(&m.rounds, "rounds", 3, "how often each run is made, but for the first")
	sizes := f.String("files", "10000,100000,1000000", "how many `files`, 1,000 a directory")
	one := f.String("one", "1000000", "how many `files` in one directory; 0 for none")
	dir := f.String("dir", "", "make the files below `DIR` (default: the system's temporary folder)")
	report := f.String("out", "", "write the table to `FILE` too")
	if err := f.Parse(args); err != nil {
		return err
	}
	crowds, err := crowdsOf(*sizes, *one)
	if err != nil || m.rounds < 1 || f.NArg() > 0 {
		return errors.Join(err, errors.New("-files and -one are numbers, -rounds is positive, and nothing follows"))
	}
	if m.agent, err = filepath.Abs(m.agent); err == nil {
		_, err = os.Stat(m.agent)
	}
	if err != nil {
		return fmt.Errorf("%w: 'make build' makes it", err)
	}
	if m.dir, err = os.MkdirTemp(*dir, "agent-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(m.dir)) }()
	table := millionHead
	fmt.Fprintln(stdout, describeMachine(ctx, m.agent))
	for _, c := range crowds {
		row, err := m.hold(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		table += row.String()
	}
	fmt.Fprint(stdout, "\n"+table)
	if *report != "" {
		return os.WriteFile(*report, []byte(table), 0o644) //nolint:gosec // a report to be read
	}
	return nil
}

func crowdsOf(sizes, one string) (all []crowd, err error) {
	for text := range strings.SplitSeq(sizes, ",") {
		n, nerr := strconv.Atoi(text)
		if err = errors.Join(err, nerr); n > 0 {
			all = append(all, crowd{n, perFolder})
		}
	}
	n, nerr := strconv.Atoi(one)
	if n > 0 {
		all = append(all, crowd{n, n})
	}
	return all, errors.Join(err, nerr)
}

// millionRow is what was seen of one crowd. Times are medians.
type millionRow struct {
	crowd
	upload, left, again millionRun
	journal             int64         // bytes
	open                time.Duration // of it
	first               time.Duration // from the start to the first PUT, where a tenth was done
	done                int64         // how much that was
}

// millionRun is what a run took.
type millionRun struct {
	wall, cpu time.Duration
	rss       int64
	counts    sink.Counts
}

const millionHead = "| files | upload: CPU µs a file | RssAnon MiB | journal: bytes | a file | open ms " +
	"| nothing left: wall s | CPU µs a file | requests | RssAnon MiB | finished, again: wall s | CPU µs a file | listings | RssAnon MiB | of these done: | first PUT after s |\n" +
	"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"

func (r millionRow) String() string {
	each := func(d time.Duration) string {
		return fmt.Sprintf("%.1f", float64(d.Nanoseconds())/1e3/float64(r.files))
	}
	inMiB := func(n int64) string { return fmt.Sprintf("%.0f", float64(n)/mib) }
	cells := []string{
		r.crowd.String(), each(r.upload.cpu), inMiB(r.upload.rss), fmt.Sprint(r.journal), fmt.Sprintf("%.0f", float64(r.journal)/float64(r.files)),
		fmt.Sprintf("%.1f", r.open.Seconds()*1e3),
		fmt.Sprintf("%.2f", r.left.wall.Seconds()), each(r.left.cpu), fmt.Sprint(r.left.counts.Requests), inMiB(r.left.rss),
		fmt.Sprintf("%.2f", r.again.wall.Seconds()), each(r.again.cpu), fmt.Sprint(r.again.counts.Lists), inMiB(r.again.rss),
		fmt.Sprint(r.done), fmt.Sprintf("%.2f", r.first.Seconds()),
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// hold makes the files and runs the agent over them. The sink is a new one each
// time: it remembers what it got.
func (m *million) hold(ctx context.Context, c crowd) (row millionRow, err error) {
	row.crowd = c
	tree := filepath.Join(m.dir, "tree")
	fmt.Fprintf(m.out, "\n%s: making the files\n", c)
	if err := c.write(tree); err != nil {
		return row, err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(tree), os.RemoveAll(filepath.Join(m.dir, "whole")), os.RemoveAll(filepath.Join(m.dir, "part")))
	}()
	if m.server, err = startSink(ctx, m.dir, true); err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, m.server.stop()) }()
	if _, err := m.server.kept(ctx, http.MethodPost); err != nil {
		return row, err
	}
	if err := m.whole(ctx, tree, &row); err != nil {
		return row, err
	}
	return row, m.part(ctx, tree, &row)
}

// whole sends all, and has it found again: first by the journal alone, because the
// job is not finished, then against the listing.
func (m *million) whole(ctx context.Context, tree string, row *millionRow) (err error) {
	if row.upload, err = m.run(ctx, "upload", "whole", tree, 1); err != nil {
		return err
	}
	if n := row.upload.counts.Objects; n != int64(row.files) {
		return fmt.Errorf("the server has %d objects", n)
	}
	if err := row.stored(ctx, m.server, "whole/"); err != nil {
		return err
	}
	if err := m.weigh(ctx, row); err != nil {
		return err
	}
	if row.left, err = m.repeat(ctx, "nothing left", tree, 1); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(tree, millionLink)); err != nil {
		return err
	}
	if _, err := m.run(ctx, "the last of it", "whole", tree, 0); err != nil {
		return err
	}
	row.again, err = m.repeat(ctx, "finished, again", tree, 0)
	return err
}

// repeat runs what has nothing to send.
func (m *million) repeat(ctx context.Context, what, tree string, exit int) (r millionRun, err error) {
	var walls, cpus []float64
	for range m.rounds {
		if r, err = m.run(ctx, what, "whole", tree, exit); err != nil {
			return r, err
		}
		if r.counts.Objects > 0 {
			return r, fmt.Errorf("%s: nothing had changed, and it sent %d", what, r.counts.Objects)
		}
		walls, cpus = append(walls, float64(r.wall)), append(cpus, float64(r.cpu))
	}
	r.wall, r.cpu = time.Duration(spreadOf(walls).median), time.Duration(spreadOf(cpus).median)
	return r, nil
}

// command is an upload of tree whose state and keys are called name.
func (m *million) command(name, tree string) *exec.Cmd {
	f := &field{agent: m.agent, dir: m.dir}
	t := turn{field: f, place: m.server.place(), dir: tree, state: filepath.Join(m.dir, name), prefix: name}
	cmd, _ := ours.command(t) // fails for nobody
	return cmd
}

// run has the agent upload tree, which ends with this exit code.
func (m *million) run(ctx context.Context, what, name, tree string, exit int) (r millionRun, err error) {
	before, err := m.server.seen(ctx)
	if err != nil {
		return r, err
	}
	cmd := m.command(name, tree)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return r, err
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	r.rss, err = watched(cmd)
	r.wall, r.cpu = time.Since(began), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	if code := cmd.ProcessState.ExitCode(); code != exit {
		return r, fmt.Errorf("%s: %w\n%s", what, err, out.Bytes())
	}
	after, err := m.server.seen(ctx)
	r.counts = after.Sub(before)
	fmt.Fprintf(m.out, "%-20s wall %7.2f s  CPU %7.2f s  RssAnon %4d MiB  %d requests, %d of them listings\n",
		what, r.wall.Seconds(), r.cpu.Seconds(), r.rss/mib, r.counts.Requests, r.counts.Lists)
	return r, err
}

// weigh looks at the journal of the whole upload.
func (m *million) weigh(ctx context.Context, row *millionRow) error {
	found, err := filepath.Glob(filepath.Join(m.dir, "whole", "jobs", "*", "journal.db"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("journals: %q, %w", found, err)
	}
	fi, err := os.Stat(found[0])
	if err != nil {
		return err
	}
	row.journal = fi.Size()
	dir := filepath.Dir(found[0])
	job, err := journal.JobIn(ctx, dir)
	if err != nil {
		return err
	}
	var took []float64
	for range 2*m.rounds + 1 {
		began := time.Now()
		db, err := journal.Open(ctx, dir, job, journal.Options{})
		took = append(took, float64(time.Since(began)))
		if err != nil {
			return err
		}
		if n, _ := db.Counts(); n != row.files {
			return errors.Join(fmt.Errorf("%d records of %d", n, row.files), db.Close())
		}
		if err := db.Close(); err != nil {
			return err
		}
	}
	row.open = time.Duration(spreadOf(took).median)
	return nil
}

// part breaks an upload off when a tenth is stored, and sees how soon the next
// run sends.
func (m *million) part(ctx context.Context, tree string, row *millionRow) error {
	if _, err := m.until(ctx, "part", tree, int64(row.files/10)); err != nil {
		return err
	}
	look, err := journalIn(ctx, filepath.Join(m.dir, "part"))
	if err != nil {
		return err
	}
	row.done = look.Files
	var took []float64
	for range m.rounds {
		d, err := m.until(ctx, "part", tree, 1)
		if err != nil {
			return err
		}
		fmt.Fprintf(m.out, "%-20s first PUT after %.2f s\n", "a tenth is done", d.Seconds())
		took = append(took, float64(d))
	}
	row.first = time.Duration(spreadOf(took).median)
	return nil
}

// journalIn is what the only job of a state directory has achieved.
func journalIn(ctx context.Context, state string) (journal.Glance, error) {
	found, err := filepath.Glob(filepath.Join(state, "jobs", "*"))
	if err != nil || len(found) != 1 {
		return journal.Glance{}, fmt.Errorf("jobs: %q, %w", found, err)
	}
	return journal.Look(ctx, found[0])
}

// until kills an upload when the server has so many objects of it, and tells how
// long the first took to come.
func (m *million) until(ctx context.Context, name, tree string, objects int64) (first time.Duration, err error) {
	before, err := m.server.reset(ctx)
	if err != nil {
		return 0, err
	}
	cmd := m.command(name, tree)
	var out bytes.Buffer
	cmd.Stderr = &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the counts tell whether it did what it was to do
		close(ended)
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var c sink.Counts
	for c.Objects < objects && err == nil {
		select {
		case <-tick.C:
			c, err = m.server.seen(ctx)
			c = c.Sub(before)
		case <-ended:
			return 0, fmt.Errorf("it ended after %d objects: %v\n%s", c.Objects, cmd.ProcessState, out.Bytes())
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	_ = cmd.Process.Kill() // gone already: so much the better
	<-ended
	return time.Unix(0, c.FirstPut).Sub(began), err
}

// reset makes the server forget its first object, and tells its counts.
func (s *sinkProcess) reset(ctx context.Context) (sink.Counts, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.serves.HTTP+sink.CountsPath, nil)
	if err != nil {
		return sink.Counts{}, err
	}
	return s.ask(req)
}
