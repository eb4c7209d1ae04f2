package transfer

import "errors"

// mark notes in the journal how far the plan holds. planned: it was seen whole.
func (r *runner) mark(planned, finished bool) error {
	m := Mark{Merged: r.low.key(), Finished: finished}
	all := r.o.Mark.All
	if planned && !all && r.low.idle() {
		// What the scan did not hold may lie behind all that it did.
		rest, err := r.journal.Records(r.low.last+"\x00", 1)
		if err != nil {
			return &Error{Op: "journal", Err: errors.Join(ErrLocal, err)}
		}
		all = len(rest) == 0
	}
	if all {
		m = Mark{All: true, Finished: finished}
	}
	if m == (Mark{}) {
		return nil
	}
	if err := r.journal.SetMark(m); err != nil {
		return &Error{Op: "journal", Err: errors.Join(ErrLocal, err)}
	}
	return nil
}

// lowWater knows up to which key, in key order, everything is done. It holds
// only what is under way: one large file may take as long as a million others.
type lowWater struct {
	last string         // the greatest key that was added
	way  map[int]string // by ticket: the last key before that one was added
	next int            // ticket
}

// add notes that work on key has begun.
func (l *lowWater) add(key string) (ticket int) {
	if l.way == nil {
		l.way = map[int]string{}
	}
	ticket = l.next
	l.next++
	l.way[ticket] = l.last
	l.pass(key)
	return ticket
}

// pass notes that nothing is to be done for key.
func (l *lowWater) pass(key string) { l.last = max(l.last, key) }

// block keeps the low water where it is, for good.
func (l *lowWater) block() {
	if l.way == nil {
		l.way = map[int]string{}
	}
	if _, blocked := l.way[-1]; !blocked {
		l.way[-1] = l.last
	}
}

func (l *lowWater) done(ticket int) { delete(l.way, ticket) }

// key is the greatest one up to which all is done.
func (l *lowWater) key() string {
	key := l.last
	for _, before := range l.way {
		key = min(key, before)
	}
	return key
}

func (l *lowWater) idle() bool { return len(l.way) == 0 }
