package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"agent/cmd/internal/prompt"
	"agent/cmd/internal/show"
	"agent/creds"
	"agent/transfer"
)

// waiter tells people that credentials are waited for and what would end it,
// and takes new ones on the run's own terminal.
type waiter struct {
	s *session
	// begin starts something that ends by what it returns, or with the run.
	begin func(func(context.Context)) context.CancelFunc
	end   func() // and waits for all that was begun

	renews atomic.Bool // new credentials come by themselves; looked at now and then, because that reads files

	mu      sync.Mutex
	term    *prompt.Terminal // nil until it was needed
	closed  bool
	waiting bool
	hint    string             // what would end the waiting, as it was told last
	asking  context.CancelFunc // takes the prompt away; nil while there is none
	asks    int                // how many there were

	turn sync.Mutex // of the prompts: one has the terminal at a time

	// Of watch alone, but for total: see left.
	began    time.Time
	counting bool
	total    atomic.Int64 // bytes of all files; 0 until they are counted
}

func newWaiter(ctx context.Context, s *session) *waiter {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	return &waiter{
		s: s,
		begin: func(f func(context.Context)) context.CancelFunc {
			one, end := context.WithCancel(ctx)
			wg.Go(func() {
				defer end()
				f(one)
			})
			return end
		},
		end: func() {
			cancel()
			wg.Wait()
		},
	}
}

// close takes the prompt away and ends what --on-wait has started. Events that
// come later are told, and begin nothing.
func (w *waiter) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.end()
}

// event is told what the provider has to tell. It does not block.
func (w *waiter) event(e creds.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Kind {
	case creds.Waiting:
		text, hint := e.Asked.String(), w.s.wayOut().of(e.Asked)
		w.hint = hint
		w.s.event(transfer.Event{Kind: transfer.Waiting, Text: "credentials: " + text, Hint: hint})
		if w.closed {
			return
		}
		if !w.waiting {
			w.waiting = true
			w.command(text, hint)
		}
		w.open()
	case creds.Going:
		w.waiting = false
		if w.asking != nil {
			w.asking()
			w.asking = nil
		}
		w.s.event(transfer.Event{Kind: transfer.Going, Text: "credentials " + e.Info.Key + " from " + e.Info.Source})
	}
}

// command runs what --on-wait names. It has the reason on its standard input
// and no more in its environment than we have.
func (w *waiter) command(text, hint string) {
	if w.s.o.onWait == "" {
		return
	}
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/C"
	}
	said := fmt.Sprintf("%s: waiting for credentials\n%s\n%s\n", w.s.name, show.Clean(w.s.redact.String(text)), hint)
	w.begin(func(ctx context.Context) {
		cmd := exec.CommandContext(ctx, shell, flag, w.s.o.onWait) //nolint:gosec // the user's own
		cmd.Stdin, cmd.WaitDelay = strings.NewReader(said), time.Second
		if out, err := cmd.CombinedOutput(); err != nil && ctx.Err() == nil {
			w.s.notice(fmt.Sprintf("--on-wait: %v: %.200s", err, strings.TrimSpace(string(out))))
		}
	})
}

// open asks for credentials on the terminal, if there is one to ask on and it
// is not being asked already. The caller holds mu.
func (w *waiter) open() {
	in, ok := w.s.std.in.(*os.File)
	if !ok || !w.s.terminal || !w.s.uses(fromPaste) || w.asking != nil {
		return
	}
	if w.term == nil {
		if w.term, ok = prompt.New(in, w.s.std.err); !ok {
			return
		}
	}
	w.asks++
	id, t := w.asks, w.term
	w.asking = w.begin(func(ctx context.Context) {
		w.turn.Lock() // the one before may be leaving
		w.ask(ctx, t)
		w.turn.Unlock()
		w.mu.Lock()
		defer w.mu.Unlock()
		if id == w.asks {
			w.asking = nil
		}
	})
}

// foregroundPause is how often a run in the background looks whether it has
// the terminal again.
const foregroundPause = 2 * time.Second

// ask takes one paste and hands it over, to this run and to others that want
// the same.
func (w *waiter) ask(ctx context.Context, t *prompt.Terminal) {
	for !t.Foreground() { // reading there would stop the process
		select {
		case <-time.After(foregroundPause):
		case <-ctx.Done():
			return
		}
	}
	defer w.s.sink.Hold()()
	for {
		set, err := takePaste(ctx, t, "Paste the new token here; nothing of it will be shown. Or ^D: it goes on by itself once there is one.")
		if err == nil {
			w.s.redact.Redact(set.SecretAccessKey)
			w.s.redact.Redact(set.SessionToken)
			w.s.sink.Say(lengths(set))
			err = w.take(ctx, set)
		}
		switch {
		case err == nil, ctx.Err() != nil, errors.Is(err, prompt.ErrNoInput):
			return
		case errors.Is(err, prompt.ErrInterrupted): // where ^C is no signal
			w.s.stopper.interrupt()
			return
		}
		what, hint := explain(err)
		w.s.sink.Say(what, "  "+hint)
		var disk *creds.FileError
		if !errors.Is(err, transfer.ErrCredentials) && !errors.As(err, &disk) {
			return // the terminal's fault: no use in asking again
		}
	}
}

// take tries what was pasted and hands it over: a stale clipboard is told of
// here, and not found out by every other run.
func (w *waiter) take(ctx context.Context, set creds.Set) error {
	said, err := w.s.check(ctx, set.Credentials)
	if err != nil {
		return err
	}
	w.s.sink.Say(said)
	return w.s.handover().Put(set)
}

// dismiss takes the prompt away: the run is to end.
func (w *waiter) dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.asking != nil {
		w.asking()
	}
}

// advice is what would end the waiting, as it was told last; "" where it never was.
func (w *waiter) advice() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hint
}

// isWaiting reports whether the run waits for credentials.
func (w *waiter) isWaiting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting
}

// lookEvery is how often the run looks ahead, and at the clock.
const lookEvery = 2 * time.Second

// asleep is how much longer than lookEvery a look may take before it must have
// been the machine, or the process, that stood still.
const asleep = 20 * time.Second

// watch looks ahead and at the clock until ctx ends.
func (w *waiter) watch(ctx context.Context) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	w.began = time.Now()
	w.renews.Store(w.s.provider.Renews())
	warned, ending := false, w.s.keyEnding()
	last := time.Now().Round(0) // the wall clock: the other one stands still in a laptop's sleep
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		now := time.Now().Round(0)
		if gap := now.Sub(last); gap > lookEvery+asleep {
			w.s.notice(fmt.Sprintf("this machine, or this program, was asleep for %s: going on", show.Duration(gap)))
		}
		last = now
		w.renews.Store(w.s.provider.Renews())
		if !warned {
			warned = w.foresee()
		}
		if !ending {
			ending = w.s.keyEnding()
		}
	}
}

// enough is how much longer than the credentials' life the work must take for a
// warning: a guess of the time left is a little wrong.
const enough = 1.2

// foresee warns, as soon as it can be told, that these credentials will not
// last and that nobody will renew them.
func (w *waiter) foresee() (warned bool) {
	info, live := w.s.provider.Info()
	if !live || info.Left <= 0 || w.renews.Load() {
		return false // and nothing to count the files for
	}
	left, known := w.left()
	if !known || left.Seconds() < enough*info.Left.Seconds() {
		return false
	}
	w.s.notice(fmt.Sprintf("these credentials end in %s, and about %s of work is left: it will wait for new ones. %s",
		show.Duration(info.Left), show.Duration(left), wayOut{c: w.s.connection, name: w.s.name}.renew()))
	return true
}

// left is how long the work will still take, as far as that can be told.
// Without a terminal nobody counts the files ahead of the plan, so then it is
// done here, once, for credentials that will not be renewed.
func (w *waiter) left() (time.Duration, bool) {
	if w.s.terminal || w.renews.Load() || w.s.down != nil {
		return w.s.sink.Left()
	}
	if !w.counting {
		w.counting = true
		w.begin(func(ctx context.Context) {
			var total int64
			transfer.Count(ctx, w.s.files, w.s.scanOptions(), func(e transfer.Event) {
				if e.Kind == transfer.Found {
					total += e.Bytes
				}
			})
			w.total.Store(total)
		})
	}
	c, took := w.s.sink.Counts(), time.Since(w.began)
	if total := w.total.Load(); total > 0 && c.BytesSent > 0 && took > 5*time.Second {
		rate := float64(c.BytesSent) / took.Seconds()
		return time.Duration(float64(max(0, total-c.BytesDone)) / rate * float64(time.Second)), true
	}
	return w.s.sink.Left()
}

// keyEnding warns of an API key that ends within days: then nobody renews the
// tokens any more.
func (s *session) keyEnding() (warned bool) {
	left, soon := s.login.KeyEnding(time.Now())
	if !soon || !s.uses(fromPlatform) {
		return false
	}
	when := "ends in " + show.Duration(left)
	if left <= 0 {
		when = "has ended"
	}
	s.notice(fmt.Sprintf("the API key for %s %s: make a new one at %s and run: %s login %s",
		s.scope, when, platformPage(s.platformBase()), s.name, s.scope))
	return true
}

// life is how long the credentials have still to live.
func (s *session) life() (show.Credentials, bool) {
	info, live := s.provider.Info()
	if !live || info.Expires.IsZero() {
		// Those that just ended are told of by Expires alone.
		return show.Credentials{}, false
	}
	return show.Credentials{Left: info.Left, Refresh: info.Refresh, Life: info.Life, Renews: s.waiter.renews.Load()}, true
}

// keyPatience is how long to wait for credentials: what was asked for, else
// without end where somebody is watching. A systemd unit rather fails, so that
// whoever watches units sees it, and is started again.
func (t *task) keyPatience() time.Duration {
	switch {
	case t.o.waitCreds > 0 || t.terminal:
		return t.o.waitCreds
	case os.Getenv("SYSTEMD_EXEC_PID") == strconv.Itoa(os.Getpid()):
		return 10 * time.Minute
	default:
		return 24 * time.Hour
	}
}
