//go:build long && linux

package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLongCronLine runs the line that 'schedule install --crontab' writes as
// cron would, but every second or so instead of every minute, for a minute,
// over a directory that grows meanwhile. Runs overlap, and one is killed: each
// file arrives, once, and no two runs work at a time.
func TestLongCronLine(t *testing.T) {
	const minAge = 2 * time.Second
	j := newCronJob(t, "4MB")
	line := j.lineOf(t, minAge)
	g := &grower{dir: j.dir, tick: 100 * time.Millisecond, steps: 30, large: 6 << 20, huge: 24 << 20, until: 600}
	grown := g.start(t)
	var runs []*proc
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		runs = append(runs, j.r.startAs(j.bareCommand(line)))
		if len(j.kills) == 0 && time.Until(end) < 45*time.Second {
			j.killOne(t, 300*time.Millisecond)
		}
		<-time.After(500*time.Millisecond + rand.N(time.Second))
	}
	want := grown()
	for _, p := range runs {
		p.wait()
	}
	<-time.After(minAge + time.Second) // after which nothing is too young
	if e := j.r.startAs(j.bareCommand(line)).wait(); e.code != 0 {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	mark := j.r.mark()
	if e := j.r.startAs(j.bareCommand(line)).wait(); e.code != 0 || e.err+e.out != "" {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
	if n := ops(j.r.requests(mark)); n["ListObjectsV2"] != len(n) || n["ListObjectsV2"] != 1 {
		t.Errorf("a run that has nothing to do makes these requests: %v", n)
	}
	j.check(t, want)
}

// lineOf installs the schedule into a crontab of the test's own, and gives the
// command as cron hands it to the shell.
func (j *cronJob) lineOf(t *testing.T, minAge time.Duration) string {
	t.Helper()
	tab := filepath.Join(j.home, "tab")
	j.script(t, "crontab", `case $1 in -l) cat '`+tab+`' 2>/dev/null || { echo no crontab for me >&2; exit 1; } ;; -) cat >'`+tab+`' ;; esac`)
	cmd := j.r.command(j.install(minAge)...)
	env := j.r.env
	j.r.env = append([]string{"PATH=" + j.home + ":" + os.Getenv("PATH")}, env[1:]...) // PATH is the first
	e := j.r.startAs(cmd).wait()
	j.r.env = env
	b, err := os.ReadFile(tab)
	if e.code != 0 || err != nil {
		t.Fatalf("exit %d, %v\n%s", e.code, err, e.err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	command, ok := strings.CutPrefix(lines[len(lines)-1], "* * * * * ")
	if !ok {
		t.Fatalf("the crontab:\n%s", b)
	}
	return strings.ReplaceAll(command, `\%`, "%")
}
