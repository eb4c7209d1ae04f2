package transfer

import (
	"context"
	"errors"
	"io"
	"iter"

	"golang.org/x/sync/errgroup"
)

// RunJournal is the journal of one job as Run needs it.
type RunJournal interface {
	Journal
	Marker
	Records
}

// RunOptions configures Run.
type RunOptions struct {
	Items int   // items open at once; default 32
	Large int   // of them, items of more than LargeSize; default 4
	Size  int64 // what is large, in bytes; default 16 MiB

	// Lanes, if set, tells how many large requests are of use just now. Then not more
	// items are open than keep these busy, within Items and Large: few are half done
	// at a time, and few goroutines wait.
	Lanes func() int

	ContentType func(key string) string // default ContentType
	Event       func(Event)             // never blocks
	Found       bool                    // emit Found for what the plan yields; off where Count does
	Stop        <-chan struct{}         // closed: take nothing new, finish what is in flight
	Mark        Mark                    // the one the plan was made with
	Compare     Compare                 // likewise
	Open        func(path string) (File, error)
}

// File is an open source file.
type File interface {
	io.ReaderAt
	io.Closer
	// Stat is that of the open file, and Now that of whatever has its path now.
	Stat() (Stat, error)
	Now() (Stat, error)
}

// Result is how a run ended.
type Result struct {
	Failed   int  // items and entries that failed
	Left     int  // items that were planned and not finished, because the run ended before
	Waiting  int  // Zarr metadata that were held back, because something of their store is left to a later run
	Complete bool // the whole plan was seen, and nothing of it failed or is left
}

// Run carries out steps: it sends what is to be sent, compares what is to be
// compared, and journals what is stored. Planning, sending and journalling
// overlap; the steps are held at most stepsAhead at a time.
//
// An item that fails is reported by its event and the others go on. The error
// is what ended the run for all: one for which Fatal is true, ErrStopped, or
// the end of ctx.
func Run(ctx context.Context, steps iter.Seq[Step], store Store, j RunJournal, o RunOptions) (Result, error) {
	r := newRunner(j, o)
	r.store, r.do = store, r.item
	return r.run(ctx, steps)
}

func newRunner(j RunJournal, o RunOptions) *runner {
	o = o.withDefaults()
	return &runner{o: o, journal: j, ahead: make(chan Step, stepsAhead),
		finished: make(chan outcome, o.Items), todo: make(chan outcome, o.Items),
		zarr: map[string]*zarrStore{}, low: lowWater{last: o.Mark.Merged}}
}

func (r *runner) run(whole context.Context, steps iter.Seq[Step]) (Result, error) {
	g, ctx := errgroup.WithContext(whole)
	r.group = g
	g.Go(func() error { return r.produce(ctx, steps) })
	r.dispatch(ctx)
	close(r.todo)
	err := g.Wait()
	r.drain()
	if err == nil && r.stopped() {
		err = ErrStopped
	}
	res := Result{Failed: r.failed, Left: r.left + r.held(), Waiting: r.waiting}
	if err == nil && (res.Left > 0 || !r.seenAll) {
		err = context.Cause(whole)
	}
	res.Complete = err == nil && r.seenAll && res.Failed == 0 && res.Left == 0
	if jerr := r.mark(r.seenAll, res.Complete); jerr != nil && err == nil {
		err = jerr
	}
	return res, err
}

func (o RunOptions) withDefaults() RunOptions {
	if o.Items <= 0 {
		o.Items = 32
	}
	if o.Large <= 0 {
		o.Large = 4
	}
	if o.Size <= 0 {
		o.Size = 16 << 20
	}
	if o.ContentType == nil {
		o.ContentType = ContentType
	}
	if o.Event == nil {
		o.Event = func(Event) {}
	}
	if o.Open == nil {
		o.Open = openFile
	}
	return o
}

const (
	stepsAhead = 1024 // how far the plan may be ahead of the sending
	markEvery  = 1000 // steps between two notes of how far the plan was merged
)

// runner is the state of one Run. What is not a channel belongs to dispatch.
type runner struct {
	o       RunOptions
	do      func(context.Context, Step) error // carries out one step
	store   Store
	journal RunJournal
	group   *errgroup.Group

	ahead    chan Step
	finished chan outcome
	seenAll  bool // produce has yielded every step; read after its end

	todo            chan outcome // started items; as many as may be busy fit, so it never blocks
	workers         int
	busy, busyLarge int
	parts           int64 // of the large ones that are busy
	failed, left    int
	waiting         int
	steps           int
	low             lowWater
	zarr            map[string]*zarrStore
	dirs            bool // they are the directories of a download
}

// outcome is how one dispatched item ended.
type outcome struct {
	step  ticketed
	large bool
	parts int64 // where large
	err   error
}

// produce feeds the plan to dispatch until it ends or the run does.
func (r *runner) produce(ctx context.Context, steps iter.Seq[Step]) error {
	defer close(r.ahead)
	for s := range steps {
		if s.Err != nil && s.Item == (Item{}) {
			if ctx.Err() != nil || errors.Is(s.Err, ErrStopped) && r.stopped() {
				return nil // an error would end what is in flight
			}
			return s.Err // the plan itself failed
		}
		if r.o.Found && s.Err == nil && s.Ignored == "" {
			r.o.Event(Event{Kind: Found, Key: s.Item.Key, Path: s.Item.Path, Bytes: s.Item.Stat.Size})
		}
		select {
		case r.ahead <- s:
		case <-r.o.Stop:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if r.o.Found {
		r.o.Event(Event{Kind: Scanned})
	}
	r.seenAll = true
	return nil
}

// dispatch takes step after step until none is left and nothing is under way.
func (r *runner) dispatch(ctx context.Context) {
	ahead, stop := r.ahead, r.o.Stop
	for ahead != nil || r.busy > 0 {
		select {
		case s, ok := <-ahead:
			if !ok {
				ahead = nil
				r.closeZarr(ctx, "")
				continue
			}
			r.take(ctx, s)
		case out := <-r.finished:
			r.settle(ctx, out)
		case <-stop:
			ahead, stop = nil, nil
		case <-ctx.Done():
			ahead = nil
			if r.busy > 0 {
				r.settle(ctx, <-r.finished)
			}
		}
	}
}

// drain counts the steps that were planned and never taken.
func (r *runner) drain() {
	for s := range r.ahead {
		if s.Action != 0 && s.Action != Skip {
			r.left++
		}
	}
}

// take does with one step what it says.
func (r *runner) take(ctx context.Context, s Step) {
	if s.Passed {
		r.low.block()
	}
	r.steps++
	if r.steps%markEvery == 0 && !r.o.Mark.All {
		if err := r.mark(false, false); err != nil {
			r.group.Go(func() error { return err })
			return
		}
	}
	if s.Fetch != nil {
		r.closeZarr(ctx, s.Fetch.Name)
	}
	e := s.Event()
	switch e.Kind {
	case Failed:
		r.failed++
		r.zarrOf(s).fail()
		r.low.add(s.Item.Key) // and never done: what lies there was not held against the store
		r.o.Event(e)
		return
	case Ignored:
		if s.Later {
			r.zarrOf(s).wait()
		}
		r.o.Event(e)
		return
	default:
	}
	if s.Fetch == nil {
		r.closeZarr(ctx, s.Item.Key)
	}
	if s.Action == Skip {
		if (!s.Known || s.Foreign) && s.Fetch == nil {
			r.low.block() // without a record of that object the listing has to tell again
		}
		r.low.pass(s.Item.Key)
		e.Kind, e.Text = There, s.Reason
		r.o.Event(e)
		return
	}
	t := ticketed{s, r.low.add(s.Item.Key)}
	z := r.zarrOf(s)
	if z != nil && s.Item.Meta {
		z.hold(t)
		return
	}
	z.begin()
	r.start(ctx, t)
}

// ticketed is a step whose key the low water waits for.
type ticketed struct {
	Step
	ticket int
}

// start sends one item on its way, as soon as one may be.
func (r *runner) start(ctx context.Context, s ticketed) {
	out := outcome{step: s, large: s.Item.Stat.Size > r.o.Size}
	for r.full(out.large) {
		r.settle(ctx, <-r.finished)
	}
	r.busy++
	if out.large {
		out.parts = (s.Item.Stat.Size + r.o.Size - 1) / r.o.Size
		r.busyLarge++
		r.parts += out.parts
	}
	if r.workers < r.busy {
		r.workers++
		r.group.Go(func() error { r.work(ctx); return nil })
	}
	r.todo <- out
}

// full reports that one more item has to wait for another's end. Small ones wait
// for their turn at each lane, so that it is never idle; large ones have so many
// parts, however few each has.
func (r *runner) full(large bool) bool {
	if r.busy >= r.o.Items || large && r.busyLarge >= r.o.Large {
		return true
	}
	if r.o.Lanes == nil {
		return false
	}
	lanes := r.o.Lanes()
	return r.busy >= max(perLane*lanes, leastBusy) || large && r.busyLarge >= leastLarge && r.parts >= 2*int64(lanes)
}

// What is open at least where Lanes tells how many are of use. A large lane takes
// four small items at a time, and as many wait for it.
const (
	perLane    = 8
	leastBusy  = 32
	leastLarge = 2
)

// work does one item after the other. A goroutine for each item would grow its
// stack anew each time, which is a fifth of the CPU of small files.
func (r *runner) work(ctx context.Context) {
	for out := range r.todo {
		out.err = r.do(ctx, out.step.Step)
		if Fatal(out.err) {
			r.group.Go(func() error { return out.err }) // ends the others at once
		}
		r.finished <- out
	}
}

// settle notes how an item ended.
func (r *runner) settle(ctx context.Context, out outcome) {
	r.busy--
	if out.large {
		r.busyLarge--
		r.parts -= out.parts
	}
	z := r.zarrOf(out.step.Step)
	switch {
	case out.err == nil:
		r.low.done(out.step.ticket)
	case r.unfinished(ctx, out.err):
		r.left++
		z.fail()
	default:
		z.fail()
		r.fail(out.step, out.err)
	}
	z.end()
	r.advance(ctx, z)
}

// fail reports an item that failed. What the journal knew of it is not to be
// trusted by the next run, and that the plan held it against the store is.
func (r *runner) fail(s ticketed, err error) {
	if s.Known && (s.Action == Put || s.Foreign) {
		if ferr := r.doubtRecord(s.Item); ferr != nil {
			r.group.Go(func() error { return ferr })
		}
	}
	r.low.done(s.ticket)
	r.failed++
	r.o.Event(Event{Kind: Failed, Key: s.Item.Key, Path: s.Item.Path, Bytes: s.Item.Stat.Size, Err: err})
}

// unfinished tells an item that the end of the run cut short from one that
// failed.
func (r *runner) unfinished(ctx context.Context, err error) bool {
	return Fatal(err) || errors.Is(err, ErrStopped) || ctx.Err() != nil
}

func (r *runner) stopped() bool {
	select {
	case <-r.o.Stop:
		return true
	default:
		return false
	}
}
