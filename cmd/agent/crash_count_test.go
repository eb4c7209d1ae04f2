//go:build long && linux

package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fetched is one GET of an object's bytes as the line saw it.
type fetched struct {
	key, access string
	off, size   int64
	from, until time.Time
	came        int64 // bytes that were handed on
}

// crashLine carries downloads, slowly, and notes what went over it.
type crashLine struct {
	mu  sync.Mutex
	all []fetched
}

// lineRate is what one connection gets, in bytes a second.
const lineRate = 10 << 20

func (l *crashLine) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet || q.URL.Query().Has("list-type") {
			next.ServeHTTP(w, q)
			return
		}
		g := &slowed{ResponseWriter: w, got: fetched{key: q.URL.Path, access: accessOf(q), from: time.Now()}}
		var last int64
		if _, err := fmt.Sscanf(q.Header.Get("Range"), "bytes=%d-%d", &g.got.off, &last); err == nil {
			g.got.size = last + 1 - g.got.off
		}
		defer func() { // also where the proxy gives up with a panic
			g.got.until = time.Now()
			l.mu.Lock()
			defer l.mu.Unlock()
			l.all = append(l.all, g.got)
		}()
		next.ServeHTTP(g, q)
	})
}

// accessOf is the access key that a request is signed with.
func accessOf(q *http.Request) string {
	_, rest, _ := strings.Cut(q.Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(rest, "/")
	return key
}

func (l *crashLine) take() []fetched {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

type slowed struct {
	http.ResponseWriter
	got fetched
	bad bool
}

func (s *slowed) WriteHeader(status int) {
	s.bad = status >= 300
	if n, err := strconv.ParseInt(s.Header().Get("Content-Length"), 10, 64); err == nil && s.got.size == 0 {
		s.got.size = n
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *slowed) Write(b []byte) (int, error) {
	time.Sleep(time.Duration(int64(len(b)) * int64(time.Second) / lineRate)) // this is the line's speed
	n, err := s.ResponseWriter.Write(b)
	if !s.bad {
		s.got.came += int64(n)
	}
	return n, err
}

// sending is one transfer of a unit, either way.
type sending struct {
	unit        string
	key         string // of the token
	from, until time.Time
	whole       bool // all of it was acknowledged
	bytes       int64
	text        string // for people
}

// countSent holds what the platform's log says of an upload's runs against what a
// kill may cost.
func (c *crasher) countSent(runs []lived) {
	log, end, err := c.r.sb.RequestsFrom(c.log)
	if err != nil {
		c.t.Fatal(err)
	}
	c.log = end
	var all []sending
	for _, q := range log {
		if u, ok := unitOf(q); ok && q.AccessKey != c.r.sb.Env["AGENT_SANDBOX_ROOT_ACCESS_KEY"] {
			all = append(all, sending{unit: fmt.Sprintf("%s, part %d", u.key, u.part), key: q.AccessKey, from: q.Start, until: q.Time,
				whole: q.Status == http.StatusOK, bytes: q.Bytes, text: describe(q)})
		}
	}
	c.count(&c.sum.up, runs, all)
}

// countFetched does so for a download's.
func (c *crasher) countFetched(runs []lived) {
	var all []sending
	for _, g := range c.line.take() {
		whole := g.came > 0 && g.came == g.size
		all = append(all, sending{unit: fmt.Sprintf("%s, range %d", g.key, g.off>>20), key: g.access, from: g.from, until: g.until, whole: whole, bytes: g.came,
			text: fmt.Sprintf("GET %s from %d, %d of %d bytes, %s to %s", g.key, g.off, g.came, g.size, g.from.Format("05.000"), g.until.Format("05.000"))})
	}
	_, c.log, _ = c.r.sb.RequestsFrom(c.log)
	c.count(&c.sum.down, runs, all)
}

// count adds up what kills made go again: a unit that a run moved and a later run moved
// once more. What was acknowledged long enough before the kill must not be among it.
func (c *crasher) count(cost *crashCost, runs []lived, all []sending) {
	c.t.Helper()
	last := map[string]int{} // the last run that moved a unit
	by := make([]int, len(all))
	for i, s := range all {
		by[i] = runOf(runs, &s)
		last[s.unit] = max(last[s.unit], by[i])
	}
	losses := make([]crashLoss, len(runs))
	for i, s := range all {
		run := runs[by[i]]
		if last[s.unit] == by[i] || run.killed.at.IsZero() {
			continue
		}
		cost.units++
		cost.bytes += s.bytes
		age, l := run.killed.at.Sub(s.until), &losses[by[i]]
		switch {
		case !s.whole, age <= 0:
			l.flying += s.bytes
			continue
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
	for _, l := range losses {
		if l.late > 0 {
			cost.late++
		}
		cost.add(&crashCost{worst: l})
	}
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
