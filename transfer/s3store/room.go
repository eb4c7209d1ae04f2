package s3store

import "time"

const (
	// partTime is how long a part should take at most, far below the life of any
	// token.
	partTime = 24 * time.Second
	// roomTime bounds the bytes of the large requests under way: connections share a
	// link unevenly, and some parts take twice as long as others.
	roomTime = 16 * time.Second
	// crowdTime is that of those that go although there is no room for them: slow
	// connections take longer, but no link gets slower by them.
	crowdTime = 90 * time.Second
	// unknownRoom is that bound in bytes while nothing was measured.
	unknownRoom = 32 << 20

	// crowdBytes make a look at a slow link long enough: what a connection takes at
	// once would be a great part of less.
	crowdBytes = 6 << 20
	// crowdMost is the longest wait from one try to the next. On a link that is full
	// each makes parts take longer.
	crowdMost = 8 * time.Minute
)

// room bounds how many bytes the large requests under way have together, so that
// they end in roomTime. By that alone, slow connections would stay few however
// much the link can: few move little, and little makes room for few. So from time
// to time a quarter more go than there is room for, one at least, and then twice as
// many, as long as they bring more as connections do that are not in each other's
// way.
type room struct {
	link float64 // bytes a second while large requests were under way; 0: not known
	free int     // so many requests need no room; one never does

	rate   float64       // bytes a second before the try
	need   float64       // what it has to bring; 0 where there is none
	hope   float64       // what it would bring at best; 0 likewise
	before int           // free, then
	trial  trial         // of now
	fresh  time.Duration // how long windows still tell of the change
	next   time.Time     // when to try
	wait   time.Duration
}

// takes reports whether a request of size bytes may join n that have load.
func (r *room) takes(n int, load, size int64) bool {
	room := r.bytes()
	if n == 1 {
		room *= 2 // the link should not be idle between two parts
	}
	if n == 0 || load+size <= room {
		return true
	}
	return n < r.free && float64(load+size) <= max(r.link, r.hope)*crowdTime.Seconds()
}

func (r *room) bytes() int64 {
	if r.link == 0 {
		return unknownRoom
	}
	return int64(r.link * roomTime.Seconds())
}

// took follows the link: at once where it proves to be faster, more slowly down,
// since a window may have been a bad one.
func (r *room) took(now time.Time, w window) {
	rate := w.moved() / w.took.Seconds()
	switch {
	case w.large == 0 || rate == 0:
	case r.link == 0:
		r.link = rate
	case rate > r.link:
		r.link += (rate - r.link) / 2
	default:
		r.link += (rate - r.link) * 0.3
	}
	switch {
	case !w.cramped:
		r.trial = trial{}
	case r.fresh > 0:
		r.fresh -= w.took
	default:
		r.judge(now, w)
	}
}

// judge looks at what those bring that are let.
func (r *room) judge(now time.Time, w window) {
	r.trial.add(w)
	if r.trial.took < trialMost || r.trial.work < crowdBytes && r.trial.took < partTime {
		return
	}
	rate := r.trial.rate()
	r.trial = trial{}
	switch {
	case r.need > 0 && rate >= r.need:
		r.wait = 0
		r.try(rate, r.free, 2*r.free)
		return
	case r.need > 0: // in vain
		r.free, r.need, r.hope = r.before, 0, 0
		r.wait = min(max(2*r.wait, crowdTime), crowdMost)
		r.next = now.Add(r.wait)
		return
	case r.free > 1 && rate < r.rate*(1-surprise):
		r.free, r.wait = 1, 0
		r.next = now.Add(partTime) // until those that are too many have ended
	}
	r.rate = rate
	if n := max(w.large, 1); !now.Before(r.next) {
		r.try(rate, n, n+max(n/4, 1)) // what a smaller part of them brings is lost in the noise
	}
}

// try lets more than n, which bring rate. Half of what they could bring is enough.
func (r *room) try(rate float64, n, more int) {
	r.rate, r.need, r.hope, r.before = rate, 0, 0, r.free
	if more = min(more, MaxLanes); more > n {
		r.free, r.fresh = more, settleTime
		r.hope = rate * float64(more) / float64(n)
		r.need = (rate + r.hope) / 2
	}
}
