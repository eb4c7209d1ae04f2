package show

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
)

func TestPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Plain, LogPath: "/log", Credentials: token42})
		r.Start(Start{Job: "3f9c", Command: "upload", Sources: []string{"/a", "/b\n"}, Destination: "s3://x/y"})
		r.events(
			transfer.Event{Kind: transfer.Found, Key: "a", Bytes: 100 * mib},
			transfer.Event{Kind: transfer.Found, Key: "b", Bytes: 100 * mib},
			transfer.Event{Kind: transfer.Moved, Key: "a", Bytes: 20 * mib})
		wait(2 * time.Second)
		r.events(transfer.Event{Kind: transfer.Scanned},
			transfer.Event{Kind: transfer.Moved, Key: "a", Bytes: 80 * mib},
			transfer.Event{Kind: transfer.Done, Key: "a", Bytes: 100 * mib},
			transfer.Event{Kind: transfer.Retry, Key: "b", Err: errors.New("not shown")})
		wait(10 * time.Second)
		r.events(transfer.Event{Kind: transfer.Waiting, Text: "credentials: expired"})
		wait(3 * time.Minute / 20)
		r.events(transfer.Event{Kind: transfer.Waiting, Text: "credentials: expired"},
			transfer.Event{Kind: transfer.Going},
			transfer.Event{Kind: transfer.Notice, Path: "/a/\x1b", Text: "odd"},
			transfer.Event{Kind: transfer.Failed, Key: "b", Bytes: 100 * mib, Err: &transfer.Error{Op: "PutObject", Key: "b", Err: transfer.ErrDenied}})
		if err := r.Finish(1); err != nil {
			t.Error(err)
		}
		check(t, "plain", r.err.String(), `upload /a, /b\n → s3://x/y, job 3f9c
scanning…, 0 of 2 files, 20.0 of 200 MiB, 10.0 MiB/s, token 42 min
1 of 2 files, 100 of 200 MiB, 8.33 MiB/s, 12 s left, token 42 min
waiting for credentials: expired
going on after 9 s
note: /a/\x1b: odd
failed: b: PutObject: access denied
sent    1 file   100 MiB
failed  1 file
time       21 s  4.76 MiB/s
more in the log: /log
`)
		check(t, "out", r.out.String(), "")
	})
}

func TestBarCountsWhatIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Bar})
		r.events(transfer.Event{Kind: transfer.Scanned})
		for range 1200 {
			r.events(transfer.Event{Kind: transfer.Deleted, Key: "a", Bytes: 1})
		}
		wait(time.Second)
		check(t, "deleting", r.last(t), "0/0 files  0/0 B  1,200 deleted 100% [========================================]")
		if err := r.Finish(0); err != nil {
			t.Error(err)
		}
	})
}

func TestBarDrawsOneLineAndLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Bar, Verbose: 1, Credentials: life(Credentials{Left: -time.Second})})
		r.events(transfer.Event{Kind: transfer.Found, Key: "a", Bytes: 100 * mib})
		wait(time.Second)
		check(t, "scanning", r.last(t), "scanning…  0/1 file  0 B/100 MiB  0 B/s  token expired")
		r.events(transfer.Event{Kind: transfer.Scanned})
		for range 10 {
			r.events(transfer.Event{Kind: transfer.Moved, Key: "a", Bytes: 5 * mib})
			wait(time.Second)
		}
		check(t, "half", r.last(t), "0/1 file  50.0/100 MiB  4.55 MiB/s  10 s left  token expired  50% [==============>...............]")
		r.events(transfer.Event{Kind: transfer.Retry, Key: "a", Wait: 1500 * time.Millisecond, Err: errors.New("slow down\n")},
			transfer.Event{Kind: transfer.Failed, Path: "/\u202eb", Err: errors.New("boom")},
			transfer.Event{Kind: transfer.Waiting, Text: "credentials: expired"})
		wait(time.Second)
		want := `retry in 1.5 s: a: slow down\n` + "\n" + `failed: /\u202eb: boom` + "\nwaiting for credentials: expired"
		lines := r.screen(t)
		check(t, "above", strings.Join(lines[:len(lines)-1], "\n"), want)
		if !strings.HasPrefix(r.last(t), "waiting for credentials, 1 s  ") {
			t.Error(r.last(t))
		}
		r.events(transfer.Event{Kind: transfer.Going})
		wait(time.Second)
		r.width.Store(59)
		wait(time.Second)
		if l := r.last(t); columns(l) >= 59 || strings.Contains(l, "[") || !strings.HasSuffix(l, " 50%") {
			t.Error(l)
		}
		r.Close()
		r.Close()
		lines, column := screen(t, r.err.String(), 100)
		check(t, "end", strings.Join(lines, "\n"), want+"\ngoing on after 1 s\n")
		if column != 0 {
			t.Error("the cursor is in column", column)
		}
		r.Event(transfer.Event{Kind: transfer.Notice, Text: "too late"})
		if err := r.Finish(0); err != nil || strings.Contains(r.err.String(), "too late") {
			t.Error(err, r.err.String())
		}
	})
}

func TestBarIsNotRedrawnTooOftenNorForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Bar})
		for range 1000 {
			r.events(transfer.Event{Kind: transfer.Found, Bytes: 1}, transfer.Event{Kind: transfer.Notice, Text: "x"})
			wait(time.Millisecond)
		}
		if n := r.err.writes; n > 10 {
			t.Errorf("%d writes in a second", n)
		}
		before := r.err.writes
		wait(10 * time.Second)
		if n := r.err.writes - before; n > 2 {
			t.Errorf("%d writes while nothing changed", n)
		}
		r.Close()
	})
}

func TestBarFitsEveryWidth(t *testing.T) {
	p := progress{Counts: transfer.Counts{FilesFound: 123456, FilesDone: 1234, FilesFailed: 12, BytesFound: 1 << 40, BytesDone: 1 << 30, Scanned: true},
		rate: 1e7, outlook: outlook{left: time.Hour, leftKnown: true}, creds: Credentials{Left: time.Hour}, credsKnown: true}
	for width := range 200 {
		for _, scanned := range []bool{true, false} {
			for i, waiting := range []string{"", "credentials, 3 min", strings.Repeat("漢字", 40)} {
				p.Scanned, p.tokens = scanned, 4*i
				if l := draw(p, waiting, width); columns(l) > width {
					t.Errorf("%d columns for %d: %s", columns(l), width, l)
				}
			}
		}
	}
	p.Scanned, p.tokens = true, 0
	check(t, "narrow", draw(p, "", 40), "1.00 GiB/1.00 TiB  1 h left  0%")
	check(t, "wide", draw(p, "", 150), "1,234/123,456 files  1.00 GiB/1.00 TiB  9.54 MiB/s  1 h left  12 failed  token 1 h   0% [........................................]")
}

func TestShareSays100OnlyWhenAllIsDone(t *testing.T) {
	p := progress{Counts: transfer.Counts{Scanned: true, FilesFound: 2, FilesDone: 1, BytesFound: 1000, BytesDone: 1000}}
	if n, ok := share(p); n != 99 || !ok {
		t.Error(n, ok)
	}
	p.FilesFailed = 1
	if n, _ := share(p); n != 100 {
		t.Error(n)
	}
	check(t, "full", drawBar("x", 100, 10), "x 100% [==========]")
	if n, ok := share(progress{Counts: transfer.Counts{Scanned: true}}); n != 100 || !ok {
		t.Error("nothing to do:", n, ok)
	}
	if n, _ := share(progress{Counts: transfer.Counts{Scanned: true, FilesFound: 4, FilesThere: 1}}); n != 25 {
		t.Error("empty files:", n)
	}
}

func TestATerminalShowsTwentyFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			mode  Mode
			lines int
		}{{Bar, 20}, {Plain, 50}, {Quiet, 50}, {JSON, 50}} {
			r := newRig(Options{Mode: c.mode, LogPath: "/log/job.log"})
			for i := range 50 {
				r.Event(transfer.Event{Kind: transfer.Failed, Key: fmt.Sprint("k", i), Err: errors.New("no")})
			}
			if err := r.Finish(1); err != nil {
				t.Error(err)
			}
			all := r.out.String() + r.err.String()
			if n := strings.Count(all, "failed: ") + strings.Count(all, `"state":"failed"`); n != c.lines {
				t.Errorf("mode %d: %d lines", c.mode, n)
			}
			if c.mode == Bar && (!strings.Contains(all, "more failures are only counted here; all of them: /log/job.log\n") ||
				!strings.Contains(all, "failed  50 files  20 shown; all of them: /log/job.log\n")) {
				t.Error(all)
			}
		}
	})
}

func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Quiet, Name: "ag", LogPath: "/l", Verbose: 2,
			Explain: func(err error) (string, string) { return err.Error() + " token=1", "look" },
			Redact:  func(s string) string { return strings.ReplaceAll(s, "token=1", "…") }})
		r.Start(Start{Job: "x"})
		r.events(transfer.Event{Kind: transfer.Notice, Text: "x"}, transfer.Event{Kind: transfer.Waiting, Text: "x"},
			transfer.Event{Kind: transfer.Retry}, transfer.Event{Kind: transfer.Failed, Path: "/p", Err: errors.New("bad")})
		wait(time.Minute)
		r.Error("stopped\ntoken=1", "try again")
		if err := r.Finish(1); err != nil {
			t.Error(err)
		}
		check(t, "quiet", r.err.String(), "waiting for x\nfailed: /p: bad … — look\nag: stopped\\n…\n  try again\nag: 1 file failed; all of them: /l\n")
	})
}

func TestDryRunShowsThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Bar, DryRun: true})
		r.events(
			transfer.Event{Kind: transfer.Found, Key: "k", Bytes: 1258291},
			transfer.Event{Kind: transfer.Planned, Key: "k", Bytes: 1258291, Action: transfer.Put, Text: "new"},
			transfer.Event{Kind: transfer.Planned, Key: "l\t", Bytes: 5, Action: transfer.Check, Text: "other mtime"})
		wait(time.Minute)
		if err := r.Finish(0); err != nil {
			t.Error(err)
		}
		check(t, "plan", r.out.String(), "put    1.20 MiB  k  (new)\ncheck       5 B  l\\t  (other mtime)\n")
		check(t, "rest", r.err.String(), "would send  2 files  1.20 MiB\ntime          1 min\n")
	})
}

// Nobody reads: the run goes on, a dry run waits.
func TestAReaderWhoStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: JSON, Interval: time.Hour})
		release := r.Hold()
		for range queueSoft + 10 {
			r.Event(transfer.Event{Kind: transfer.Done, Key: "k"})
		}
		r.Event(transfer.Event{Kind: transfer.Failed, Key: "bad"})
		release()
		release()
		if err := r.Finish(0); err != nil {
			t.Error(err)
		}
		if got := r.out.String(); !strings.Contains(got, `"lines_lost":10`) || !strings.Contains(got, `"key":"bad"`) {
			t.Error(got[len(got)-600:])
		}

		r = newRig(Options{Mode: JSON, Interval: time.Hour, DryRun: true})
		release = r.Hold()
		go func() { time.Sleep(time.Minute); release() }()
		for range queueSoft + 10 {
			r.Event(transfer.Event{Kind: transfer.Planned, Key: "k"})
		}
		if err := r.Finish(0); err != nil {
			t.Error(err)
		}
		if got := strings.Count(r.out.String(), `"type":"plan"`); got != queueSoft+10 {
			t.Errorf("%d lines of a plan", got)
		}
	})
}

func TestHoldKeepsTheScreenStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: Bar})
		r.Event(transfer.Event{Kind: transfer.Found, Bytes: 1})
		wait(time.Second)
		release := r.Hold()
		if r.last(t) != "" {
			t.Error(r.last(t))
		}
		before := r.err.String()
		r.Event(transfer.Event{Kind: transfer.Notice, Text: "later"})
		wait(time.Minute)
		check(t, "held", r.err.String(), before)
		release()
		wait(time.Second)
		if l := r.screen(t); l[0] != "note: later" || !strings.HasPrefix(l[1], "scanning") {
			t.Error(l)
		}
		r.Close()
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestOutThatIsBrokenStopsNothingAndIsTold(t *testing.T) {
	s := New(Options{Mode: JSON, Out: broken{}, Err: broken{}})
	s.Start(Start{})
	if err := s.Finish(0); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestPick(t *testing.T) {
	env := func(term string) func(string) string { return func(string) string { return term } }
	for _, c := range []struct {
		o    Options
		want Mode
	}{
		{Options{Err: new(bytes.Buffer), Env: env("xterm")}, Plain},
		{Options{Mode: Bar, Env: env("xterm")}, Bar},
		{Options{Mode: Bar, Env: env("dumb")}, Plain},
		{Options{Mode: Bar, Env: env("xterm"), DryRun: true}, Plain},
		{Options{Mode: JSON, Env: env("dumb")}, JSON},
		{Options{Mode: Quiet}, Quiet},
	} {
		if got := pick(c.o); got != c.want {
			t.Errorf("%+v: %d", c.o, got)
		}
	}
	if n := widthOf(new(bytes.Buffer))(); n != 80 {
		t.Error(n)
	}
}

func TestExplain(t *testing.T) {
	for err, want := range map[error]string{
		nil:              "unknown error",
		errors.New("no"): "no",
		&transfer.Error{Op: "read", Path: "/p", Err: os.ErrPermission}: "read: permission denied",
	} {
		if got, _ := explain(err); got != want {
			t.Error(got)
		}
	}
}

func TestSummary(t *testing.T) {
	var b strings.Builder
	err := Summary(&b, transfer.Counts{
		FilesFound: 13000, FilesDone: 12345, FilesThere: 100, FilesFailed: 30, FilesIgnored: 8, FilesResumed: 1,
		BytesSent: 5 << 30, BytesAgain: 3 * mib, BytesThere: 1 << 40, BytesSaved: 700 * mib,
		Ignored: map[string]int{"symbolic link": 4, "*.tmp": 1, "b\n": 1, "a": 1, "c": 1},
	}, 83*time.Minute, Ending{Exit: 1, LogPath: "/l", Shown: 20})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "summary", b.String(), `sent           12,345 files  5.00 GiB, 3.00 MiB of it repeated
resumed             1 file   700 MiB were there and not sent again
already there     100 files  1.00 TiB
failed             30 files  20 shown; all of them: /l
ignored             8 files  4 symbolic link, 1 *.tmp, 1 a, 2 for other reasons
time             1 h 23 min  1.03 MiB/s
`)
}
