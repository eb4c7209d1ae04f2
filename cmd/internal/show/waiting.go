package show

import (
	"strings"
	"time"

	"agent/transfer"
)

// wait says once what is waited for, why, and what would end it. After that
// the progress lines only remind of it.
func (t *text) wait(at time.Time, e transfer.Event) {
	if !t.waiting.begin(at, e.Text) {
		return
	}
	t.say("waiting for %s", t.safe(e.Text))
	if e.Hint != "" {
		t.say("  %s", Clean(e.Hint)) // our own words
	}
}

// waitingFor is what a progress line says of the waiting: for what and how
// long, without the reason; "" while things move.
func (t *text) waitingFor(p progress) string {
	what, _, _ := strings.Cut(t.safe(p.Waiting), ":")
	// What is counted may be a frame ahead of what was said.
	if !t.waiting.on() || what == "" {
		return what
	}
	if d := p.at.Sub(t.waiting.since); d >= time.Second {
		what += ", " + Duration(d)
	}
	return what
}

// waits remembers since when something is waited for.
type waits struct {
	what  string
	since time.Time
}

// on reports whether something is waited for.
func (w *waits) on() bool { return !w.since.IsZero() }

// begin reports whether text is news.
func (w *waits) begin(at time.Time, text string) bool {
	news := !w.on() || w.what != text
	if !w.on() {
		w.since = at
	}
	w.what = text
	return news
}

// end returns how long it took, and whether anything was waited for at all.
func (w *waits) end(at time.Time) (time.Duration, bool) {
	if !w.on() {
		return 0, false
	}
	d := at.Sub(w.since)
	*w = waits{}
	return d, true
}
