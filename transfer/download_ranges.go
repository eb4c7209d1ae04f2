package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sync/errgroup"

	"agent/transfer/checksum"
)

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
		return up, g.journalFault(err)
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
	if f := g.step.Fetch; f.Ours {
		up.Stat.CTime, up.Stat.Inode = f.Was.CTime, f.Was.Inode
	}
	if err := g.journal.Begin(up); err != nil {
		return up, g.journalFault(err)
	}
	return up, nil
}

// inPlaceOf reports whether a file that was begun is to replace one that this job
// had left so: its record went when this one was begun.
func (u *Upload) inPlaceOf(was Stat) bool {
	return u.Stat.Inode != 0 && u.Stat.Inode == was.Inode && u.Stat.CTime == was.CTime
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
		return g.journalFault(err)
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
