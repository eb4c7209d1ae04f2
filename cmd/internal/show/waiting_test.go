package show

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
)

var (
	refused = transfer.Event{Kind: transfer.Waiting, Text: "credentials: environment: key ASIA…N was refused: SECRET\x1b",
		Hint: "put live ones (no SECRET) into the file\x1b"}
	away  = transfer.Event{Kind: transfer.Waiting, Text: "the store: 503"}
	going = transfer.Event{Kind: transfer.Going}
)

func hush(s string) string { return strings.ReplaceAll(s, "SECRET", "…") }

// The reason is said once; the bar only reminds of it. Hints are our own words.
func TestBarWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Bar, Redact: hush})
		r.Event(refused)
		wait(time.Second / 2)
		want := []string{`waiting for credentials: environment: key ASIA…N was refused: …\x1b`, `  put live ones (no SECRET) into the file\x1b`}
		is := func(bar string, lines ...string) {
			t.Helper()
			want = append(want, lines...)
			check(t, "screen", strings.Join(r.screen(t), "\n"), strings.Join(append(want[:len(want):len(want)], bar), "\n"))
		}
		is("waiting for credentials  0/0 files  0/0 B")
		r.Event(refused) // no news
		wait(3 * time.Minute)
		is("waiting for credentials, 3 min  0/0 files  0/0 B")
		r.Event(away)
		wait(time.Minute)
		is("waiting for the store, 4 min  0/0 files  0/0 B", "waiting for the store: 503")
		r.events(going, going)
		wait(time.Second)
		is("scanning…  0/0 files  0/0 B  0 B/s", "going on after 4 min")
		r.Event(refused) // it is another waiting
		wait(7*time.Second + frame)
		is("waiting for credentials, 7 s  0/0 files  0/0 B", want[:2]...)
		r.events(going, away, going)
		r.Close()
		is("", "going on after 7 s", "waiting for the store: 503", "going on after 0 s")
	})
}

func TestNarrowBarWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Bar, Credentials: life(Credentials{Left: -1})})
		r.Event(refused)
		wait(13 * time.Minute)
		for width, want := range map[int64]string{
			58: "waiting for credentials, 13 min  0/0 files  0/0 B",
			40: "waiting for credentials, 13 min  0/0 B",
			33: "waiting for credentials, 13 min",
			20: "waiting for creden…",
			2:  "…",
			1:  "",
		} {
			r.width.Store(width)
			wait(frame)
			got := r.err.String()
			if i := strings.LastIndexByte(got, '\r'); strings.TrimRight(got[i+1:], " ") != want {
				t.Errorf("%d columns: %q", width, got[i+1:])
			}
		}
		r.Close()
	})
}

// Once a waiting, whatever is waited for, and on nothing but a terminal.
func TestTheBellRingsOnceAWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			mode     Mode
			terminal bool
			want     int
		}{{Bar, true, 2}, {Bar, false, 0}, {Plain, true, 0}, {Quiet, true, 0}, {JSON, true, 0}} {
			r := newRig(Options{Mode: c.mode})
			if b, ok := r.view.(*bar); ok {
				r.draw.Lock()
				b.bell = c.terminal
				r.draw.Unlock()
			}
			r.Event(refused)
			wait(time.Minute)
			r.events(refused, away, refused)
			wait(time.Minute)
			r.events(going, away)
			wait(time.Minute)
			r.events(away, going)
			r.Close()
			if n := strings.Count(r.err.String()+r.out.String(), "\a"); n != c.want {
				t.Errorf("mode %d, terminal %v: rang %d times", c.mode, c.terminal, n)
			}
		}
	})
}

// A night of waiting is a few hundred lines, and the first ones come soon.
func TestPlainWaitsWithFewWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Plain, Redact: hush})
		r.Event(refused)
		wait(3*time.Minute + frame)
		r.Event(away)
		wait(frame)
		r.Event(going)
		wait(10*time.Second + frame)
		r.Close()
		check(t, "plain", r.err.String(), `waiting for credentials: environment: key ASIA…N was refused: …\x1b
  put live ones (no SECRET) into the file\x1b
waiting for credentials, 2 s, 0 of 0 files, 0 of 0 B
waiting for credentials, 1 min 2 s, 0 of 0 files, 0 of 0 B
waiting for credentials, 2 min 2 s, 0 of 0 files, 0 of 0 B
waiting for the store: 503
going on after 3 min
scanning…, 0 of 0 files, 0 of 0 B, 0 B/s
`)
		r = newRig(Options{Mode: Plain, Interval: time.Hour})
		r.Event(away)
		wait(10 * time.Hour)
		r.Close()
		if n := strings.Count(r.err.String(), "\n"); n > 12 {
			t.Errorf("%d lines, though an hour was asked for", n)
		}
	})
}

// A store that comes and goes does not put off the progress lines for ever.
func TestPlainGoesOnThroughShortWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Plain})
		for range 60 {
			r.Event(away)
			wait(3 * time.Second)
			r.Event(going)
			wait(3 * time.Second)
		}
		r.Close()
		if n := len(regexp.MustCompile("(?m) of 0 files").FindAllString(r.err.String(), -1)); n < 18 {
			t.Errorf("%d progress lines in six minutes", n)
		}
	})
}

// Whoever is asked has read what for, and nothing disturbs the answer but the
// prompt's own words.
func TestAPromptStandsBelowTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []Mode{Bar, Plain} {
			r := newRig(Options{Mode: mode, Interval: time.Minute})
			wait(3 * time.Second)
			r.Event(away)
			release := r.Hold()
			inner := r.Hold()
			r.events(going, transfer.Event{Kind: transfer.Notice, Text: "later"})
			r.Say("paste them", "\x1b, then Enter")
			r.Say()
			wait(5 * time.Minute)
			lines := r.screen(t)
			check(t, "held", strings.Join(lines[len(lines)-4:], "\n"), "waiting for the store: 503\npaste them\n\\x1b, then Enter\n")
			inner()
			wait(time.Minute)
			check(t, "held by the other", r.last(t), "")
			release()
			wait(time.Second)
			r.Event(transfer.Event{Kind: transfer.Notice, Text: "before"})
			r.Say("after")
			r.Close()
			if got := r.err.String(); !inOrder(got, "then Enter\n", "going on after 0 s\n", "note: later\n", "note: before\n", "after\n") {
				t.Error(got)
			}
		}
	})
}

func inOrder(s string, parts ...string) bool {
	for _, p := range parts {
		_, rest, ok := strings.Cut(s, p)
		if !ok {
			return false
		}
		s = rest
	}
	return true
}

func TestSayInQuietModeToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Quiet})
		r.events(refused, going)
		r.Say("paste them")
		r.Close()
		if got := r.err.String(); !inOrder(got, "waiting for credentials: ", "  put live ones", "paste them\n") || strings.Contains(got, "going on") {
			t.Error(got)
		}
	})
}

func TestJSONSaysAWaitingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: JSON, Interval: time.Hour})
		r.events(refused, refused, away, going, away, going)
		r.Close()
		var got []string
		for _, l := range lines(t, r.out.String()) {
			switch l := l.(type) {
			case waitingLine:
				got = append(got, l.For+"|"+l.Hint)
			case goingLine:
				got = append(got, "going")
			}
		}
		check(t, "lines", strings.Join(got, "\n"), strings.Join([]string{
			refused.Text + "|" + refused.Hint, "the store: 503|", "going", "the store: 503|", "going"}, "\n"))
	})
}
