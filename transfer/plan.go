package transfer

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"
	"unicode"
)

// Step is an Entry and what is to be done about it.
type Step struct {
	Entry
	Action Action // 0 for an entry that failed or is left out
	Reason string // why, in a few words for people

	// Record is what the journal knows of the item, where Known is set.
	// Foreign says that the stored object is not, or not for certain, the one
	// the record is of: only the object itself can tell whether it is the same.
	Record  Record
	Known   bool
	Foreign bool

	Fetch *Fetch // what a download fetches; nil in an upload

	// Passed: before this item, behind the mark, the journal has records of what
	// the scan does not hold, because it is left out now or not there. They were
	// not held against the listing, so the mark must not pass them: a later run
	// may take what they are of.
	Passed bool

	twins []twin // under whose keys it may be stored, although it seems not to be
}

// Event says what was planned, without doing it.
func (s *Step) Event() Event {
	e := Event{Kind: Planned, Key: s.Item.Key, Path: s.Item.Path, Bytes: s.Item.Stat.Size, Action: s.Action, Text: s.Reason, Err: s.Err}
	switch {
	case s.Err != nil:
		e.Kind = Failed
	case s.Ignored != "":
		e.Kind, e.Text = Ignored, s.Ignored
	}
	return e
}

// Count scans the sources only to tell how much there is, by Found events and,
// when it saw all, Scanned. What fails is left to the scan that sends.
func Count(ctx context.Context, sources []Source, o ScanOptions, event func(Event)) {
	for e := range Scan(ctx, sources, o) {
		if e.Err == nil && e.Ignored == "" {
			event(Event{Kind: Found, Key: e.Item.Key, Path: e.Item.Path, Bytes: e.Item.Stat.Size})
		}
	}
	if ctx.Err() == nil {
		event(Event{Kind: Scanned})
	}
}

// PlanOptions are what a plan is made from.
type PlanOptions struct {
	Records Records
	Mark    Mark
	Store   Store // asked for a listing as far as Mark does not spare it; nil trusts the journal
	Prefix  string
	Event   func(Event) // never blocks
	Compare Compare
	// Since is when an earlier run of the job began, by the store's clock; nil where none
	// did. What was stored since and has no record is not taken for the file by its time.
	// It is asked for behind the listing.
	Since func() time.Time
	// Surplus, if set, takes what the listing has and the entries do not. Mark
	// must be zero then: the whole listing is read.
	Surplus *Surplus
}

// Plan decides what each entry needs, as a merge in key order of the entries,
// the journal and, behind the mark, the listing of the store. It holds at most
// recordBatch records and one page of the listing.
//
// Where the store can't be listed, or not in order, the journal is trusted and
// a Notice says so. A listing error after which nothing else would fare better
// ends the plan: it comes as the Err of a last step.
func Plan(ctx context.Context, entries iter.Seq[Entry], o PlanOptions) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		recs := recordCursor{r: o.Records, seen: o.Mark.Merged, passed: o.Store == nil || o.Mark.All}
		objs := newListing(ctx, o)
		defer objs.close()
		for e := range entries {
			s := Step{Entry: e}
			o.Surplus.saw(&e)
			if e.Err == nil && e.Ignored == "" {
				if err := s.decide(&recs, objs); err != nil {
					yield(Step{Entry: Entry{Err: err}})
					return
				}
			}
			if !yield(s) {
				return
			}
		}
		if err := objs.drain(); err != nil {
			yield(Step{Entry: Entry{Err: err}})
		}
	}
}

// decide fills in what to do about s.Item.
func (s *Step) decide(recs *recordCursor, objs *listing) error {
	rec, known, err := recs.find(s.Item.Key)
	if err != nil {
		return &Error{Op: "journal", Err: errors.Join(ErrLocal, err)}
	}
	obj, stored, listed, err := objs.find(s.Item.Key)
	if err != nil {
		return err
	}
	s.Passed = recs.passed && !objs.off
	s.judge(rec, known, obj, stored, listed, objs.o.Compare)
	if !known && s.Action == Skip && objs.o.Compare == ByTime {
		if err := s.doubtTime(recs, obj, objs.o.Since); err != nil {
			return &Error{Op: "journal", Err: errors.Join(ErrLocal, err)}
		}
	}
	if s.Action == Put && !stored && !objs.empty() {
		s.twins = twins(&s.Item, objs.o.Prefix)
	}
	return nil
}

// doubtTime is about an object without a record that its time would tell: one that a
// run of this job may have stored before it was cut off is compared, which gives it
// its record.
func (s *Step) doubtTime(recs *recordCursor, obj Object, since func() time.Time) error {
	open, err := recs.open(s.Item.Key)
	if open || since != nil && obj.Modified.After(since()) {
		s.Action, s.Reason, s.Foreign = Check, "a run ended while it was sent", true
	}
	return err
}

func sameETag(a, b string) bool { return strings.Trim(a, `"`) == strings.Trim(b, `"`) }

// recordBatch bounds a read of the journal, whose transaction must be short:
// the writer waits for it.
const recordBatch = 1000

// recordCursor walks the journal's records in key order.
type recordCursor struct {
	r     Records
	batch []Record
	end   bool

	seen   string // up to here all records were looked at, or are trusted by the mark
	passed bool   // find went past others, or nobody needs to know
}

// open reports whether an upload of key was begun and not ended: then what is stored
// is an older version.
func (c *recordCursor) open(key string) (bool, error) {
	_, open, err := c.r.Upload(key)
	return open, err
}

// find moves to key, which must not be less than the last one.
func (c *recordCursor) find(key string) (Record, bool, error) {
	defer func() { c.seen = max(c.seen, key) }()
	for {
		for len(c.batch) > 0 && c.batch[0].Key < key {
			c.passed = c.passed || c.batch[0].Key > c.seen
			c.batch = c.batch[1:]
		}
		if len(c.batch) > 0 {
			return c.batch[0], c.batch[0].Key == key, nil
		}
		if c.end {
			return Record{}, false, nil
		}
		// Once it is known that some are passed, others need not be read for it.
		from := key
		if next := c.seen + "\x00"; !c.passed && next < key {
			from = next
		}
		var err error
		if c.batch, err = c.r.Records(from, recordBatch); err != nil {
			return Record{}, false, err
		}
		c.end = len(c.batch) < recordBatch
	}
}

// listing walks the objects of the store in key order, from the mark on.
type listing struct {
	ctx  context.Context // of one Plan, which is one call
	o    PlanOptions
	next func() (Object, error, bool)
	stop func()
	head Object
	have bool // head is not consumed yet
	end  bool
	off  bool // the journal is trusted for all that follows
	had  bool // that head is some file's
	n    int64
}

func newListing(ctx context.Context, o PlanOptions) *listing {
	return &listing{ctx: ctx, o: o, off: o.Store == nil || o.Mark.All}
}

func (l *listing) close() {
	if l.stop != nil {
		l.stop()
	}
}

// leap is how many objects may be passed over before the listing is begun
// anew closer to the key: a few files can be looked for among millions.
const leap = 2000

// find moves to key and returns the object there. listed says whether the
// listing speaks for key at all.
func (l *listing) find(key string) (obj Object, stored, listed bool, _ error) {
	if l.off || key <= l.o.Mark.Merged {
		return obj, false, false, nil
	}
	if l.next == nil {
		l.open(l.o.Mark.Merged)
	}
	for passed := 0; ; passed++ {
		if l.have && l.head.Key >= key {
			stored = l.head.Key == key
			l.had = l.had || stored
			return l.head, stored, stored || listable(key), nil
		}
		if l.end {
			return obj, false, listable(key), nil
		}
		if passed == leap && l.o.Surplus == nil {
			l.open(key[:len(key)-1])
		}
		if err := l.step(); err != nil {
			return obj, false, false, l.failed(err)
		}
	}
}

// step goes to the next object. The one that it leaves is surplus, if no file
// had its key.
func (l *listing) step() error {
	if l.have && !l.had {
		if err := l.o.Surplus.add(l.head); err != nil {
			return err
		}
	}
	l.had = false
	o, err, ok := l.next()
	l.head, l.have, l.end = o, ok && err == nil, !ok
	if l.have {
		l.n++
	}
	return err
}

// empty reports that the listing has shown, from its beginning, that nothing is
// stored.
func (l *listing) empty() bool { return l.end && l.n == 0 && !l.off && l.o.Mark.Merged == "" }

// drain reads the rest of the listing for what is surplus in it.
func (l *listing) drain() error {
	if l.o.Surplus == nil || l.off || l.ctx.Err() != nil || l.o.Surplus.Files() == 0 {
		return nil //nolint:nilerr // the end of ctx is the scan's to tell
	}
	if l.next == nil {
		l.open("")
	}
	for !l.end {
		if err := l.step(); err != nil {
			return l.failed(err)
		}
	}
	l.o.Surplus.listed(l.n)
	return nil
}

// listable reports whether a listing would have shown key as it is: XML can't
// carry control characters, and not every store escapes them.
func listable(key string) bool { return strings.IndexFunc(key, unicode.IsControl) < 0 }

// open begins the listing behind after.
func (l *listing) open(after string) {
	l.close()
	l.next, l.stop = iter.Pull2(l.o.Store.List(l.ctx, l.o.Prefix, strings.ToValidUTF8(after, "")))
}

// failed turns a denied or useless listing into trust in the journal.
func (l *listing) failed(err error) error {
	if Fatal(err) || errors.Is(err, ErrStopped) || l.ctx.Err() != nil {
		return err
	}
	l.off = true
	l.o.Surplus.doubt("the destination could not be listed: " + err.Error())
	l.o.Event(Event{Kind: Notice, Err: err, Text: "the destination can't be listed: the journal is trusted for what is stored"})
	return nil
}
