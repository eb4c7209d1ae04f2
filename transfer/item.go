package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"agent/transfer/checksum"
)

// changes is how often a file may change while it is read before it fails.
const changes = 3

// item sends, or compares and sends, one item.
func (r *runner) item(ctx context.Context, s Step) error {
	if err := s.asStored(ctx, r.store, r.journal, r.o.Compare); err != nil {
		return err
	}
	if s.Action == Skip { // now that its name is known
		r.o.Event(Event{Kind: There, Key: s.Item.Key, Path: s.Item.Path, Bytes: s.Item.Stat.Size, Text: s.Reason})
		return nil
	}
	for n := 1; ; n++ {
		err := r.once(ctx, s)
		if !errors.Is(err, ErrChanged) || n == changes || ctx.Err() != nil {
			return err
		}
		r.o.Event(Event{Kind: Retry, Key: s.Item.Key, Path: s.Item.Path, Text: "read", Err: err})
	}
}

// once makes one attempt at an item, with the file as it is now.
func (r *runner) once(ctx context.Context, s Step) (err error) {
	f, err := r.open(ctx, &s)
	if err != nil {
		return err
	}
	defer f.Close()
	if s.Action == Check {
		rec, same, err := r.same(ctx, f, s)
		if err != nil {
			return err
		}
		if same {
			if err := r.journal.Done(rec); err != nil {
				return &Error{Op: "journal", Key: s.Item.Key, Err: errors.Join(ErrLocal, err)}
			}
			r.o.Event(Event{Kind: There, Key: s.Item.Key, Path: s.Item.Path, Bytes: s.Item.Stat.Size, Text: "compared, and the same"})
			return nil
		}
	}
	return r.put(ctx, f, s)
}

// open opens the item's file and takes over how it is now.
func (r *runner) open(ctx context.Context, s *Step) (File, error) {
	if s.Item.Path == "" {
		return noFile{}, nil
	}
	op := "open"
	f, err := r.o.Open(s.Item.Path)
	if err == nil {
		var st Stat
		if st, err = f.Stat(); err == nil {
			op = "read"
			st, err = settle(ctx, f, st)
		}
		if err == nil {
			s.Item.Stat = st
			return f, nil
		}
		_ = f.Close()
	}
	return nil, &Error{Op: op, Key: s.Item.Key, Path: s.Item.Path, Err: plain(err)}
}

// plain drops the operation and path from a file system's error: Error has
// them.
func plain(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (r *runner) put(ctx context.Context, f File, s Step) error {
	item := s.Item
	if s.Known {
		// What the record says is not so any more; a crash from here on must
		// not leave it to be trusted, nor what the store has to be taken for new.
		if err := r.doubtRecord(item); err != nil {
			return err
		}
	}
	r.o.Event(Event{Kind: Started, Key: item.Key, Path: item.Path, Bytes: item.Stat.Size})
	moved := meter{event: r.o.Event}
	out, err := r.store.Put(ctx, PutInput{
		Item: item, Body: f, Journal: r.journal, Event: moved.take,
		ContentType: r.o.ContentType(item.Key),
		Unchanged:   func() error { return unchanged(f, item.Stat) },
	})
	if err != nil {
		if !r.unfinished(ctx, err) { // else its parts count: they are journalled
			moved.undo(item)
		}
		return located(err, item)
	}
	err = r.journal.Done(Record{Key: item.Key, Stat: item.Stat, ETag: out.ETag, CRC64: out.CRC64})
	if err != nil {
		return &Error{Op: "journal", Key: item.Key, Err: errors.Join(ErrLocal, err)}
	}
	r.o.Event(Event{Kind: Done, Key: item.Key, Path: item.Path, Bytes: item.Stat.Size, Verified: out.Verified})
	return nil
}

// doubtRecord puts doubt in the place of an item's record but keeps its open upload.
func (r *runner) doubtRecord(item Item) error {
	if _, open, err := r.journal.Upload(item.Key); err != nil {
		return &Error{Op: "journal", Key: item.Key, Err: errors.Join(ErrLocal, err)}
	} else if open {
		return nil // Begin removed the record, and an open upload is doubt enough
	}
	if err := r.journal.Done(Doubt(item.Key)); err != nil {
		return &Error{Op: "journal", Key: item.Key, Err: errors.Join(ErrLocal, err)}
	}
	return nil
}

// located adds the local path to an error that speaks of the object alone.
func located(err error, item Item) error {
	var e *Error
	if errors.As(err, &e) && e.Path == "" && e.Key == item.Key && !Fatal(err) {
		return &Error{Op: e.Op, Key: e.Key, Path: item.Path, Err: e.Err}
	}
	return err
}

// unchanged reports ErrChanged where the open file, or what has its path now,
// is not what it was. While the path leads to the same inode that is one question:
// an inode is not given out again as long as a file of it is open.
func unchanged(f File, was Stat) error {
	for i, stat := range []func() (Stat, error){f.Now, f.Stat} {
		if i > 0 && was.Inode != 0 {
			return nil
		}
		now, err := stat()
		switch {
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("%w: it is gone", ErrChanged)
		case err != nil:
			return err
		case now.Size != was.Size:
			return fmt.Errorf("%w: %d bytes became %d", ErrChanged, was.Size, now.Size)
		case now != was:
			return ErrChanged
		}
	}
	return nil
}

// meter passes events on and knows how much of an item it told as moved.
type meter struct {
	event func(Event)
	net   atomic.Int64
}

func (m *meter) take(e Event) {
	if e.Kind == Moved || e.Kind == Saved {
		m.net.Add(e.Bytes)
	}
	m.event(e)
}

// undo takes back what was told of an item that is not stored after all.
func (m *meter) undo(item Item) {
	if n := m.net.Load(); n != 0 {
		m.event(Event{Kind: Moved, Key: item.Key, Bytes: -n})
	}
}

// same reads the file and reports whether the stored object has its bytes.
func (r *runner) same(ctx context.Context, f File, s Step) (Record, bool, error) {
	rec := Record{Key: s.Item.Key, Stat: s.Item.Stat, ETag: s.Record.ETag, CRC64: s.Record.CRC64}
	if s.Known && !s.Foreign {
		if s.Item.Stat.Size != s.Record.Stat.Size {
			return rec, false, nil
		}
		sum, _, err := r.sums(ctx, f, s.Item, nil)
		return rec, err == nil && sum == s.Record.CRC64, err
	}
	st, err := r.store.Inspect(ctx, s.Item.Key)
	if errors.Is(err, ErrNotExist) || errors.Is(err, ErrDenied) {
		return rec, false, nil
	}
	if err != nil {
		return rec, false, err
	}
	ways := recipes(&st)
	if st.Size != s.Item.Stat.Size || len(ways) == 0 {
		return rec, false, nil
	}
	rec.ETag = st.ETag
	sum, same, err := r.sums(ctx, f, s.Item, ways)
	rec.CRC64 = sum
	return rec, err == nil && same, err
}

// sums reads the file for its CRC64NVME, and says whether it is what one of ways
// tells of.
func (r *runner) sums(ctx context.Context, f File, item Item, ways []recipe) (sum uint64, same bool, _ error) {
	own := checksum.New64()
	_, same, err := match(ctx, f, item.Stat.Size, ways, r.stopped, own)
	if err == nil {
		err = unchanged(f, item.Stat)
	}
	if err != nil && !errors.Is(err, ErrStopped) {
		err = &Error{Op: "read", Key: item.Key, Path: item.Path, Err: err}
	}
	return own.Sum64(), same, err
}

// noFile stands behind an empty object that no file stands behind.
type noFile struct{}

func (noFile) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(nil).ReadAt(p, off) }
func (noFile) Close() error                            { return nil }
func (noFile) Stat() (Stat, error)                     { return Stat{}, nil }
func (noFile) Now() (Stat, error)                      { return Stat{}, nil }
