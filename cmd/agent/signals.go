package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// grace is how long what is in flight may go on after the first signal.
const grace = 8 * time.Second

// leave is how long the journal has, after the second, to close.
const leave = 2 * time.Second

// stopper turns signals into the two ways to end: stop closes at the first
// (take nothing new, finish what is in flight), ctx ends at the second or when
// the grace is over.
type stopper struct {
	stop chan struct{}

	mu  sync.Mutex
	got syscall.Signal
}

// watch begins to listen. told is called at the first signal. The returned
// function ends it.
func watch(ctx context.Context, told func()) (*stopper, context.Context, func()) {
	s := &stopper{stop: make(chan struct{})}
	ctx, cancel := context.WithCancel(ctx)
	c := make(chan os.Signal, 4)
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	signal.Notify(c, signals...)
	var wg sync.WaitGroup
	wg.Go(func() { s.listen(ctx, c, cancel, told) })
	return s, ctx, func() {
		signal.Stop(c)
		cancel()
		wg.Wait()
	}
}

func (s *stopper) listen(ctx context.Context, c <-chan os.Signal, cancel context.CancelFunc, told func()) {
	var over <-chan time.Time
	for {
		select {
		case sig := <-c:
			if over == nil {
				s.first(sig)
				told()
				over = time.After(grace)
				continue
			}
			cancel()
			// A disk that hangs must not keep the user.
			time.AfterFunc(leave, func() { os.Exit(s.code()) })
			return
		case <-over:
			cancel()
			over = make(chan time.Time) // not again; but go on listening for the user
		case <-ctx.Done():
			return
		}
	}
}

func (s *stopper) first(sig os.Signal) {
	s.mu.Lock()
	s.got, _ = sig.(syscall.Signal)
	s.mu.Unlock()
	close(s.stop)
}

// code is the exit code for the signal that came, 0 for none.
func (s *stopper) code() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.got == 0 {
		return 0
	}
	return exitSignal + int(s.got)
}
