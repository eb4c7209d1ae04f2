package journal

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"agent/transfer"
)

// DB is an open journal. Its methods may be called by many goroutines at once.
//
// Changes are queued and committed by one goroutine, at most once an interval,
// so that what sends never waits for the disk. After an error of the disk every
// method returns that error, which wraps transfer.ErrLocal; nothing blocks.
type DB struct {
	dir    string
	o      Options
	bolt   *bbolt.DB
	file   *os.File // the one bbolt has locked
	job    Job
	fresh  bool
	damage *Damage

	wake    chan struct{} // something is queued
	hurry   chan struct{} // somebody waits for it
	quit    chan struct{} // closed by Close
	stopped chan struct{} // closed when the writer has ended
	failed  chan struct{} // closed when err is set

	closing  sync.Once
	closeErr error

	items   atomic.Int64 // committed
	lastSeq uint64       // the writer's
	bytes   *int64       // of the items, the writer's; nil where nobody knows

	// mu keeps the queue and what mirrors it in step: what is open is known
	// here as soon as it is queued.
	mu      sync.Mutex
	room    *sync.Cond // the queue was taken, or will not be any more
	cur     *batch     // being filled
	running *batch     // the last one the writer took
	open    map[string]*openUpload
	seq     uint64 // the last number given to an upload
	mark    transfer.Mark
	err     error // for good
	broken  bool  // err was a fault: bbolt's locks may be left held
	closed  bool
	dropped int                 // values left out
	bad     map[string]struct{} // which of them were read since Open

	holderMu   sync.Mutex
	holderGone bool
}

// openUpload is what is known of an upload without asking the file.
type openUpload struct {
	id   string
	seq  uint64
	last *batch // the last one with a change to it; nil since Open
}

var (
	_ transfer.Journal = (*DB)(nil)
	_ transfer.Records = (*DB)(nil)
	_ transfer.Marker  = (*DB)(nil)
)

// checkKey keeps out what bbolt would refuse in the midst of a commit.
func checkKey(key string) error {
	if key == "" || len(key) > bbolt.MaxKeySize {
		return fmt.Errorf("%w: journal: a key of %d bytes", transfer.ErrLocal, len(key))
	}
	return nil
}

// lock takes mu when there is room in the queue. It returns an error, and
// does not hold mu, when there never will be.
func (d *DB) lock() error {
	d.mu.Lock()
	for d.problem() == nil && len(d.cur.ops) >= d.o.Queue {
		d.room.Wait()
	}
	if err := d.problem(); err != nil {
		d.mu.Unlock()
		return err
	}
	return nil
}

// Begin implements transfer.Journal.
func (d *DB) Begin(u transfer.Upload) error {
	if d.o.Off {
		return nil
	}
	b, err := d.begin(u)
	if err != nil {
		return err
	}
	poke(d.hurry)
	return d.wait(context.Background(), b)
}

// begin queues u and returns the batch it is in.
func (d *DB) begin(u transfer.Upload) (*batch, error) {
	if err := checkKey(u.Key); err != nil {
		return nil, err
	}
	for _, p := range u.Parts {
		if err := checkPart(u.Key, p); err != nil {
			return nil, err
		}
	}
	if err := d.lock(); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	key := []byte(u.Key)
	d.seq++
	d.push(op{kind: opBegin, seq: d.forget(u.Key), key: key, val: encodeUpload(key, d.seq, u)})
	for _, p := range u.Parts {
		d.push(partOp(d.seq, p))
	}
	d.open[u.Key] = &openUpload{id: u.ID, seq: d.seq, last: d.cur}
	return d.cur, nil
}

// forget says which upload is open for key, 0 for none, and that it is no
// more. The caller holds mu.
func (d *DB) forget(key string) uint64 {
	up := d.open[key]
	if up == nil {
		return 0
	}
	delete(d.open, key)
	return up.seq
}

func checkPart(key string, p transfer.Part) error {
	if p.Number < 1 {
		return fmt.Errorf("%w: journal: %s has a part %d", transfer.ErrLocal, key, p.Number)
	}
	return nil
}

func partOp(seq uint64, p transfer.Part) op {
	key := partKey(seq, p.Number)
	return op{kind: opPart, seq: seq, key: key, val: encodePart(key, p)}
}

// Part implements transfer.Journal. A part of an upload that is not open any
// more, or was replaced, is left out: it came late.
func (d *DB) Part(key, id string, p transfer.Part) error {
	if d.o.Off {
		return nil
	}
	if err := checkPart(key, p); err != nil {
		return err
	}
	if err := d.lock(); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if up := d.open[key]; up != nil && up.id == id {
		d.push(partOp(up.seq, p))
		up.last = d.cur
	}
	return nil
}

// Done implements transfer.Journal.
func (d *DB) Done(r transfer.Record) error {
	if d.o.Off {
		return nil
	}
	if err := checkKey(r.Key); err != nil {
		return err
	}
	key := []byte(r.Key)
	val := encodeRecord(key, r)
	if err := d.lock(); err != nil {
		return err
	}
	defer d.mu.Unlock()
	d.push(op{kind: opDone, seq: d.forget(r.Key), key: key, val: val})
	return nil
}

// Forget implements transfer.Journal.
func (d *DB) Forget(key string) error {
	if d.o.Off {
		return nil
	}
	if err := checkKey(key); err != nil {
		return err
	}
	if err := d.lock(); err != nil {
		return err
	}
	defer d.mu.Unlock()
	d.push(op{kind: opForget, seq: d.forget(key), key: []byte(key)})
	return nil
}

// SetMark implements transfer.Marker.
func (d *DB) SetMark(m transfer.Mark) error {
	if d.o.Off {
		return nil
	}
	if err := d.lock(); err != nil {
		return err
	}
	defer d.mu.Unlock()
	d.push(op{kind: opMark, key: []byte(keyMark), val: encodeMark(m)})
	d.mark = m
	return nil
}

// Mark implements transfer.Marker. It sees what is queued.
func (d *DB) Mark() (transfer.Mark, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mark, d.problem()
}

// Flush implements transfer.Journal.
func (d *DB) Flush(ctx context.Context) error {
	d.mu.Lock()
	if err := d.problem(); err != nil {
		d.mu.Unlock()
		return err
	}
	b := d.running
	if len(d.cur.ops) > 0 {
		b = d.cur
		poke(d.hurry)
	}
	d.mu.Unlock()
	return d.wait(ctx, b)
}

// wait returns when b is durable; nil already is.
func (d *DB) wait(ctx context.Context, b *batch) error {
	if b == nil {
		return nil
	}
	select {
	case <-b.done: // before all else: done is done
		return nil
	default:
	}
	select {
	case <-b.done:
		return nil
	case <-d.failed:
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Counts says how many records are durable, and how many uploads are open.
func (d *DB) Counts() (items, uploads int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int(d.items.Load()), len(d.open)
}

// Uploads returns the keys of the open uploads, sorted.
func (d *DB) Uploads() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.open))
}

// New reports whether this Open began the journal.
func (d *DB) New() bool { return d.fresh }

// Job is the job as it was when the journal began.
func (d *DB) Job() Job { return d.job }

// Damage tells what was wrong with the file and its values; nil for nothing.
func (d *DB) Damage() *Damage {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.damage == nil && d.dropped == 0 {
		return nil
	}
	dmg := Damage{}
	if d.damage != nil {
		dmg = *d.damage
	}
	dmg.Dropped += d.dropped
	return &dmg
}
