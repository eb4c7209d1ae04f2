package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"agent/transfer"
)

// fillPercent suits keys that arrive in order: a million records take half of
// what they take at bbolt's 0.5.
const fillPercent = 0.95

// Open opens the journal of job in dir, or begins one, and holds it until
// Close. One that is damaged is set aside and what is whole in it carried over
// (Damage tells). Errors are *BusyError, *NewerError, *UnusableError, ctx's, or
// wrap transfer.ErrLocal.
func Open(ctx context.Context, dir string, job Job, o Options) (*DB, error) {
	o = o.withDefaults()
	var dmg *Damage
	var fault error // what bbolt fell over although the pages looked right
	for range 3 {
		f, err := lockFile(ctx, dir, o.Timeout, true)
		if err != nil {
			return nil, err
		}
		s, err := judge(dir, f, o, fault)
		if err == nil {
			d, err := start(dir, f, s, job, o)
			if err == nil {
				d.damage = dmg
				return d, nil
			}
			if !isDamage(err) && !isFault(err) {
				return nil, named(dir, err)
			}
			fault = err // and start has let go of f: the rescue is the next turn's
			continue
		}
		if isDamage(err) || isFault(err) {
			dmg, err = rescue(dir, f, job, o, err)
			fault = nil
		}
		letGo(f)
		if err != nil {
			return nil, named(dir, err)
		}
	}
	return nil, &UnusableError{Dir: dir, Err: fmt.Errorf("what is written there is not what is read: %w", errOr(fault))}
}

func errOr(err error) error {
	if err == nil {
		return errValue
	}
	return err
}

// judge inspects f, unless it is known to be at fault.
func judge(dir string, f *os.File, o Options, fault error) (*state, error) {
	if fault != nil {
		return nil, fault
	}
	s, err := inspect(f, o.CheckBytes)
	if err == nil && !s.fresh {
		if _, e := os.Lstat(filepath.Join(dir, suspectName)); e == nil {
			return nil, damaged("the last run met a fault in it")
		}
	}
	return s, err
}

// named puts dir into errors that lack it.
func named(dir string, err error) error {
	var newer *NewerError
	var other *otherJobError
	switch {
	case errors.As(err, &newer):
		newer.Dir = dir
		return newer
	case errors.As(err, &other):
		return err
	}
	return &UnusableError{Dir: dir, Err: err}
}

// otherJobError is a mix-up of directories: nothing is wrong with the journal.
type otherJobError struct {
	dir       string
	want, has string
}

func (e *otherJobError) Error() string {
	return fmt.Sprintf("journal in %s is of job %s, not of %s", e.dir, e.has, e.want)
}

func (e *otherJobError) Unwrap() error { return transfer.ErrLocal }

// boltOptions: the free list is kept in the file, because without it bbolt
// reconstructs it in a goroutine of its own, where nothing recovers a panic.
func boltOptions(o Options) *bbolt.Options {
	return &bbolt.Options{
		Timeout: o.Timeout, PreLoadFreelist: true, NoStatistics: true,
		FreelistType: bbolt.FreelistMapType,
	}
}

// start hands the locked file to bbolt and begins to write. When it fails, f
// is unlocked and closed.
func start(dir string, f *os.File, s *state, job Job, o Options) (*DB, error) {
	if !s.fresh && s.job.ID != job.ID {
		letGo(f)
		return nil, &otherJobError{dir: dir, want: job.ID, has: s.job.ID}
	}
	db, err := openBolt(f, o)
	if err == nil && s.fresh {
		if err = guard(func() error { return create(db, job) }); err == nil {
			err = syncDir(dir)
		}
	}
	if err != nil {
		// Not db.Close: after a panic it may wait for ever.
		letGo(f)
		return nil, err
	}
	if s.fresh {
		s.job, s.open, s.bytes = job, map[string]*openUpload{}, new(int64)
	}
	d := &DB{
		dir: dir, o: o, bolt: db, file: f, job: s.job, fresh: s.fresh,
		open: s.open, seq: s.counts.seq, lastSeq: s.counts.seq, bytes: s.bytes, mark: s.mark, dropped: s.dropped,
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
		quit: make(chan struct{}), stopped: make(chan struct{}), failed: make(chan struct{}),
		cur: newBatch(nil), bad: map[string]struct{}{},
	}
	d.room = sync.NewCond(&d.mu)
	d.items.Store(int64(s.counts.items)) //nolint:gosec // no file has that many
	_ = os.Remove(filepath.Join(dir, suspectName))
	d.removeHolder(false)
	go d.write()
	return d, nil
}

func openBolt(f *os.File, o Options) (db *bbolt.DB, err error) {
	if err := handOver(f); err != nil {
		return nil, err
	}
	bo := boltOptions(o)
	bo.OpenFile = func(string, int, os.FileMode) (*os.File, error) { return f, nil }
	err = guard(func() error {
		db, err = bbolt.Open(f.Name(), 0o600, bo)
		return err
	})
	for _, e := range []error{bolterrors.ErrInvalid, bolterrors.ErrChecksum, bolterrors.ErrVersionMismatch} {
		if errors.Is(err, e) {
			return nil, damaged("%v", err)
		}
	}
	return db, err
}

// create makes the buckets of a new journal.
func create(db *bbolt.DB, job Job) error {
	text, err := encodeJob(job)
	if err != nil {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{bucketItems, bucketUploads, bucketParts, bucketMeta} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		meta := tx.Bucket([]byte(bucketMeta))
		for key, val := range map[string][]byte{
			keyFormat: encodeFormat(formatVersion), keyJob: text, keyCounts: encodeCounts(counts{}),
		} {
			if err := meta.Put([]byte(key), val); err != nil {
				return err
			}
		}
		return nil
	})
}

// stuck is how long Close waits for a writer that may never come back.
const stuck = time.Second
