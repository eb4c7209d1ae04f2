package transfer

import (
	"context"
	"errors"
	"os"
	"path"
	"time"
)

// fetcher carries out the steps of a download.
type fetcher struct {
	*runner
	from Origin
	o    DownloadOptions
}

// item makes, compares or fetches one file. One that is replaced in the store
// meanwhile, or comes damaged, starts over.
func (f *fetcher) item(ctx context.Context, s Step) error {
	if s.Fetch.Dir {
		return f.directory(s)
	}
	for n := 1; ; n++ {
		err := f.once(ctx, s)
		replaced := errors.Is(err, ErrReplaced)
		if !replaced && !errors.Is(err, ErrDamaged) || n == changes || ctx.Err() != nil {
			return located(err, s.Item)
		}
		f.o.Event(Event{Kind: Retry, Key: s.Item.Key, Path: s.Item.Path, Text: "fetch", Err: err})
		if replaced {
			again := *s.Fetch
			if again.Object, err = f.from.Stat(ctx, s.Item.Key); err != nil {
				return located(err, s.Item)
			}
			s.Fetch, s.Item.Stat.Size = &again, again.Object.Size
		}
	}
}

func (f *fetcher) directory(s Step) error {
	if err := f.o.Target.mkdir(s.Fetch.Local); err != nil {
		return diskError("mkdir", s.Item.Key, s.Item.Path, err)
	}
	f.o.Event(Event{Kind: Done, Key: s.Item.Key, Path: s.Item.Path, Verified: true})
	return nil
}

// once makes one attempt at a file, with the object as s says it is.
func (f *fetcher) once(ctx context.Context, s Step) error {
	if s.Fetch.Object.ETag == "" { // a listing without: the object itself has one
		obj, err := f.from.Stat(ctx, s.Item.Key)
		if err != nil {
			return err
		}
		again := *s.Fetch
		again.Object, s.Fetch = obj, &again
	}
	if s.Action == Check {
		if done, err := f.same(ctx, s); done || err != nil {
			return err
		}
	}
	name := s.Fetch.Local
	if err := f.o.Target.mkdir(path.Dir(name)); err != nil {
		return diskError("mkdir", s.Item.Key, s.Item.Path, err)
	}
	f.o.Event(Event{Kind: Started, Key: s.Item.Key, Path: s.Item.Path, Bytes: s.Fetch.Object.Size})
	g := &getting{fetcher: f, step: s, obj: s.Fetch.Object, part: partName(name, f.o.Target.tag), moved: meter{event: f.o.Event}}
	err := g.fetch(ctx)
	if err != nil && !f.unfinished(ctx, err) { // else its ranges count: they are journalled
		g.moved.undo(s.Item)
	}
	return err
}

// getting is one file while it is fetched.
type getting struct {
	*fetcher
	step  Step
	obj   Object
	part  string // the name it has meanwhile
	file  *os.File
	moved meter
	sum   uint64 // CRC64NVME of the whole
	// Of the object, as the answers tell.
	modified, mtime time.Time
	verified        bool
}

func (g *getting) fetch(ctx context.Context) error {
	get := g.ranges
	_, open, err := g.journal.Upload(g.step.Fetch.Name)
	if err != nil {
		return g.journalFault(err)
	}
	if !open && g.obj.Size <= g.o.PartSize {
		get = g.whole
	}
	err = get(ctx)
	if err == nil {
		err = g.finish()
	} else if g.file != nil {
		_ = g.file.Close()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrReplaced), errors.Is(err, ErrDamaged):
		if ferr := g.giveUp(); ferr != nil {
			return g.journalFault(ferr)
		}
		g.o.Target.Remove(g.step.Fetch.Local)
	default:
		// A journal that can't be asked any more may have its ranges.
		if _, open, jerr := g.journal.Upload(g.step.Fetch.Name); !open && jerr == nil {
			g.o.Target.Remove(g.step.Fetch.Local)
		}
	}
	return err
}

// giveUp has the journal forget what was begun, and know again what is there.
func (g *getting) giveUp() error {
	f := g.step.Fetch
	if !f.Ours {
		return g.journal.Forget(f.Name)
	}
	return g.journal.Done(Record{Key: f.Name, Stat: *f.Was, ETag: g.step.Record.ETag, CRC64: g.step.Record.CRC64})
}

// local is an error of this machine about the file.
func (g *getting) local(op string, err error) error {
	return diskError(op, g.obj.Key, g.step.Item.Path, err)
}

// journalFault is an error of the journal, which lies on another disk than the file.
func (g *getting) journalFault(err error) error {
	if !errors.Is(err, ErrLocal) {
		err = errors.Join(ErrLocal, err)
	}
	return &Error{Op: "journal", Key: g.obj.Key, Err: err}
}

// WriteAt takes the bytes; its errors say whose fault they are.
func (g *getting) WriteAt(p []byte, off int64) (int, error) {
	n, err := g.file.WriteAt(p, off)
	if err != nil {
		err = g.local("write", err)
	}
	return n, err
}

// get fetches a range.
func (g *getting) get(ctx context.Context, off, size int64) (GetOutput, error) {
	return g.from.Get(ctx, GetInput{Key: g.obj.Key, ETag: g.obj.ETag, Off: off, Size: size,
		Whole: off == 0 && size == g.obj.Size, Body: g, Event: g.moved.take})
}

// whole fetches a small object by one request.
func (g *getting) whole(ctx context.Context) (err error) {
	if g.file, err = g.o.Target.create(g.part); err != nil {
		return g.local("create", err)
	}
	out, err := g.get(ctx, 0, g.obj.Size)
	g.sum, g.modified, g.mtime, g.verified = out.CRC64, out.Modified, out.MTime, out.Verified
	return err
}

// finish makes the file durable, gives it its name, and journals it. A rename
// that a power cut undoes is noticed by the next run: the file is not there.
func (g *getting) finish() error {
	t, name := g.o.Target, g.step.Fetch.Local
	mtime := g.mtime
	if mtime.IsZero() {
		mtime = g.modified
	}
	if err := t.seal(g.file, g.part, mtime); err != nil {
		return g.local("write", err)
	}
	st, err := t.take(g.part, name, g.step.Fetch.Was, g.o.Existing == Replace)
	if err != nil {
		return g.local("rename", err)
	}
	if err := g.journal.Done(Record{Key: g.step.Fetch.Name, Stat: st, ETag: g.obj.ETag, CRC64: g.sum}); err != nil {
		return g.journalFault(err)
	}
	g.o.Event(Event{Kind: Done, Key: g.obj.Key, Path: g.step.Item.Path, Bytes: g.obj.Size, Verified: g.verified})
	return nil
}
