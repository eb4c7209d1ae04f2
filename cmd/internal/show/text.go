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
	waiting  waits
}

func (t *text) wants(k transfer.Kind) bool {
	switch k {
	case transfer.Failed, transfer.Notice, transfer.Waiting, transfer.Going:
		return true
	case transfer.Retry, transfer.Paced:
		return t.o.Verbose > 0
	case transfer.Planned, transfer.Ignored:
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

func (t *text) event(at time.Time, e transfer.Event) {
	switch e.Kind {
	case transfer.Failed:
		t.fail(e)
	case transfer.Notice:
		t.say("note: %s%s", about(e), t.safe(e.Text))
	case transfer.Waiting:
		t.wait(at, e)
	case transfer.Going:
		if d, ok := t.waiting.end(at); ok {
			t.say("going on after %s", Duration(d))
		}
	case transfer.Retry:
		what, _ := t.o.Explain(e.Err)
		t.say("retry in %s: %s%s", short(e.Wait), about(e), t.safe(what))
	case transfer.Paced:
		what := ""
		if e.Err != nil {
			what, _ = t.o.Explain(e.Err)
			what = ": " + what
		}
		t.say("%s%s", t.safe(e.Text), t.safe(what))
	case transfer.Ignored:
		t.out.Write(fmt.Appendf(nil, "leave         -  %s  (%s)\n", Clean(e.Key), t.safe(e.Text)))
	case transfer.Planned:
		name := e.Key
		if e.Action == transfer.Delete && e.Path != "" {
			name = e.Path // it is the file that goes, and no object
		}
		t.out.Write(fmt.Appendf(nil, "%-5s %9s  %s  (%s)\n", e.Action, Bytes(e.Bytes), Clean(name), t.safe(e.Text)))
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
	return k == transfer.Failed || k == transfer.Waiting || k == transfer.Going || (k == transfer.Planned || k == transfer.Ignored) && q.o.DryRun
}

func (q *quiet) start(time.Time, Start) {}

// event tells of waiting, too: a run that does nothing for hours, and says
// nothing, looks dead.
func (q *quiet) event(at time.Time, e transfer.Event) {
	switch e.Kind {
	case transfer.Waiting:
		q.wait(at, e)
	case transfer.Going:
		q.waiting.end(at)
	default:
		q.text.event(at, e)
	}
}

func (q *quiet) finish(p progress, _ Ending) {
	if p.FilesFailed > 0 {
		q.say("%s: %s failed%s", Clean(q.o.Name), files(p.FilesFailed), seeLog(q.o.LogPath))
	}
}

// rarely is the time between two lines of plain while nothing moves: a log over
// a night should not have thousands of them.
const rarely = time.Minute

// plain shows a line now and then, for logs and dumb terminals.
type plain struct {
	text
	next time.Time // when the next progress line is due
}

func (v *plain) event(at time.Time, e transfer.Event) {
	v.text.event(at, e)
	if soon := at.Add(v.o.Interval); e.Kind == transfer.Going && soon.Before(v.next) {
		v.next = soon
	}
}

func (v *plain) progress(p progress) {
	if p.at.Before(v.next) {
		return
	}
	pause := v.o.Interval
	if p.Waiting != "" {
		pause = max(pause, rarely)
	}
	v.next = p.at.Add(pause)
	if v.o.DryRun {
		return // the plan itself is the progress
	}
	v.say("%s", strings.Join(texts(segments(p, v.waitingFor(p), " of ")), ", "))
}
