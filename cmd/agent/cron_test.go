//go:build (long || cron) && linux

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"agent/bench/platform"
	"agent/journal"
)

// A line of a crontab is run again and again over a directory that grows, with
// runs that overlap and one that is killed: rclone#7993 (overlapping runs),
// aws-cli#1425 (each begins anew), and a file that is still being written.

// cronJob is a schedule in a crontab, and what is done to its runs.
type cronJob struct {
	r     *rig
	dir   string // that it keeps a copy of
	home  string // of whatever the test writes
	log   string // of the runs
	kills []kill
	probe *stallProbe
}

// newCronJob has a user who is logged in, and nothing of whose shell cron has.
func newCronJob(t *testing.T, rate string) *cronJob {
	t.Helper()
	j := &cronJob{r: newRig(t, "-rate", rate), home: t.TempDir(), probe: probeStalls(t)}
	t.Cleanup(j.probe.stop)
	j.r.login(j.r.sb.Env["AGENT_SANDBOX_API"])
	j.dir, j.log = filepath.Join(j.home, "it's 100% growing"), filepath.Join(j.home, "runs")
	if err := os.Mkdir(j.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// The line itself stays as it is installed: this is the shell that runs it.
	j.script(t, "shell", fmt.Sprintf(`b=$(date +%%s.%%N); /bin/sh "$@"; c=$?; echo "$b $(date +%%s.%%N) $c" >>'%s'; exit $c`, j.log))
	return j
}

// script writes a program.
func (j *cronJob) script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(j.home, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// install is the command that writes the schedule.
func (j *cronJob) install(minAge time.Duration) []string {
	return []string{"schedule", "install", "growing", "--yes", "--crontab", "--cron", "* * * * *", "--",
		"sync", "--min-age", minAge.String(), "--part-size", "5MiB", j.dir, j.r.dest}
}

// cronRun is one run of the line.
type cronRun struct {
	began, ended time.Time
	code         int
}

// runs are those that have ended, in the order of their beginning.
func (j *cronJob) runs(t *testing.T) (all []cronRun) {
	t.Helper()
	b, err := os.ReadFile(j.log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	instant := func(s string) time.Time {
		whole, part, _ := strings.Cut(s, ".")
		sec, err1 := strconv.ParseInt(whole, 10, 64)
		nano, err2 := strconv.ParseInt(part, 10, 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("no instant: %q", s)
		}
		return time.Unix(sec, nano)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		code, err := strconv.Atoi(f[len(f)-1])
		if len(f) != 3 || err != nil {
			t.Fatalf("no run: %q", line)
		}
		all = append(all, cronRun{instant(f[0]), instant(f[1]), code})
	}
	slices.SortFunc(all, func(a, b cronRun) int { return a.began.Compare(b.began) })
	return all
}

// killOne kills the run that holds the job at a random instant of its work. It
// gives false where none does, or where it ended before.
func (j *cronJob) killOne(t *testing.T, within time.Duration) bool {
	t.Helper()
	pid := j.holder()
	if pid == 0 {
		return false
	}
	<-time.After(rand.N(within))
	at := time.Now()
	if j.holder() != pid || syscall.Kill(pid, syscall.SIGKILL) != nil {
		return false
	}
	k := j.probe.kill(at)
	until(t, "the killed run's end", func() bool { return syscall.Kill(pid, 0) != nil })
	killed := func() bool {
		return slices.ContainsFunc(j.runs(t), func(c cronRun) bool { return c.code == 137 })
	}
	until(t, "the killed run's line", func() bool {
		return killed() || slices.ContainsFunc(j.runs(t), func(c cronRun) bool { return c.ended.After(at) && c.code != 75 })
	})
	if killed() {
		j.kills = append(j.kills, k)
	}
	return killed()
}

// holder is the process that holds the job and works, 0 if there is none.
func (j *cronJob) holder() int {
	found, _ := filepath.Glob(filepath.Join(j.r.state, "jobs", "*", "run.json"))
	for _, path := range found {
		var h journal.Holder
		if b, err := os.ReadFile(path); err == nil && json.Unmarshal(b, &h) == nil && syscall.Kill(h.PID, 0) == nil {
			return h.PID
		}
	}
	return 0
}

// check is the proof: every run did what it should, nothing is missing, nothing
// was sent twice but what was in flight at a kill, and no two runs worked at a
// time.
func (j *cronJob) check(t *testing.T, want tree) {
	t.Helper()
	codes := map[int]int{}
	for _, c := range j.runs(t) {
		codes[c.code]++
		if took := c.ended.Sub(c.began); c.code == 75 && took > 10*time.Second {
			t.Errorf("a run that found the job held left only after %v", took)
		}
	}
	for code := range codes {
		if code != 0 && code != 75 && code != 137 {
			t.Errorf("exit codes and their runs: %v", codes)
		}
	}
	if codes[137] != 1 || len(j.kills) != 1 || codes[75] == 0 || codes[0] < 3 {
		t.Errorf("exit codes and their runs: %v, with %d kills: this proves nothing", codes, len(j.kills))
	}
	all := j.r.requests(0)
	sends, again := j.sentOnce(t, all)
	j.noOverlap(t, all)
	j.r.holds(want)
	t.Logf("%d runs by exit code %v; %d files of %d bytes; %d PUTs of objects and parts, %d of them again for the kill; requests %v",
		len(j.runs(t)), codes, len(want), want.bytes(), sends, again, ops(all))
}

// sentOnce checks that each object and each part was taken once, and gives how
// many were, and how many of these again because they were in flight at a kill.
func (j *cronJob) sentOnce(t *testing.T, all []platform.Request) (sends, again int) {
	t.Helper()
	taken := map[unit][]platform.Request{}
	for _, q := range all {
		if u, ok := unitOf(q); ok && q.Status == 200 {
			u.upload = "" // one that is begun again is sent again
			taken[u] = append(taken[u], q)
			sends++
		}
	}
	for _, of := range taken {
		again += len(of) - 1
		for _, q := range of[:len(of)-1] {
			k, ok := firstAfter(j.kills, q.Start)
			if !ok || q.Time.Before(k.at.Add(-k.safe)) {
				t.Errorf("sent, and later sent again: %s", describe(q))
			}
		}
	}
	return sends, again
}

// noOverlap checks that no two runs were at the store at a time. Each run has
// a token of its own.
func (j *cronJob) noOverlap(t *testing.T, all []platform.Request) {
	t.Helper()
	type span struct{ from, to time.Time }
	spans := map[string]span{}
	for _, q := range all {
		s, ok := spans[q.AccessKey]
		if !ok {
			s.from = q.Start
		}
		if q.Start.Before(s.from) {
			s.from = q.Start
		}
		to := q.Time
		if k, ok := firstAfter(j.kills, q.Start); ok && to.After(k.at) {
			to = k.at // the server speaks to nobody
		}
		if to.After(s.to) {
			s.to = to
		}
		spans[q.AccessKey] = s
	}
	if len(spans) < 3 || len(spans) > len(j.runs(t)) {
		t.Errorf("%d tokens were used by %d runs", len(spans), len(j.runs(t)))
	}
	var sorted []span
	for _, s := range spans {
		sorted = append(sorted, s)
	}
	slices.SortFunc(sorted, func(a, b span) int { return a.from.Compare(b.from) })
	for i := 1; i < len(sorted); i++ {
		if sorted[i].from.Before(sorted[i-1].to) {
			t.Errorf("one run was at the store from %v, another before that until %v", sorted[i].from, sorted[i-1].to)
		}
	}
}

// grower adds files to a directory all the time: most at once, some slowly,
// some of several parts, and once one that takes a run very long.
type grower struct {
	dir   string
	tick  time.Duration
	steps int // in which a slow file is written
	large int // bytes of a file of several parts
	huge  int // bytes of the one
	until int // ticks

	files tree
	slow  []*slowFile
}

// slowFile is one that is being written.
type slowFile struct {
	f    *os.File
	left []byte
	step int
}

// start grows the directory in the background; what it gives waits for its end.
func (g *grower) start(t *testing.T) (wait func() tree) {
	g.files = tree{}
	done := make(chan error, 1)
	go func() {
		ticks := time.NewTicker(g.tick)
		defer ticks.Stop()
		var err error
		for i := 0; err == nil && (i < g.until || len(g.slow) > 0); i++ {
			if err = g.write(); err == nil && i < g.until {
				err = g.add(i)
			}
			<-ticks.C
		}
		done <- err
	}()
	return func() tree {
		t.Helper()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		return g.files
	}
}

// add begins the i-th file.
func (g *grower) add(i int) error {
	size, steps := 1000+i%20_000, 1
	switch {
	case i == g.until/3:
		size, steps = g.huge, g.steps/2
	case i%40 == 20:
		size, steps = g.large, g.steps/3
	case i%7 == 3:
		steps = g.steps
	}
	name := fmt.Sprintf("%02d/%04d it's.tif", i/50, i)
	g.files.with(name, size)
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if steps <= 1 {
		return os.WriteFile(path, g.files[name], 0o600)
	}
	f, err := os.Create(path)
	if err == nil {
		g.slow = append(g.slow, &slowFile{f, g.files[name], size/steps + 1})
	}
	return err
}

// write appends a piece to every slow file.
func (g *grower) write() error {
	for _, s := range g.slow {
		n := min(s.step, len(s.left))
		if _, err := s.f.Write(s.left[:n]); err != nil {
			return err
		}
		if s.left = s.left[n:]; len(s.left) == 0 {
			if err := s.f.Close(); err != nil {
				return err
			}
		}
	}
	g.slow = slices.DeleteFunc(g.slow, func(s *slowFile) bool { return len(s.left) == 0 })
	return nil
}

// bareCommand runs the line as cron does: by the crontab's shell, in its bare
// environment.
func (j *cronJob) bareCommand(line string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(j.home, "shell"), "-c", line)
	cmd.Env = []string{"HOME=" + j.r.home, "LOGNAME=root", "SHELL=/bin/sh", "PATH=/usr/bin:/bin"}
	cmd.Dir = j.r.home
	return cmd
}
