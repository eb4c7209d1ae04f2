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
	stop    chan struct{}
	late    chan struct{} // closed by expire
	again   chan struct{} // closed by the second signal, after which the process leaves soon
	signals chan os.Signal

	mu    sync.Mutex
	got   syscall.Signal
	ended bool // stop is closed
	dead  bool // ctx was ended
}

// untilSignal is a context that ends with the first signal, for what has nothing
// to finish but a terminal to leave as it was.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}

// watch begins to listen. told is called at the first signal. The returned
// function ends it.
func watch(ctx context.Context, told func()) (*stopper, context.Context, func()) {
	s := &stopper{stop: make(chan struct{}), late: make(chan struct{}), again: make(chan struct{}), signals: make(chan os.Signal, 4)}
	ctx, cancel := context.WithCancel(ctx)
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	signal.Notify(s.signals, signals...)
	var wg sync.WaitGroup
	wg.Go(func() { s.listen(ctx, cancel, told) })
	return s, ctx, func() {
		signal.Stop(s.signals)
		cancel()
		wg.Wait()
	}
}

func (s *stopper) listen(ctx context.Context, cancel context.CancelFunc, told func()) {
	var over <-chan time.Time
	late := s.late
	kill := func() {
		s.mu.Lock()
		s.dead = true
		s.mu.Unlock()
		cancel()
	}
	for {
		select {
		case <-late:
			late = nil
			if over == nil {
				over = time.After(overtime)
			}
		case sig := <-s.signals:
			if s.first(sig) {
				told()
				over = time.After(grace)
				continue
			}
			kill()
			close(s.again)
			// A disk that hangs must not keep the user.
			time.AfterFunc(leave, func() { os.Exit(s.code()) })
			return
		case <-over:
			kill()
			over = make(chan time.Time) // not again; but go on listening for the user
		case <-ctx.Done():
			return
		}
	}
}

// interrupt is a ^C that came as a key.
func (s *stopper) interrupt() {
	select {
	case s.signals <- os.Interrupt:
	default: // there are enough of them
	}
}

// first takes a signal, and reports whether there was none before.
func (s *stopper) first(sig os.Signal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.got != 0 {
		return false
	}
	s.got, _ = sig.(syscall.Signal)
	s.close()
	return true
}

// close ends the taking of new work. The caller holds mu.
func (s *stopper) close() {
	if !s.ended {
		s.ended = true
		close(s.stop)
	}
}

// expire is like a signal, for which no exit code stands: the time is over. It
// reports whether the run was not being stopped already.
func (s *stopper) expire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.close()
	close(s.late)
	return true
}

// expired reports whether it was the time that stopped the run.
func (s *stopper) expired() bool {
	select {
	case <-s.late:
		return true
	default:
		return false
	}
}

// killed reports whether the run was ended before what was in flight was done.
func (s *stopper) killed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
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
