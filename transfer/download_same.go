package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// same compares a file that is there with the object, and settles it if nothing
// is to be fetched.
func (f *fetcher) same(ctx context.Context, s Step) (done bool, _ error) {
	obj, err := f.from.Inspect(ctx, s.Item.Key)
	switch {
	case errors.Is(err, ErrDenied):
		obj = Stored{Object: s.Fetch.Object}
	case err != nil:
		return false, err
	case !sameETag(obj.ETag, s.Fetch.Object.ETag):
		return false, &Error{Op: "stat", Key: obj.Key, Err: ErrReplaced}
	}
	text := "compared, and the same"
	sum, same, err := f.sameBytes(ctx, s, &obj)
	if err != nil {
		return false, err
	}
	if same {
		err = f.journal.Done(Record{Key: s.Fetch.Name, Stat: *s.Fetch.Was, ETag: obj.ETag, CRC64: sum})
		if err != nil {
			return false, &Error{Op: "journal", Key: s.Item.Key, Err: errors.Join(ErrLocal, err)}
		}
		f.o.Target.Remove(s.Fetch.Local) // of a run that was cut off, and fetched what is stored no more
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

// sameBytes reads the file and compares what the store keeps to tell the
// object's bytes by. Where it has neither, a file of the size and the time that
// the object's metadata name is the same.
func (f *fetcher) sameBytes(ctx context.Context, s Step, obj *Stored) (sum uint64, same bool, err error) {
	if obj.Size != s.Fetch.Was.Size {
		return 0, false, nil
	}
	file, err := f.o.Target.root.Open(s.Fetch.Local)
	if err != nil {
		return 0, false, diskError("open", s.Item.Key, s.Item.Path, err)
	}
	defer file.Close()
	item := s.Item
	item.Stat = *s.Fetch.Was
	ways := recipes(obj)
	sum, same, err = f.sums(ctx, targetFile{file, f.o.Target, s.Fetch.Local}, item, ways)
	switch {
	case err != nil:
		return 0, false, err
	case same, len(ways) > 0 && ways[0].sure && !strings.HasPrefix(ways[0].how, "md5"):
		return sum, same, nil
	case s.Known && sameETag(s.Record.ETag, obj.ETag):
		return sum, sum == s.Record.CRC64, nil
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
