package s3store

import "time"

// What the pace is set by. Shares are of throughput.
const (
	// MaxLanes is how many large requests are made at once at the most where the
	// number is automatic.
	MaxLanes = 64
	// startLanes are opened without a proof of their use, as requests succeed, and
	// none of them is given up for want of one: a few lanes cost next to nothing
	// and hide the pause between two parts.
	startLanes = 4

	windowLeast = 250 * time.Millisecond
	windowMost  = time.Second
	// settleTime after a change fills, or empties, the way: what new connections
	// put on it comes nowhere yet.
	settleTime = 750 * time.Millisecond
	// trialLeast is how long a try is looked at before it is found to be right, and
	// trialMost before it is found to be in vain.
	trialLeast = time.Second
	trialMost  = 2 * time.Second
	// closing is how long lanes may take to close in a try with fewer. They do as
	// requests end, and nothing can be said before.
	closing = 5 * time.Second
	// windowBytes of each large request, or two turns of all requests, make a
	// window long enough to be judged: what the buffers of a connection take at
	// once is a tenth of it.
	windowBytes = 4 << 20
	// unsentBytes is what a large request seems to have moved and is still here.
	unsentBytes = 384 << 10
	// requestWork is what a finished request counts beside its bytes: small ones
	// are held up by latency, and their number is what matters.
	requestWork = 64 << 10

	// refusedShare of all requests of a window close lanes. Fewer are the store's
	// own affair: some refuse one in a hundred, however few there are.
	refusedShare = 0.05

	gainOfDoubling = 0.06  // what twice the lanes must bring at least
	gainOfMore     = 0.03  // likewise, smaller steps
	lossOfFewer    = 0.02  // what fewer lanes may cost
	leap           = 1.5   // times as much from twice the lanes needs no second look
	surprise       = 0.40  // a change by so much is none of ours: look around again
	forgetting     = 0.998 // a window: the best of late is no goal for ever

	waitLeast    = 4 * time.Second // from one try to the next
	waitMost     = time.Minute
	ceilingLeast = 30 * time.Second // how long a number is avoided that was refused
	ceilingMost  = 5 * time.Minute
)

// pace chooses how many large lanes are open, by what they bring. It opens twice
// as many as long as that moves clearly more, goes back to the last number that
// did, and from time to time tries a few more and a few fewer. Where the store
// asks to be spared, or does not answer in time, it closes lanes at once and
// stays below that number for a while.
//
// It is fed with windows: what happened in a span of time in which the lanes
// were in use. Whoever has it guards it.
type pace struct {
	level int // lanes now
	most  int // that a try goes up to

	base  int           // the number that has proved itself; another level is a try
	rate  float64       // work a second at base; 0 where it is not known
	best  float64       // the highest of late
	trial trial         // at level
	fresh time.Duration // how long windows still tell of the change
	step  float64       // how far the next try goes up
	down  bool          // the next try goes down
	next  time.Time
	tried time.Time     // when the try began
	wait  time.Duration // after a try in vain

	opened  bool      // the first lanes are open
	strikes int       // windows in a row with refusals
	backed  time.Time // when lanes were last closed because of them
	ceiling int       // refused when there were so many; 0 for none
	until   time.Time // when that is forgotten
	avoid   time.Duration

	room room
}

func newPace() *pace {
	return &pace{level: 1, most: MaxLanes, base: 1, step: 2, wait: waitLeast, avoid: ceilingLeast}
}

// window is what happened in a span of time.
type window struct {
	took    time.Duration
	bytes   int64 // moved, less what had to be taken back
	done    int   // requests that succeeded
	large   int   // large requests under way at its end
	begun   int   // how many more that are than at its beginning
	refused int   // attempts that failed as if there were too many of them
	hungry  bool  // somebody waits for a lane
	cramped bool  // and would not get it, because it has too many bytes
	excess  bool  // more lanes are in use than are open
}

// trial adds up windows.
type trial struct {
	work float64
	took time.Duration
}

func (t *trial) add(w window) {
	t.work += w.work()
	t.took += w.took
}

func (t *trial) rate() float64 { return t.work / t.took.Seconds() }

// work is what w has brought. What new requests put into buffers is not moved yet.
func (w window) work() float64 { return w.moved() + float64(w.done)*requestWork }

func (w window) moved() float64 {
	return max(float64(w.bytes)-float64(max(w.begun, 0))*unsentBytes, 0)
}

// over reports whether w is long enough to be judged, with so many requests
// under way.
func (w window) over(requests int) bool {
	switch {
	case w.took >= windowMost:
		return true
	case w.took < windowLeast:
		return false
	case w.done >= 2*requests:
		return true
	}
	return w.large > 0 && w.bytes >= int64(w.large)*windowBytes
}

// succeeded takes note of a success: each opens one of the first lanes.
func (p *pace) succeeded() {
	if !p.opened && p.level < startLanes {
		p.open(p.level + 1)
	}
}

func (p *pace) open(level int) {
	p.level, p.base, p.fresh, p.trial = level, level, settleTime, trial{}
	p.opened = level >= startLanes
}

// verdict is what a window has led to.
type verdict uint8

const (
	going   verdict = iota
	settled         // the number has proved itself, for now
	backed          // lanes were closed
)

// took judges a window.
func (p *pace) took(now time.Time, w window) verdict {
	if w.refused > 0 && float64(w.refused) >= refusedShare*float64(w.done+w.refused) {
		if p.strikes++; p.level > p.base || p.strikes > 1 {
			return p.backOff(now)
		}
		return going // one may be an echo of what was refused before
	}
	p.strikes = 0
	if w.work() == 0 {
		p.trial, p.fresh = trial{}, settleTime
		return going
	}
	p.room.took(now, w)
	switch {
	case !w.hungry:
		p.level, p.trial, p.fresh = p.base, trial{}, settleTime // more are of no use
	case !p.opened:
		p.open(min(2*p.level, startLanes))
	case p.fresh > 0 && !p.leaps(w):
		p.fresh -= w.took
	default:
		p.trial.add(w)
		return p.judge(now, w)
	}
	return going
}

func (p *pace) judge(now time.Time, w window) verdict {
	switch {
	case p.level > p.base:
		return p.more(now)
	case p.level < p.base:
		return p.fewer(now, w)
	}
	return p.hold(now, w)
}

// leaps reports a window that proves a try before its first effects are over.
func (p *pace) leaps(w window) bool {
	return p.level >= 2*p.base && p.rate > 0 && w.work() > leap*p.rate*w.took.Seconds()
}

// hold measures the number that has proved itself, until it is time for a try.
func (p *pace) hold(now time.Time, w window) verdict {
	r := w.work() / w.took.Seconds()
	switch {
	case p.rate == 0:
		if p.trial.took < trialLeast {
			return going
		}
		p.rate = p.trial.rate()
		p.best = p.rate
	case r < p.rate*(1-surprise) || r > p.rate*(1+surprise):
		p.step, p.wait, p.best = 2, waitLeast, 0
		if soon := now.Add(p.wait); p.next.After(soon) {
			p.next = soon
		}
		fallthrough
	default:
		p.rate += (r - p.rate) * 0.3
		p.best = max(p.best*forgetting, p.rate)
	}
	if !now.Before(p.next) {
		p.try(now)
	}
	return going
}

// try goes to another number.
func (p *pace) try(now time.Time) {
	most := p.most
	if p.ceiling > 0 && now.Before(p.until) {
		most = p.ceiling - 1
	}
	up := min(max(int(float64(p.base)*p.step), p.base+1), most)
	few := max(min(p.base*3/4, p.base-1), startLanes)
	switch {
	case p.down && few < p.base, up <= p.base && few < p.base:
		p.level = few
	case up > p.base:
		p.level = up
	default:
		p.down, p.next = false, now.Add(p.wait)
		return
	}
	p.fresh, p.trial, p.tried = settleTime, trial{}, now
}

// more judges a try with more lanes.
func (p *pace) more(now time.Time) verdict {
	need := gainOfMore
	if p.level >= 2*p.base {
		need = gainOfDoubling
	}
	r := p.trial.rate()
	leaps := p.level >= 2*p.base && r > leap*p.rate
	if r >= p.rate*(1+need) && (leaps || p.trial.took >= trialLeast) {
		p.base, p.rate, p.best, p.wait = p.level, r, max(p.best, r), waitLeast
		p.trial = trial{}
		p.try(now)
		return going
	}
	if p.trial.took < trialMost {
		return going
	}
	if p.step > 1.5 { // half as much may be right
		p.step = 1.5
		p.back(now, 0)
		return going
	}
	p.step = 1.25
	p.inVain(now)
	return settled
}

// fewer judges a try with fewer lanes.
func (p *pace) fewer(now time.Time, w window) verdict {
	if w.excess {
		if p.trial = (trial{}); now.Sub(p.tried) > closing {
			p.inVain(now)
		}
		return going
	}
	if p.trial.took < trialMost {
		return going
	}
	r := p.trial.rate()
	if r < p.best*(1-lossOfFewer) { // of the best: many small losses would make a great one
		p.inVain(now)
		return going
	}
	p.base, p.rate = p.level, r
	p.back(now, waitLeast)
	return settled
}

// inVain ends a try that showed the number to be right.
func (p *pace) inVain(now time.Time) {
	p.back(now, p.wait)
	p.down = !p.down
	p.wait = min(2*p.wait, waitMost)
}

func (p *pace) back(now time.Time, wait time.Duration) {
	p.level, p.fresh, p.trial, p.next = p.base, settleTime, trial{}, now.Add(wait)
}

// backOff closes lanes, because there are too many.
func (p *pace) backOff(now time.Time) verdict {
	known := p.ceiling > 0 && now.Before(p.until)
	switch {
	case known && p.rate == 0: // it goes on, from the number that was too high
	case known:
		p.avoid = min(2*p.avoid, ceilingMost)
		p.ceiling, p.until = max(p.level, 2), now.Add(p.avoid)
	default:
		p.avoid = ceilingLeast
		p.ceiling, p.until = max(p.level, 2), now.Add(p.avoid)
	}
	if p.level > p.base && p.opened {
		p.level = p.base // that went well
	} else {
		p.level, p.rate = max(p.level/2, 1), 0
	}
	p.base, p.opened, p.backed, p.strikes = p.level, true, now, 0
	p.step, p.wait, p.down = 1.25, waitLeast, false
	p.back(now, p.wait)
	return backed
}
