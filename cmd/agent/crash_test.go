//go:build long && linux

package main

import (
	"context"
	"crypto/md5"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"agent/transfer"
)

var (
	crashKills = flag.Int64("kills", 150, "SIGKILLs of TestLongCrash")
	crashSeed  = flag.Uint64("seed", 0, "seed of TestLongCrash (0: another each time)")
)

const (
	crashWorkers = 3
	crashMost    = 12              // kills between the beginning and the end of one command
	crashLife    = 4 * time.Second // of a token
	crashRate    = "30MB"          // bytes that each platform takes a second
	crashPart    = 5 << 20         // bytes of a part
	crashRange   = 1 << 20         // bytes of a range
	crashLine    = 10 << 20        // bytes that a connection fetches a second
)

// TestLongCrash kills uploads, downloads and syncs both ways at random instants
// between their start and their end, hundreds of times ('make crash': 2,000), stops some
// for longer than a token lives, and kills the platform under others. After each kill
// whatever is marked done is held against what is there, and at the end of each command
// every byte. What is sent again is at most what was in flight and what was acknowledged
// an instant before the kill.
func TestLongCrash(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-kills %d -seed %d", *crashKills, seed)
	began := time.Now()
	var kills atomic.Int64
	all := make([]*crasher, crashWorkers)
	t.Run("workers", func(t *testing.T) {
		for i := range all {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				all[i] = newCrasher(t, rand.New(rand.NewPCG(seed, uint64(i))), &kills)
				all[i].play()
			})
		}
	})
	var sum crashSum
	for _, c := range all {
		sum.add(&c.sum)
	}
	t.Logf("%v\n%s", time.Since(began).Round(time.Second), sum.report())
	if n := kills.Load(); n < *crashKills {
		t.Errorf("only %d kills", n)
	}
	if *crashKills >= 100 && (sum.sleeps == 0 || sum.platforms == 0) { // some worker has played all its cards
		t.Errorf("%d stops and %d kills of the platform: nothing was seen of them", sum.sleeps, sum.platforms)
	}
	if sum.up.units == 0 || sum.down.units == 0 {
		t.Error("no kill lost anything: that proves nothing")
	}
}

// crasher is one user with a directory that changes, a workspace, and a copy.
type crasher struct {
	t     *testing.T
	rnd   *rand.Rand
	kills *atomic.Int64 // of all
	r     *rig
	down  *rig // the same, by way of the line
	line  *line
	probe *stallProbe
	log   int64 // how far the platform's log was read
	// over is what the instants of kills are spread over, from the start of a run: longer
	// where the machine is slow.
	over time.Duration

	src, copy string
	files     tree // of src
	far       tree // in the workspace
	was       tree // in the copy, before the command that runs
	version   int

	cards []card  // what the next steps are
	away  []pause // of the platform
	sum   crashSum
}

// pause is when a platform was away, or a run stood still.
type pause struct{ from, until time.Time }

// card is what befalls a run.
type card uint8

const (
	killRun card = iota
	stopRun
	killPlatform
)

// draw takes the next card. They are shuffled in packs, so that none stays away: of
// 100 kills some worker has a third, which is more than a pack.
func (c *crasher) draw() (next card) {
	if len(c.cards) == 0 {
		c.cards = make([]card, 30)
		c.cards[0], c.cards[1], c.cards[2] = stopRun, killPlatform, killPlatform
		c.rnd.Shuffle(len(c.cards), func(i, j int) { c.cards[i], c.cards[j] = c.cards[j], c.cards[i] })
	}
	next, c.cards = c.cards[0], c.cards[1:]
	return next
}

func newCrasher(t *testing.T, rnd *rand.Rand, kills *atomic.Int64) *crasher {
	r := newRig(t, "-role", []string{"platform", "full"}[rnd.IntN(2)], "-token-life", crashLife.String(), "-rate", crashRate)
	c := &crasher{t: t, rnd: rnd, kills: kills, r: r, line: &line{rate: crashLine}, probe: probeStalls(t), over: 900 * time.Millisecond, files: tree{}, far: tree{}, was: tree{}}
	t.Cleanup(c.probe.stop)
	c.src, c.copy = filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "copy")
	config, err := r.sb.ProcessConfig(r.home)
	if err != nil {
		t.Fatal(err)
	}
	r.env = slices.Clip(append(r.env, "AWS_CONFIG_FILE="+config)) // for who outlives its token
	down := *r
	c.down = (&down).through(c.line.handler)
	return c
}

// play makes rounds until there were kills enough: the directory changes, goes to the
// workspace, and from there to the copy.
func (c *crasher) play() {
	for round := 0; c.more() && !c.t.Failed(); round++ {
		deleted := c.change(round)
		c.send(round, deleted)
		c.fetch()
		c.sum.rounds++
	}
}

func (c *crasher) more() bool { return c.kills.Load() < *crashKills }

// send is an upload or a sync to the workspace, killed again and again.
func (c *crasher) send(round int, deleted bool) {
	command, flags := "upload", []string{}
	for name, b := range c.files {
		c.far[name] = b
	}
	if deleted || c.rnd.IntN(2) == 0 {
		command, flags = "sync", []string{"--delete", "--max-delete", "100%"}
		c.far = tree{}.and(c.files)
	}
	lanes := 1 + c.rnd.IntN(4)
	args := slices.Concat([]string{command, "--quiet", "--parallel", fmt.Sprint(lanes), "--part-size", fmt.Sprint(crashPart)}, flags, []string{c.src, c.r.dest})
	runs := c.drive(c.r, args, c.sentIsStored)
	c.countSent(runs, lanes)
	c.r.holds(c.far)
	c.sum.objects += len(c.far)
	c.explain()
	if c.t.Failed() {
		c.t.Logf("in round %d, %q", round, args)
	}
}

// explain tells, of each object that is not the file, what is known of it.
func (c *crasher) explain() {
	if !c.t.Failed() {
		return
	}
	db := c.journalOf(false)
	if db == nil {
		return
	}
	defer db.Close()
	records := map[string]transfer.Record{}
	for _, rec := range c.records(db) {
		records[rec.Key] = rec
	}
	stored := c.r.objects()
	for name, body := range c.far {
		key := c.r.prefix + name
		if o := stored[name]; strings.Trim(o.ETag, `"`) != fmt.Sprintf("%x", md5.Sum(body)) && o.Size < crashPart {
			rec, known := records[key]
			c.t.Logf("%q: the job began %v, the object is of %v, with ETag %s; the record, %v: %+v; it was asked:\n%s", name,
				db.Job().Started, o.LastModified, o.ETag, known, rec, c.asked(key))
		}
	}
}

// fetch is a download or a sync to the copy, killed again and again.
func (c *crasher) fetch() {
	flags := []string{"download"}
	if len(c.was) > len(c.far) || c.rnd.IntN(2) == 0 || c.gone() {
		flags = []string{"sync", "--delete", "--max-delete", "100%"}
	}
	lanes := 1 + c.rnd.IntN(4)
	args := slices.Concat(flags, []string{"--quiet", "--parallel", fmt.Sprint(lanes), "--part-size", fmt.Sprint(crashRange), c.r.dest, c.copy})
	runs := c.drive(c.down, args, c.fetchedIsWhole)
	c.countFetched(runs, lanes)
	c.far.isIn(c.t, c.copy)
	c.sum.files += len(c.far)
	c.was = tree{}.and(c.far)
	if c.t.Failed() {
		c.t.Logf("%q", args)
	}
}

// gone tells whether the copy has files that the workspace has not.
func (c *crasher) gone() bool {
	for name := range c.was {
		if _, ok := c.far[name]; !ok {
			return true
		}
	}
	return false
}

// lived is one run of a command.
type lived struct {
	key    string // of its first token, which no other run has
	from   time.Time
	killed kill // zero where it ended by itself
	dead   time.Time
	stops  []pause
}

// before is how long before its kill something was, of the time that the run had: what
// stands still writes down nothing.
func (r *lived) before(at time.Time) time.Duration {
	d := r.killed.at.Sub(at)
	for _, s := range r.stops {
		if s.from.Before(at) {
			s.from = at
		}
		d -= max(0, s.until.Sub(s.from))
	}
	return d
}

// drive runs a command to its end, however often it is killed on the way; look is
// called after each kill.
func (c *crasher) drive(r *rig, args []string, look func()) (runs []lived) {
	for n := 0; ; n++ {
		q := *r
		token := r.token()
		q.env = slices.Concat(r.env, token)
		run := lived{key: value(token, "AWS_ACCESS_KEY_ID"), from: time.Now()}
		p := q.start(args...)
		if n >= crashMost || !c.more() || c.t.Failed() {
			c.ended(p.waitFor(4 * patience)) // two minutes of them may be for an object that the platform lost
			return append(runs, run)
		}
		before := c.moved()
		done := c.outlive(p, &run)
		runs = append(runs, run)
		if done {
			c.over = max(c.over*4/5, 300*time.Millisecond)
			return runs
		}
		if c.moved() == before {
			c.over = min(c.over*5/4, time.Minute)
		}
		c.kills.Add(1)
		c.sum.kills++
		look()
	}
}

// outlive lets things happen to a run until it is killed or done.
func (c *crasher) outlive(p *proc, run *lived) (done bool) {
	for {
		after := time.Duration(c.rnd.Int64N(int64(c.over)))
		if c.rnd.IntN(4) == 0 {
			after /= 6 // while it starts
		}
		select {
		case <-p.done:
			c.ended(p.wait())
			return true
		case <-time.After(after):
		}
		switch c.draw() {
		case stopRun:
			c.sleep(p, run)
		case killPlatform:
			c.killPlatform()
		case killRun:
			at := time.Now()
			p.signal(syscall.SIGKILL)
			if e := p.wait(); e.code >= 0 {
				c.ended(e) // just before it
				return true
			}
			run.killed, run.dead = c.probe.kill(at), time.Now()
			return false
		}
	}
}

// moved is how many transfers of the command that runs have ended, well or not.
func (c *crasher) moved() (n int) {
	log, _, err := c.r.sb.RequestsFrom(c.log)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, q := range log {
		if _, ok := unitOf(q); ok || q.Op == "GetObject" {
			n++
		}
	}
	return n
}

func (c *crasher) ended(e ended) {
	if e.code != 0 {
		c.t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
}

// sleep stops a run for longer than its token lives.
func (c *crasher) sleep(p *proc, run *lived) {
	from := time.Now()
	p.signal(syscall.SIGSTOP)
	<-time.After(crashLife + 500*time.Millisecond)
	if !p.running() { // it had ended before: another one is stopped
		c.cards = append(c.cards, stopRun)
		return
	}
	p.signal(syscall.SIGCONT)
	run.stops = append(run.stops, pause{from, time.Now()})
	c.sum.sleeps++
}

// killPlatform kills the platform, which is back a moment later.
func (c *crasher) killPlatform() {
	from := time.Now()
	if err := c.r.sb.Kill(); err != nil {
		c.t.Fatal(err)
	}
	<-time.After(time.Duration(c.rnd.Int64N(int64(300 * time.Millisecond))))
	if err := c.r.sb.Restart(context.Background()); err != nil {
		c.t.Fatal(err)
	}
	c.away = append(c.away, pause{from, time.Now()})
	c.sum.platforms++
}
