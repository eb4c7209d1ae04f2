package s3store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"agent/transfer"
)

// breakAfter is how many failures in a row, over all requests, open the
// circuit: from then on one request at a time tries, and the others wait for
// its success.
const breakAfter = 8

// After tellAfter and fewFailures people are told, too: a request alone backs
// off for most of a minute until it has failed breakAfter times.
const (
	tellAfter   = 5 * time.Second
	fewFailures = 4
)

// health is what all requests together know of the store: whether it answers.
type health struct {
	patience, first time.Duration // see Options; patience 0 is without end

	mu      sync.Mutex
	ok      bool      // it has answered well at least once
	lastOK  time.Time // when it last did
	down    time.Time // since when it has not; zero while it does
	row     int       // failures in a row
	probe   int       // the ticket of whoever tries while the circuit is open; 0 for nobody
	tickets int       // given out so far
	told    bool      // a Waiting event is out
	change  chan struct{}
}

func newHealth(patience, first time.Duration) *health {
	return &health{patience: patience, first: first, change: make(chan struct{})}
}

func (h *health) broadcast() {
	close(h.change)
	h.change = make(chan struct{})
}

// wait returns when a request may be tried: at once while the circuit is
// closed, else one caller after the other. That one has a ticket, and must hand
// it to succeeded, answered, failed or release.
func (h *health) wait(ctx context.Context, stop <-chan struct{}) (ticket int, _ error) {
	for {
		h.mu.Lock()
		if h.row < breakAfter {
			h.mu.Unlock()
			return 0, nil
		}
		if h.probe == 0 {
			h.tickets++
			ticket = h.tickets
			h.probe = ticket
			h.mu.Unlock()
			return ticket, nil
		}
		c := h.change
		h.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-stop:
			return 0, transfer.ErrStopped
		}
	}
}

// answered closes the circuit: the store answered, though not as hoped.
func (h *health) answered(event func(transfer.Event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.isUp(event)
}

func (h *health) succeeded(event func(transfer.Event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ok, h.lastOK = true, time.Now()
	h.isUp(event)
}

// isUp ends what failures began. The caller holds mu.
func (h *health) isUp(event func(transfer.Event)) {
	h.down, h.row = time.Time{}, 0
	h.letNext(h.probe)
	if h.told {
		h.told = false
		event(transfer.Event{Kind: transfer.Going})
	}
}

// release lets the next one try, where a try ended without telling anything of
// the store.
func (h *health) release(ticket int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.letNext(ticket)
}

func (h *health) letNext(ticket int) {
	if ticket != 0 && ticket == h.probe {
		h.probe = 0
		h.broadcast()
	}
}

// failed notes a transient failure; the error says that patience is over.
func (h *health) failed(ticket int, f *Fault, event func(transfer.Event)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if h.down.IsZero() {
		h.down = now
	}
	h.row++
	h.letNext(ticket)
	if away := now.Sub(h.down) >= tellAfter && h.row >= fewFailures; (away || h.row >= breakAfter) && !h.told {
		h.told = true
		event(transfer.Event{Kind: transfer.Waiting, Text: "the store: " + f.Error()})
	}
	limit := h.patience
	if !h.ok {
		limit = h.first
	}
	if limit > 0 && now.Sub(h.down) >= limit {
		f.Sentinel = transfer.ErrUnreachable
		return fmt.Errorf("%w for %s: %w", transfer.ErrUnreachable, now.Sub(h.down).Round(time.Second), f)
	}
	return nil
}

func (h *health) everOK() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ok
}

func (h *health) okSince(t time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lastOK.After(t)
}

// streak is how many failures there were in a row.
func (h *health) streak() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.row
}
