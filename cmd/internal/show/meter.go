package show

import (
	"math"
	"time"

	"agent/transfer"
)

// meter knows how fast it goes. Only bytes that moved count: a resumed job
// that finds half of its bytes stored has not sent them in its first second.
// Time spent waiting (for credentials, for the network) does not count either,
// so that the time left is right again at once when it goes on.
type meter struct {
	last   time.Time
	active time.Duration // that was not spent waiting
	recent []sample      // one a second, the oldest first, over window
	now    sample
	smooth float64 // net bytes per second, smoothed over a longer time
	marked sample  // where smooth was last brought up to date
}

type sample struct {
	at   time.Duration // of active time
	sent int64         // over the wire
	net  int64         // towards the end: without what must go again
}

const (
	window   = 30 * time.Second // of the rate
	settling = 60 * time.Second // time constant of the time left
	tooEarly = 5 * time.Second  // to guess the time left
)

// observe is to be called several times a second.
func (m *meter) observe(at time.Time, c transfer.Counts) {
	if !m.last.IsZero() && c.Waiting == "" {
		m.active += max(0, at.Sub(m.last))
	}
	m.last = at
	m.now = sample{at: m.active, sent: c.BytesSent, net: c.BytesSent - c.BytesAgain}
	if len(m.recent) > 0 && m.active-m.recent[len(m.recent)-1].at < time.Second {
		return
	}
	m.recent = append(m.recent, m.now)
	for len(m.recent) > 2 && m.active-m.recent[1].at >= window {
		m.recent = m.recent[1:]
	}
	if dt := m.active - m.marked.at; dt > 0 {
		step := float64(m.now.net-m.marked.net) / dt.Seconds()
		// The plain average of all at the start, the exponential one later.
		weight := max(1-math.Exp(-dt.Seconds()/settling.Seconds()), dt.Seconds()/m.active.Seconds())
		m.smooth += weight * (step - m.smooth)
	}
	m.marked = m.now
}

// rate is the bytes per second over the last 30 s that went over the wire.
func (m *meter) rate() float64 {
	if len(m.recent) == 0 {
		return 0
	}
	first := m.recent[0]
	dt := m.now.at - first.at
	if dt < time.Second {
		return 0
	}
	return float64(m.now.sent-first.sent) / dt.Seconds()
}

// left guesses how long remaining bytes take, and whether there is a guess.
func (m *meter) left(remaining int64) (time.Duration, bool) {
	const never = 1000 * 24 * time.Hour
	if m.active < tooEarly || m.smooth < 1 {
		return 0, false
	}
	s := float64(remaining) / m.smooth
	if s > never.Seconds() {
		return 0, false
	}
	return time.Duration(s * float64(time.Second)), true
}
