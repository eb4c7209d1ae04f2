//go:build long && linux

package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sending is one transfer of a unit, either way.
type sending struct {
	unit        string
	key         string // of the token
	from, until time.Time
	whole       bool   // all of it was acknowledged
	refused     bool   // with its token
	gone        bool   // the platform lost it
	bytes       int64  // that came
	size        int64  // that were to come
	text        string // for people
}

// A request of at most smallRequest bytes takes a quarter of a lane: see lanes.go in
// transfer/s3store.
const smallRequest, smallsPerLane = 256 << 10, 4

// allowed is what a run may have under way at one instant.
type allowed struct {
	lanes int
	piece int64 // bytes of a part or range; no file that goes in one is larger
}

func (a allowed) bytes() int64 { return int64(a.lanes) * max(a.piece, smallsPerLane*smallRequest) }

func (a allowed) quarters() int { return a.lanes * smallsPerLane }

// quarters are how much of a lane a request takes.
func (s *sending) quarters() int {
	if s.size <= smallRequest {
		return 1
	}
	return smallsPerLane
}

// countSent holds what the platform's log says of an upload's runs against what a
// kill may cost.
func (c *crasher) countSent(runs []lived, lanes int) {
	log, end, err := c.r.sb.RequestsFrom(c.log)
	if err != nil {
		c.t.Fatal(err)
	}
	c.log = end
	gone := c.goneWithPlatform()
	var all []sending
	for _, q := range log {
		if u, ok := unitOf(q); ok && q.AccessKey != c.r.sb.Env["AGENT_SANDBOX_ROOT_ACCESS_KEY"] {
			all = append(all, sending{unit: fmt.Sprintf("%s, part %d", u.key, u.part), key: q.AccessKey, from: q.Start, until: q.Time,
				whole: q.Status == http.StatusOK, refused: q.Status == http.StatusForbidden, gone: gone[q.UploadID], bytes: min(q.Bytes, q.Length), size: q.Length, text: fmt.Sprintf("%s, %d of %d bytes", describe(q), q.Bytes, q.Length)})
		}
	}
	c.count(&c.sum.up, allowed{lanes, crashPart}, runs, all)
}

// goneWithPlatform are the uploads that the platform has lost: killed while it makes the
// object, versitygw 1.8 leaves the parts in a folder of another name, and does not know
// the upload any more.
func (c *crasher) goneWithPlatform() map[string]bool {
	c.t.Helper()
	left, err := filepath.Glob(filepath.Join(c.r.sb.Dir, "data", c.r.sb.Bucket(), ".sgwtmp", "multipart", "*", "*.inprogress"))
	if err != nil {
		c.t.Fatal(err)
	}
	gone := map[string]bool{}
	if len(c.away) == 0 {
		return gone // what is left is being removed
	}
	for _, path := range left {
		id, _, _ := strings.Cut(filepath.Base(path), ".")
		gone[id] = true
	}
	return gone
}

// countFetched does so for a download's.
func (c *crasher) countFetched(runs []lived, lanes int) {
	var all []sending
	for _, g := range c.line.take() {
		whole := g.came > 0 && g.came == g.size
		all = append(all, sending{unit: fmt.Sprintf("%s, range %d", g.key, g.off>>20), key: g.access, from: g.from, until: g.until, whole: whole, bytes: g.came, size: g.size,
			text: fmt.Sprintf("GET %s from %d, %d of %d bytes, %s to %s", g.key, g.off, g.came, g.size, g.from.Format("05.000"), g.until.Format("05.000"))})
	}
	_, c.log, _ = c.r.sb.RequestsFrom(c.log)
	c.count(&c.sum.down, allowed{lanes, crashRange}, runs, all)
}

// count adds up what kills made go again: a unit that a run moved and a later run moved
// once more. It is what was in flight at the kill, which has a bound, and what was
// acknowledged an instant before.
func (c *crasher) count(cost *crashCost, most allowed, runs []lived, all []sending) {
	c.t.Helper()
	last := map[string]int{} // the last run that moved a unit
	by := make([]int, len(all))
	for i, s := range all {
		by[i] = runOf(runs, &s)
		last[s.unit] = max(last[s.unit], by[i])
	}
	losses := make([]crashLoss, len(runs))
	for i, s := range all {
		run := &runs[by[i]]
		if last[s.unit] == by[i] || run.killed.at.IsZero() || s.refused || !s.whole && s.bytes == 0 {
			continue // no kill's cost
		}
		if s.gone {
			cost.gone += s.bytes
			continue
		}
		cost.units++
		cost.bytes += s.bytes
		c.lost(cost, &losses[by[i]], run, &s)
	}
	for i := range losses {
		c.bounded(&losses[i], most, &runs[i])
		cost.add(&crashCost{worst: losses[i], fullest: float64(losses[i].flying) / float64(most.bytes())})
		if losses[i].late > 0 {
			cost.late++
		}
	}
}

// lost adds what a kill made go again to what else it did. What was acknowledged long
// enough before must not be among it, nor what failed for a reason of its own.
func (c *crasher) lost(cost *crashCost, l *crashLoss, run *lived, s *sending) {
	c.t.Helper()
	age := run.before(s.until)
	switch {
	case s.inFlight(run):
		l.flying += s.bytes
		l.quarters += s.quarters()
		l.texts = append(l.texts, s.text)
		return
	case !s.whole && c.cutOff(s):
		l.cut += s.bytes
		return
	case !s.whole:
		c.t.Errorf("failed %v before the kill at %s, with the platform there, and again after it: %s", age, run.killed.at.Format("05.000"), s.text)
		return
	case age <= 50*time.Millisecond:
		l.fresh += s.bytes
	default:
		l.late += s.bytes
	}
	cost.oldest = max(cost.oldest, age)
	if age > run.killed.safe {
		c.t.Errorf("acknowledged %v before the kill at %s, where %v are safe, and again after it: %s", age, run.killed.at.Format("05.000"), run.killed.safe, s.text)
	}
}

// bounded holds what was under way at a kill, or when the platform was killed under the
// run before, against what may be under way.
func (c *crasher) bounded(l *crashLoss, most allowed, run *lived) {
	c.t.Helper()
	if l.flying > most.bytes() || l.quarters > most.quarters() {
		c.t.Errorf("the kill at %s made %d bytes go again that were in flight on %d quarters of a lane, where %d lanes have %d at most:\n  %s",
			run.killed.at.Format("05.000"), l.flying, l.quarters, most.lanes, most.bytes(), strings.Join(l.texts, "\n  "))
	}
	if cuts := c.cuts(run); l.cut > int64(cuts)*most.bytes() {
		c.t.Errorf("%d kills of the platform made %d bytes go again, where each cuts %d at most", cuts, l.cut, most.bytes())
	}
}

// inFlight tells whether a request was under way when its run was killed: it was not
// answered before that, or it ended then.
func (s *sending) inFlight(run *lived) bool {
	if s.whole {
		return !s.until.Before(run.dead)
	}
	return !s.until.Before(run.killed.at)
}

// cutOff tells whether a request ended by a kill of the platform.
func (c *crasher) cutOff(s *sending) bool {
	return slices.ContainsFunc(c.away, func(o pause) bool { return !s.from.After(o.until) && !s.until.Before(o.from) })
}

// cuts are how many kills of the platform a run has lived through.
func (c *crasher) cuts(run *lived) (n int) {
	for _, o := range c.away {
		if o.until.After(run.from) && o.from.Before(run.killed.at) {
			n++
		}
	}
	return n
}

// runOf is the run that moved s: the one whose token it used, or, where that was not
// its first, the one that lived then.
func runOf(runs []lived, s *sending) int {
	then := 0
	for i, r := range runs {
		if r.key == s.key {
			return i
		}
		if !r.from.After(s.from) {
			then = i
		}
	}
	return then
}
