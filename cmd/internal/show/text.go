package show

import (
	"fmt"
	"strings"
	"time"

	"agent/transfer"
)

// shownFailures is how many failures a terminal shows one by one: a hundred
// thousand of them would scroll everything else away.
const shownFailures = 20

// text writes the lines that people read. The other text views build on it.
type text struct {
	o        *Options
	out, err *stream
	tty      bool // Err scrolls: not every failure is shown
	failed   int
}

func (t *text) wants(k transfer.Kind) bool {
	switch k {
	case transfer.Failed, transfer.Notice:
		return true
	case transfer.Retry:
		return t.o.Verbose > 0
	case transfer.Planned:
		return t.o.DryRun
	}
	return false
}

func (t *text) start(_ time.Time, s Start) {
	sources := make([]string, len(s.Sources))
	for i, p := range s.Sources {
		sources[i] = Clean(p)
	}
	again := ""
	if s.Resumed {
		again = ", going on from an earlier run"
	}
	t.say("%s %s → %s, job %s%s", Clean(s.Command), strings.Join(sources, ", "), Clean(s.Destination), Clean(s.Job), again)
}

func (t *text) event(_ time.Time, e transfer.Event) {
	switch e.Kind {
	case transfer.Failed:
		t.fail(e)
	case transfer.Notice:
		t.say("note: %s%s", about(e), t.safe(e.Text))
	case transfer.Retry:
		what, _ := t.o.Explain(e.Err)
		t.say("retry in %s: %s%s", short(e.Wait), about(e), t.safe(what))
	case transfer.Planned:
		t.out.Write(fmt.Appendf(nil, "%-5s %9s  %s  (%s)\n", e.Action, Bytes(e.Bytes), Clean(e.Key), t.safe(e.Text)))
	}
}

func (t *text) fail(e transfer.Event) {
	t.failed++
	if t.tty && t.failed > shownFailures {
		if t.failed == shownFailures+1 {
			t.say("more failures are only counted here%s", seeLog(t.o.LogPath))
		}
		return
	}
	what, hint := t.o.Explain(e.Err)
	if hint != "" {
		hint = " — " + Clean(hint) // our own words
	}
	t.say("failed: %s%s%s", about(e), t.safe(what), hint)
}

// shown is how many failures were shown one by one.
func (t *text) shown() int {
	if t.tty {
		return min(t.failed, shownFailures)
	}
	return t.failed
}

func (t *text) fault(_ time.Time, what, hint string) {
	t.say("%s: %s", Clean(t.o.Name), Clean(what))
	if hint != "" {
		t.say("  %s", Clean(hint))
	}
}

func (t *text) progress(progress) {}

func (t *text) clear() {}

func (t *text) finish(p progress, e Ending) {
	e.Shown = t.shown()
	// The buffer takes everything.
	_ = Summary(t.err, p.Counts, p.elapsed, e)
}

func (t *text) say(format string, a ...any) {
	t.err.WriteString(fmt.Sprintf(format, a...) + "\n")
}

// safe is for text from servers and errors; names only need Clean.
func (t *text) safe(s string) string { return Clean(t.o.Redact(s)) }

// about is the file or object an event is about, as the head of a line.
func about(e transfer.Event) string {
	switch {
	case e.Path != "":
		return Clean(e.Path) + ": "
	case e.Key != "":
		return Clean(e.Key) + ": "
	}
	return ""
}

func seeLog(path string) string {
	if path == "" {
		return ""
	}
	return "; all of them: " + Clean(path)
}

// short is finer than Duration where that would say little.
func short(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return Duration(d)
}

// quiet shows failures and errors only.
type quiet struct{ text }

func (q *quiet) wants(k transfer.Kind) bool {
	return k == transfer.Failed || k == transfer.Planned && q.o.DryRun
}

func (q *quiet) start(time.Time, Start) {}

func (q *quiet) finish(p progress, _ Ending) {
	if p.FilesFailed > 0 {
		q.say("%s: %s failed%s", Clean(q.o.Name), files(p.FilesFailed), seeLog(q.o.LogPath))
	}
}

// plain shows a line now and then, for logs and dumb terminals.
type plain struct {
	text
	next    time.Time // when the next progress line is due
	waiting waits
}

func (v *plain) wants(k transfer.Kind) bool {
	return k == transfer.Waiting || k == transfer.Going || v.text.wants(k)
}

func (v *plain) event(at time.Time, e transfer.Event) {
	switch e.Kind {
	case transfer.Waiting:
		if v.waiting.begin(at, e.Text) {
			v.say("waiting for %s", v.safe(e.Text))
		}
	case transfer.Going:
		if d, ok := v.waiting.end(at); ok {
			v.say("going on after %s", Duration(d))
		}
	default:
		v.text.event(at, e)
	}
}

func (v *plain) progress(p progress) {
	if p.at.Before(v.next) {
		return
	}
	v.next = p.at.Add(v.o.Interval)
	if v.o.DryRun {
		return // the plan itself is the progress
	}
	t := v.safe(p.Waiting)
	v.say("%s", strings.Join(texts(segments(p, t, " of ")), ", "))
}

// waits remembers since when something is waited for.
type waits struct {
	what  string
	since time.Time
}

// begin reports whether text is news.
func (w *waits) begin(at time.Time, text string) bool {
	news := w.since.IsZero() || w.what != text
	if w.since.IsZero() {
		w.since = at
	}
	w.what = text
	return news
}

// end returns how long it took, and whether anything was waited for at all.
func (w *waits) end(at time.Time) (time.Duration, bool) {
	if w.since.IsZero() {
		return 0, false
	}
	d := at.Sub(w.since)
	*w = waits{}
	return d, true
}
