package show

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
)

func life(c Credentials) func() (Credentials, bool) {
	return func() (Credentials, bool) { return c, true }
}

func token42() (Credentials, bool) { return Credentials{Left: 42 * time.Minute}, true }

func TestTokens(t *testing.T) {
	const m = time.Minute
	for _, c := range []struct {
		name string
		left time.Duration
		c    Credentials
		want int
	}{
		{"nothing left", 0, Credentials{Left: 42 * m, Life: 60 * m}, 1},
		{"fits", 42 * m, Credentials{Left: 42 * m, Life: 60 * m}, 1},
		{"fits, life unknown", 42 * m, Credentials{Left: 42 * m}, 1},
		{"life unknown", 43 * m, Credentials{Left: 42 * m}, 0},
		{"a bit more", 42*m + 1, Credentials{Left: 42 * m, Life: 60 * m}, 2},
		{"a whole one more", 102 * m, Credentials{Left: 42 * m, Life: 60 * m}, 2},
		{"two more", 102*m + 1, Credentials{Left: 42 * m, Life: 60 * m}, 3},
		{"replaced ten minutes early", 102 * m, Credentials{Left: 42 * m, Refresh: 32 * m, Life: 60 * m}, 3},
		{"replaced ten minutes early, to the end", 142 * m, Credentials{Left: 42 * m, Refresh: 32 * m, Life: 60 * m}, 3},
		{"asked for again at once", 102 * m, Credentials{Left: 60 * m, Refresh: 1, Life: 60 * m}, 3},
		{"asked for after the end", 102 * m, Credentials{Left: 42 * m, Refresh: 50 * m, Life: 60 * m}, 2},
		{"dead", 60 * m, Credentials{Left: -300 * m, Life: 60 * m}, 1},
		{"dead, two", 61 * m, Credentials{Left: -300 * m, Refresh: m, Life: 60 * m}, 2},
		{"dead, nothing left", 0, Credentials{Left: -m, Life: 60 * m}, 1},
		{"dead, life unknown", m, Credentials{Left: -m}, 0},
		{"the longest guess", 1000 * 24 * time.Hour, Credentials{Left: 60 * m, Life: 60 * m}, 24000},
	} {
		if got := tokens(c.left, c.c); got != c.want {
			t.Errorf("%s: %d, not %d", c.name, got, c.want)
		}
	}
}

func TestTokenText(t *testing.T) {
	const left, next = 42 * time.Minute, 32 * time.Minute
	for _, c := range []struct {
		c           Credentials
		n           int
		text, short string
	}{
		{Credentials{Left: left}, 0, "token 42 min", ""},
		{Credentials{Left: left, Refresh: next, Renews: true}, 1, "token 42 min", ""},
		{Credentials{Left: left, Refresh: next}, 4, "token 42 min, about 4 needed", "token 42 min"},
		{Credentials{Left: left, Refresh: next, Renews: true}, 4, "about 4 tokens, next refresh in 32 min", "about 4 tokens"},
		{Credentials{Left: left, Renews: true}, 2000, "about 2,000 tokens", ""},
		{Credentials{}, 4, "token expired", ""},
		{Credentials{Left: -left, Renews: true}, 4, "token expired", ""},
	} {
		if text, short := token(c.c, c.n); text != c.text || short != c.short {
			t.Errorf("%+v, %d: %q, %q", c.c, c.n, text, short)
		}
	}
}

// The plan gives way to its short form, and that to nothing, before anything else goes.
func TestATokenWithoutRoomIsShortened(t *testing.T) {
	p := progress{Counts: transfer.Counts{FilesFound: 2, BytesFound: 200 * mib, BytesDone: 100 * mib, Scanned: true, FilesFailed: 1},
		outlook: outlook{left: 3 * time.Hour, leftKnown: true, tokens: 4}, creds: Credentials{Left: 42 * time.Minute}, credsKnown: true}
	rest := "0/2 files  100/200 MiB  0 B/s  3 h left  1 failed"
	for width, want := range map[int]string{
		120: rest + "  token 42 min, about 4 needed  50% [",
		90:  rest + "  token 42 min  50% [",
		76:  rest + "  50% [",
	} {
		l := draw(p, "", width)
		if got, _, _ := strings.Cut(l, "["); got+"[" != want {
			t.Errorf("%d columns: %s", width, l)
		}
	}
}

// 100 MiB at 10 MiB a minute, with tokens of three minutes.
func TestTheOutlookOfASlowTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, j := newRig(Options{Mode: Plain, Interval: time.Minute}), newRig(Options{Mode: JSON, Interval: time.Minute})
		c := life(Credentials{Left: 2 * time.Minute, Refresh: time.Minute, Life: 3 * time.Minute, Renews: true})
		for _, r := range []*rig{r, j} {
			r.draw.Lock()
			r.o.Credentials = c
			r.draw.Unlock()
			r.events(transfer.Event{Kind: transfer.Found, Bytes: 100 * mib}, transfer.Event{Kind: transfer.Scanned})
		}
		if _, ok := r.Left(); ok {
			t.Error("a guess before anything has moved")
		}
		if _, ok := r.Tokens(); ok {
			t.Error("tokens before anything has moved")
		}
		for range 62 {
			moved := transfer.Event{Kind: transfer.Moved, Bytes: 10 * mib / 60}
			r.Event(moved)
			j.Event(moved)
			wait(time.Second)
		}
		// Nine minutes: two, and four times two.
		if d, ok := r.Left(); !ok || d < 8*time.Minute || d > 10*time.Minute {
			t.Error(d, ok)
		}
		if n, ok := r.Tokens(); !ok || n != 5 {
			t.Error(n, ok)
		}
		r.Close()
		j.Close()
		if got := r.last(t); got != "" || !strings.Contains(r.err.String(), " left, about 5 tokens, next refresh in 1 min\n") {
			t.Error(r.err.String())
		}
		all := lines(t, j.out.String())
		if p := all[len(all)-1].(progressLine); p.Tokens != 5 || p.Refresh != 60 || *p.Token != 120 || p.Left == nil {
			t.Errorf("%+v", p)
		}
	})
}

func TestNothingIsSaidOfCredentialsWithoutAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, f := range []func() (Credentials, bool){nil, func() (Credentials, bool) { return Credentials{Left: 1, Life: 1}, false }} {
			for _, mode := range []Mode{Bar, Plain, JSON} {
				r := newRig(Options{Mode: mode, Credentials: f})
				r.events(transfer.Event{Kind: transfer.Found, Bytes: 100 * mib}, transfer.Event{Kind: transfer.Scanned})
				for range 13 {
					r.Event(transfer.Event{Kind: transfer.Moved, Bytes: mib})
					wait(time.Second)
				}
				if _, ok := r.Left(); !ok {
					t.Error("no guess of the time left")
				}
				if n, ok := r.Tokens(); ok {
					t.Error(n, "tokens")
				}
				r.Close()
				if all := r.out.String() + r.err.String(); strings.Contains(all, "token") || strings.Contains(all, "refresh") {
					t.Error(all)
				}
			}
		}
	})
}
