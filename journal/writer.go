package journal

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"agent/transfer"
)

type opKind uint8

const (
	opBegin  opKind = iota // uploads[key] = val, in place of items[key] and the upload seq
	opPart                 // parts[key] = val
	opDone                 // items[key] = val, and the upload seq is gone
	opForget               // items[key] and the upload seq are gone
	opMark                 // meta[mark] = val
)

// op is one change, encoded by who queued it. seq is the number of the upload
// that goes with it, 0 for none: numbers are given out as changes are queued,
// so the writer has nothing to look up.
type op struct {
	kind     opKind
	seq      uint64
	key, val []byte
}

// batch is what is committed together.
type batch struct {
	ops  []op
	done chan struct{} // closed when it is durable; never, when it fails
}

func newBatch(ops []op) *batch { return &batch{ops: ops, done: make(chan struct{})} }

// push queues o. The caller holds mu.
func (d *DB) push(o op) {
	d.cur.ops = append(d.cur.ops, o)
	poke(d.wake)
	if len(d.cur.ops) >= d.o.Queue {
		poke(d.hurry)
	}
}

// poke leaves a token; one is enough.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write is the one goroutine that changes the file.
func (d *DB) write() {
	defer close(d.stopped)
	var last time.Time
	var spare []op
	for {
		quitting := false
		select {
		case <-d.wake:
			d.pause(last)
		case <-d.quit:
			quitting = true
		}
		b := d.take(spare)
		if b == nil {
			if quitting {
				return
			}
			continue
		}
		last = time.Now()
		items, seq := d.items.Load(), d.lastSeq
		var bytes int64
		err := guard(func() (err error) { bytes, err = d.commit(b.ops, &items, &seq); return err })
		if err != nil {
			d.fail(err)
			continue
		}
		d.items.Store(items)
		d.lastSeq = seq
		if d.bytes != nil {
			*d.bytes = bytes
		}
		close(b.done)
		clear(b.ops)
		spare, b.ops = b.ops[:0], nil
	}
}

// pause spaces commits out. The first after a while does not wait at all, and
// none waits that somebody waits for.
func (d *DB) pause(last time.Time) {
	wait := d.o.Interval - time.Since(last)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.hurry:
	case <-d.quit:
	}
}

// take closes the current batch and begins the next, in spare's memory. It
// returns nil when there is nothing to commit or no sense in it.
func (d *DB) take(spare []op) *batch {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room.Broadcast()
	select {
	case <-d.hurry: // it was for what is taken now
	default:
	}
	if len(d.cur.ops) == 0 || d.err != nil {
		return nil
	}
	b := d.cur
	d.cur, d.running = newBatch(spare), b
	return b
}

// commit applies ops in their order, in one transaction. bytes is what the
// items are then, where that is known.
func (d *DB) commit(ops []op, items *int64, seq *uint64) (bytes int64, err error) {
	err = d.bolt.Update(func(tx *bbolt.Tx) error {
		t := target{
			items: tx.Bucket([]byte(bucketItems)), uploads: tx.Bucket([]byte(bucketUploads)),
			parts: tx.Bucket([]byte(bucketParts)), meta: tx.Bucket([]byte(bucketMeta)),
		}
		t.items.FillPercent, t.uploads.FillPercent, t.parts.FillPercent = fillPercent, fillPercent, fillPercent
		for i := range ops {
			if err := t.apply(&ops[i]); err != nil {
				return err
			}
		}
		*items += t.added
		*seq = max(*seq, t.seq)
		n := uint64(max(*items, 0))
		if d.bytes != nil {
			bytes = *d.bytes + t.bytes
			if err := t.meta.Put([]byte(keySum), encodeSum(sum{items: n, bytes: bytes})); err != nil {
				return err
			}
		}
		return t.meta.Put([]byte(keyCounts), encodeCounts(counts{items: n, seq: *seq}))
	})
	return bytes, err
}

// target is the file as one transaction sees it.
type target struct {
	items, uploads, parts, meta *bbolt.Bucket

	added int64  // items
	bytes int64  // of them
	seq   uint64 // the highest number of an upload
}

func (t *target) apply(o *op) error {
	switch o.kind {
	case opBegin:
		seq, _, err := decodeUpload(o.key, o.val)
		if err != nil {
			return err
		}
		t.seq = max(t.seq, seq)
		if err := t.dropItem(o.key); err != nil {
			return err
		}
		if err := t.dropParts(o.seq); err != nil {
			return err
		}
		return t.uploads.Put(o.key, o.val)
	case opPart:
		return t.parts.Put(o.key, o.val)
	case opDone:
		if old := t.items.Get(o.key); old == nil {
			t.added++
		} else {
			t.bytes -= sizeOf(old)
		}
		t.bytes += sizeOf(o.val)
		if err := t.items.Put(o.key, o.val); err != nil {
			return err
		}
		return t.dropUpload(o)
	case opForget:
		if err := t.dropItem(o.key); err != nil {
			return err
		}
		return t.dropUpload(o)
	case opMark:
		return t.meta.Put(o.key, o.val)
	}
	return fmt.Errorf("unknown change %d", o.kind)
}

func (t *target) dropItem(key []byte) error {
	old := t.items.Get(key)
	if old == nil {
		return nil
	}
	t.added--
	t.bytes -= sizeOf(old)
	return t.items.Delete(key)
}

func (t *target) dropUpload(o *op) error {
	if o.seq == 0 {
		return nil
	}
	if err := t.uploads.Delete(o.key); err != nil {
		return err
	}
	return t.dropParts(o.seq)
}

// dropParts deletes an upload's parts. The keys are gathered first: deleting
// under a cursor makes it skip.
func (t *target) dropParts(seq uint64) error {
	if seq == 0 {
		return nil
	}
	var keys [][]byte
	c := t.parts.Cursor()
	for k, _ := c.Seek(partKey(seq, 0)); k != nil && seqOf(k) == seq; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := t.parts.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// fail makes err what every later call returns, and frees whoever waits.
func (d *DB) fail(err error) {
	if isFault(err) || isDamage(err) || errors.Is(err, bolterrors.ErrIncompatibleValue) { // a record that says it is a bucket
		// The next Open could not see what was wrong, and the next run would
		// fall over it again; so it is told.
		_ = replace(filepath.Join(d.dir, suspectName), []byte(err.Error()+"\n"))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return
	}
	d.broken = isFault(err)
	d.err = fmt.Errorf("%w: journal in %s: %w", transfer.ErrLocal, d.dir, err)
	close(d.failed)
	d.room.Broadcast()
}

// Close makes all that was queued durable and lets go of the journal. It
// returns what had gone wrong before, too; a second call returns the same.
func (d *DB) Close() error {
	d.closing.Do(func() {
		d.mu.Lock()
		d.closed = true
		d.room.Broadcast()
		d.mu.Unlock()
		close(d.quit)
		d.await()
		d.removeHolder(true)
		d.mu.Lock()
		err, broken := d.err, d.broken
		d.mu.Unlock()
		if broken {
			// A panic leaves bbolt's own locks held, and its Close waits for
			// them. The mapping stays until the process ends.
			letGo(d.file)
		} else if e := guard(d.bolt.Close); e != nil && err == nil {
			err = fmt.Errorf("%w: journal in %s: %w", transfer.ErrLocal, d.dir, e)
		}
		d.closeErr = err
	})
	return d.closeErr
}

// await waits for the writer to end. After a fault in a reader it may hang in
// a lock that the reader has left behind.
func (d *DB) await() {
	select {
	case <-d.stopped:
		return
	case <-d.failed:
	}
	select {
	case <-d.stopped:
	case <-time.After(stuck):
	}
}

// problem tells why nothing can be done any more. The caller holds mu.
func (d *DB) problem() error {
	if d.err != nil {
		return d.err
	}
	if d.closed {
		return errors.Join(transfer.ErrLocal, ErrClosed)
	}
	return nil
}
