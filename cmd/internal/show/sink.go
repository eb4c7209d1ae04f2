package show

import (
	"bytes"
	"io"
	"sync"
	"time"

	"agent/transfer"
)

// frame is the time between two redraws. A new line may take so long to show.
const frame = 200 * time.Millisecond

// What waits for the next frame is bounded, because whoever reads our output
// may have stopped reading. Lines about single items that went well, and
// retries, are given up first.
const (
	queueSoft = 1 << 16
	queueHard = 1 << 18
)

// view is one way to show things. Only one goroutine at a time uses it; it
// writes to buffers and never blocks.
type view interface {
	// wants reports whether events of this kind are shown one by one. It may
	// be called by many goroutines at once.
	wants(k transfer.Kind) bool
	start(at time.Time, s Start)
	event(at time.Time, e transfer.Event)
	// progress is called every frame, after that frame's events.
	progress(p progress)
	fault(at time.Time, what, hint string)
	finish(p progress, e Ending)
	// clear takes away what is not to stay on the screen.
	clear()
}

// progress is how far things are.
type progress struct {
	transfer.Counts
	outlook
	at         time.Time
	elapsed    time.Duration
	rate       float64 // bytes per second, lately
	creds      Credentials
	credsKnown bool
	lost       int // lines that were given up
}

// outlook is a guess of what is still to come.
type outlook struct {
	left      time.Duration // of sending; what is waited meanwhile comes on top
	leftKnown bool
	tokens    int // that the rest takes; 0: not known
}

type happened struct {
	at time.Time
	e  transfer.Event
}

// Sink takes events and shows them. Its methods may be called by many
// goroutines at once.
type Sink struct {
	o     Options
	begun time.Time
	tally transfer.Tally

	mu     sync.Mutex // of the queue, and of ahead
	room   *sync.Cond // there is room in the queue again
	queue  []happened
	lost   int
	closed bool
	ahead  outlook // as of the last frame

	draw     sync.Mutex // of all below: what is on the screen
	view     view
	meter    meter
	held     int // prompts that own the screen
	out, err stream
	fault    error // the first of writing to Out

	stop chan struct{}
	done chan struct{}
	once sync.Once
}

// stream collects what one write is to bring out, so that no half frame is
// ever seen.
type stream struct {
	bytes.Buffer
	w io.Writer
}

// bringOut writes what was collected. What can't be written is given up: a job
// must not stop because nobody listens.
func (s *stream) bringOut() error {
	if s.Len() == 0 {
		return nil
	}
	_, err := s.w.Write(s.Bytes())
	if s.Cap() > 1<<20 {
		s.Buffer = bytes.Buffer{} // a burst is over: give the memory back
	}
	s.Reset()
	return err
}

func newSink(o Options) *Sink {
	s := &Sink{
		o:     o,
		begun: o.Now(),
		out:   stream{w: o.Out},
		err:   stream{w: o.Err},
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	s.room = sync.NewCond(&s.mu)
	s.view = newView(&s.o, &s.out, &s.err, s.begun)
	s.meter.observe(s.begun, transfer.Counts{})
	go s.run()
	return s
}

func newView(o *Options, out, err *stream, begun time.Time) view {
	switch o.Mode {
	case JSON:
		return &jsonView{o: o, out: out, next: firstLine(o, begun)}
	case Bar:
		return &bar{text: text{o: o, out: out, err: err, tty: true}, bell: o.terminal()}
	case Quiet:
		return &quiet{text{o: o, out: out, err: err, tty: o.terminal()}}
	default:
		return &plain{text: text{o: o, out: out, err: err}, next: firstLine(o, begun)}
	}
}

// firstLine is soon: somebody may be looking whether it works at all.
func firstLine(o *Options, begun time.Time) time.Time {
	return begun.Add(min(o.Interval, 2*time.Second))
}

// Start shows what the job is.
func (s *Sink) Start(st Start) {
	s.between(func() { s.view.start(s.o.Now(), st) })
}

// Event takes note of e. It does not block, except in a dry run. After Close
// it counts, and shows nothing.
func (s *Sink) Event(e transfer.Event) {
	s.tally.Add(e)
	if !s.view.wants(e.Kind) {
		return
	}
	h := happened{at: s.o.Now(), e: e}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.o.DryRun && len(s.queue) >= queueSoft && !s.closed {
		s.room.Wait()
	}
	if s.closed {
		return
	}
	limit := queueHard
	switch e.Kind {
	case transfer.Done, transfer.There, transfer.Ignored, transfer.Retry, transfer.Deleted:
		limit = queueSoft
	}
	if len(s.queue) >= limit {
		s.lost++
		return
	}
	s.queue = append(s.queue, h)
}

// Error shows an error that belongs to no single file: one line, and a hint
// below it ("" for none). It may be called after Close too.
func (s *Sink) Error(what, hint string) {
	// The hint is not redacted: it is our own words.
	s.between(func() { s.view.fault(s.o.Now(), s.o.Redact(what), hint) })
}

// Counts is what the events so far add up to.
func (s *Sink) Counts() transfer.Counts { return s.tally.Snapshot() }

// Left guesses how long the sending still takes, and says whether there is a
// guess. What is waited meanwhile comes on top. It does not block.
func (s *Sink) Left() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ahead.left, s.ahead.leftKnown
}

// Tokens guesses how many sets of credentials the rest takes, the one in use
// included unless it is dead, and says whether there is a guess. It does not
// block.
func (s *Sink) Tokens() (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ahead.tokens, s.ahead.tokens > 0
}

// Say writes lines of our own words for people, above the bar; JSON has no
// place for them. During a Hold they are part of what is asked there, so the
// events that are kept stay behind them.
func (s *Sink) Say(lines ...string) {
	if s.o.Mode == JSON {
		return
	}
	s.draw.Lock()
	defer s.draw.Unlock()
	if s.held == 0 {
		s.happen()
	}
	s.view.clear()
	for _, l := range lines {
		s.err.WriteString(Clean(l) + "\n")
	}
	s.bringOut()
}

// Hold clears the bar and shows nothing more until release is called: somebody
// is asked something on the same terminal. What happened before is shown first,
// so a prompt stands below what it is about. Events are kept meanwhile.
func (s *Sink) Hold() (release func()) {
	s.between(func() { s.held++ })
	return sync.OnceFunc(func() {
		s.draw.Lock()
		s.held--
		s.draw.Unlock()
	})
}

// Close shows what is left to show and takes the bar away; the cursor is at
// the start of a line. It waits for the sink's goroutine.
func (s *Sink) Close() {
	s.once.Do(func() {
		close(s.stop)
		<-s.done
		s.between(func() {
			s.mu.Lock()
			s.closed = true
			s.mu.Unlock()
			s.room.Broadcast()
			s.happen() // what came since between looked
		})
	})
}

// Finish closes the sink and shows the summary. The error is the first one of
// writing to Out: then lines are missing there.
func (s *Sink) Finish(exit int) error {
	s.Close()
	e := Ending{Exit: exit, DryRun: s.o.DryRun, Fetching: s.o.Fetching, LogPath: s.o.LogPath}
	s.between(func() { s.view.finish(s.progress(), e) })
	s.draw.Lock()
	defer s.draw.Unlock()
	return s.fault
}

func (s *Sink) run() {
	defer close(s.done)
	t := time.NewTicker(frame)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.show()
		}
	}
}

// show brings the screen up to date.
func (s *Sink) show() {
	s.draw.Lock()
	defer s.draw.Unlock()
	p := s.progress() // the meter goes on while somebody is asked
	if s.held > 0 {
		return
	}
	s.happen()
	s.view.progress(p)
	s.bringOut()
}

// between has f write lines, after those of all events before it and with no
// bar in their way.
func (s *Sink) between(f func()) {
	s.draw.Lock()
	defer s.draw.Unlock()
	s.happen()
	s.view.clear()
	f()
	s.bringOut()
}

// happen shows the events that are waiting.
func (s *Sink) happen() {
	s.mu.Lock()
	todo := s.queue
	s.queue = nil
	s.mu.Unlock()
	s.room.Broadcast()
	if len(todo) == 0 {
		return
	}
	s.view.clear()
	for _, h := range todo {
		s.view.event(h.at, h.e)
	}
}

func (s *Sink) bringOut() {
	if err := s.out.bringOut(); err != nil && s.fault == nil {
		s.fault = err
	}
	// Nobody could be told that telling people has failed.
	_ = s.err.bringOut()
}

func (s *Sink) progress() progress {
	p := progress{Counts: s.tally.Snapshot(), at: s.o.Now()}
	s.meter.observe(p.at, p.Counts)
	p.elapsed = p.at.Sub(s.begun)
	if p.Waiting == "" {
		p.rate = s.meter.rate()
	}
	if p.Scanned {
		p.left, p.leftKnown = s.meter.left(p.Remaining())
	}
	p.creds, p.credsKnown = s.o.Credentials()
	if p.credsKnown && p.leftKnown {
		p.tokens = tokens(p.left, p.creds)
	}
	s.mu.Lock()
	p.lost = s.lost
	s.ahead = p.outlook
	s.mu.Unlock()
	return p
}
