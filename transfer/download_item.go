package transfer

import (
	"context"
	"crypto/md5" //nolint:gosec // the form of S3's ETags, no secret hangs on it
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"agent/transfer/checksum"
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
	if err := f.o.Target.mkdir(s.Fetch.Name); err != nil {
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
	name := s.Fetch.Name
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
		return g.local("journal", errors.Join(ErrLocal, err))
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
		if ferr := g.journal.Forget(g.step.Fetch.Name); ferr != nil {
			return g.local("journal", errors.Join(ErrLocal, ferr))
		}
		g.o.Target.Remove(g.step.Fetch.Name)
	default:
		if _, open, _ := g.journal.Upload(g.step.Fetch.Name); !open {
			g.o.Target.Remove(g.step.Fetch.Name)
		}
	}
	return err
}

// local is an error of this machine about the file.
func (g *getting) local(op string, err error) error {
	return diskError(op, g.obj.Key, g.step.Item.Path, err)
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

// ranges fetches an object by ranges, but for those that an earlier run has,
// and compares the whole with the store's checksum.
func (g *getting) ranges(ctx context.Context) error {
	obj, err := g.from.Stat(ctx, g.obj.Key)
	switch {
	case errors.Is(err, ErrDenied): // then nothing is known of its checksum
		obj = g.obj
	case err != nil:
		return err
	case !sameETag(obj.ETag, g.obj.ETag) || obj.Size != g.obj.Size:
		return &Error{Op: "stat", Key: obj.Key, Err: ErrReplaced}
	}
	g.modified, g.mtime = obj.Modified, obj.MTime
	up, err := g.begin()
	if err != nil {
		return err
	}
	parts, err := g.all(ctx, up)
	if err != nil {
		return err
	}
	for _, p := range parts {
		g.sum = checksum.Combine64(g.sum, p.CRC64, p.Size)
	}
	if g.verified = obj.HasCRC64; g.verified && g.sum != obj.CRC64 {
		return &Error{Op: "verify", Key: obj.Key, Err: ErrDamaged}
	}
	return nil
}

// begin opens the file that an earlier run began, or begins one: what its
// journal says of ranges is durable before the first of them.
func (g *getting) begin() (Upload, error) {
	name := g.step.Fetch.Name
	up, open, err := g.journal.Upload(name)
	if err != nil {
		return up, g.local("journal", errors.Join(ErrLocal, err))
	}
	if open && sameETag(up.ID, g.obj.ETag) && up.Stat.Size == g.obj.Size && up.PartSize > 0 {
		if g.file, err = g.o.Target.reopen(g.part); err == nil {
			return up, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return up, g.local("open", err)
		}
	} else if open {
		g.o.Event(Event{Kind: Notice, Key: g.obj.Key, Text: "it was replaced in the store since it was begun: it starts over"})
	}
	if g.file, err = g.o.Target.create(g.part); err != nil {
		return up, g.local("create", err)
	}
	if err := g.file.Truncate(g.obj.Size); err != nil {
		return up, g.local("write", err)
	}
	up = Upload{Key: name, ID: g.obj.ETag, Stat: Stat{Size: g.obj.Size, MTime: g.obj.Modified.UnixNano()},
		PartSize: g.partSize(), Begun: time.Now()}
	if err := g.journal.Begin(up); err != nil {
		return up, g.local("journal", errors.Join(ErrLocal, err))
	}
	return up, nil
}

// maxRanges keeps the journal of one file small.
const maxRanges = 10_000

func (g *getting) partSize() int64 {
	return max(g.o.PartSize, (g.obj.Size+maxRanges-1)/maxRanges)
}

// all fetches the ranges that are not there yet, several at a time, and returns
// all of them in order.
func (g *getting) all(ctx context.Context, up Upload) ([]Part, error) {
	parts := make([]Part, (up.Stat.Size+up.PartSize-1)/up.PartSize)
	for _, p := range up.Parts {
		if i := int(p.Number) - 1; i < len(parts) {
			parts[i] = p
		}
	}
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(g.o.Parallel)
	for i := range parts {
		if each.Err() != nil {
			break
		}
		group.Go(func() error { return g.one(each, up, i, &parts[i]) })
	}
	err := group.Wait()
	if err == nil && ctx.Err() != nil { // some may never have begun
		err = context.Cause(ctx)
	}
	return parts, err
}

// one sees that range i is there: what an earlier run wrote is read and
// compared with what it received.
func (g *getting) one(ctx context.Context, up Upload, i int, p *Part) error {
	off := int64(i) * up.PartSize
	size := min(up.PartSize, up.Stat.Size-off)
	if p.Number != 0 && p.Size == size {
		sum, err := g.sumOf(ctx, off, size)
		if err != nil {
			return err
		}
		if sum == p.CRC64 {
			g.moved.take(Event{Kind: Saved, Key: g.obj.Key, Bytes: size})
			return nil
		}
	}
	out, err := g.get(ctx, off, size)
	if err != nil {
		return err
	}
	*p = Part{Number: int32(i + 1), Size: size, CRC64: out.CRC64} //nolint:gosec // at most maxRanges
	if err := g.journal.Part(up.Key, up.ID, *p); err != nil {
		return g.local("journal", errors.Join(ErrLocal, err))
	}
	g.o.Event(Event{Kind: PartDone, Key: g.obj.Key, Bytes: size})
	return nil
}

// readSize is the piece in which files are read for their checksums.
const readSize = 256 << 10

// sumOf is the CRC64NVME of a range of the file. What can't be read any more
// has none.
func (g *getting) sumOf(ctx context.Context, off, size int64) (sum uint64, err error) {
	buf := make([]byte, min(readSize, size))
	for end := off + size; off < end; {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		b := buf[:min(int64(len(buf)), end-off)]
		if _, err := g.file.ReadAt(b, off); err != nil {
			if errors.Is(err, io.EOF) {
				return 0, nil
			}
			return 0, g.local("read", err)
		}
		sum = checksum.Update64(sum, b)
		off += int64(len(b))
	}
	return sum, nil
}

// finish makes the file durable, gives it its name, and journals it. A rename
// that a power cut undoes is noticed by the next run: the file is not there.
func (g *getting) finish() error {
	t, name := g.o.Target, g.step.Fetch.Name
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
	if err := g.journal.Done(Record{Key: name, Stat: st, ETag: g.obj.ETag, CRC64: g.sum}); err != nil {
		return g.local("journal", errors.Join(ErrLocal, err))
	}
	g.o.Event(Event{Kind: Done, Key: g.obj.Key, Path: g.step.Item.Path, Bytes: g.obj.Size, Verified: g.verified})
	return nil
}

// same compares a file that is there with the object, and settles it if nothing
// is to be fetched.
func (f *fetcher) same(ctx context.Context, s Step) (done bool, _ error) {
	obj, err := f.from.Stat(ctx, s.Item.Key)
	switch {
	case errors.Is(err, ErrDenied):
		obj = s.Fetch.Object
	case err != nil:
		return false, err
	case !sameETag(obj.ETag, s.Fetch.Object.ETag):
		return false, &Error{Op: "stat", Key: obj.Key, Err: ErrReplaced}
	}
	text := "compared, and the same"
	sum, same, err := f.sameBytes(ctx, s, obj)
	if err != nil {
		return false, err
	}
	if same {
		err = f.journal.Done(Record{Key: s.Fetch.Name, Stat: *s.Fetch.Was, ETag: obj.ETag, CRC64: sum})
		if err != nil {
			return false, &Error{Op: "journal", Key: s.Item.Key, Err: errors.Join(ErrLocal, err)}
		}
	} else {
		if s.apply(f.o.Existing); s.Err != nil {
			return false, s.Err
		}
		text = s.Reason
	}
	if same || s.Action == Skip {
		f.o.Event(Event{Kind: There, Key: s.Item.Key, Path: s.Item.Path, Bytes: s.Item.Stat.Size, Text: text})
		return true, nil
	}
	return false, nil
}

// sameBytes reads the file where the store has a checksum of the object, or an
// ETag that is one. Where it has neither, a file of the size and the time that
// the object's metadata name is the same.
func (f *fetcher) sameBytes(ctx context.Context, s Step, obj Object) (sum uint64, same bool, err error) {
	etag := strings.Trim(obj.ETag, `"`)
	isMD5 := len(etag) == hex.EncodedLen(md5.Size)
	if obj.Size != s.Fetch.Was.Size {
		return 0, false, nil
	}
	file, err := f.o.Target.root.Open(s.Fetch.Name)
	if err != nil {
		return 0, false, diskError("open", s.Item.Key, s.Item.Path, err)
	}
	defer file.Close()
	item := s.Item
	item.Stat = *s.Fetch.Was
	sum, md, err := f.sums(ctx, targetFile{file, f.o.Target, s.Fetch.Name}, item, !obj.HasCRC64 && isMD5)
	switch {
	case err != nil:
		return 0, false, err
	case obj.HasCRC64:
		return sum, sum == obj.CRC64, nil
	case isMD5 && md == etag:
		return sum, true, nil
	}
	return sum, !obj.MTime.IsZero() && sameSecond(obj.MTime, time.Unix(0, item.Stat.MTime)), nil
}

// targetFile is a File below a Target.
type targetFile struct {
	*os.File
	t    *Target
	name string
}

func (f targetFile) Stat() (Stat, error) {
	fi, err := f.File.Stat()
	if err != nil {
		return Stat{}, err
	}
	return StatOf(fi), nil
}

func (f targetFile) Now() (Stat, error) {
	fi, err := f.t.root.Lstat(f.name)
	if err != nil {
		return Stat{}, err
	}
	if !fi.Mode().IsRegular() {
		return Stat{}, fmt.Errorf("%w: %w", ErrChanged, errNotRegular)
	}
	return StatOf(fi), nil
}
