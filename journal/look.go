package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"agent/transfer"
)

// Glance is what an idle journal says of its job.
type Glance struct {
	Job     Job
	Mark    transfer.Mark
	Files   int64 // that are stored; in a journal beyond lookWhole those in doubt, too
	Bytes   int64 // their sizes
	Uploads []transfer.Upload
	Changed time.Time // when something was written last
}

// lookTimeout is how long Look waits for somebody else who only looks.
const lookTimeout = 30 * time.Millisecond

// Look reads the journal in dir, and leaves it as it is. It keeps nobody from
// opening it: whether it is held is tried for an instant, and the reading is
// done without a lock, because whatever is torn is noticed by its checksum.
// Errors are *BusyError, *NewerError, *UnusableError (damaged, too), one that is
// fs.ErrNotExist, or ctx's.
func Look(ctx context.Context, dir string) (Glance, error) {
	var g Glance
	var err error
	for range 2 { // a run may begin and end while we read
		f, e := lockFile(ctx, dir, lookTimeout, false)
		if e != nil {
			return Glance{}, e
		}
		_ = f.Close() // and so unlocked
		if g, err = look(filepath.Join(dir, fileName)); err == nil {
			return g, nil
		}
	}
	var newer *NewerError
	switch {
	case errors.As(err, &newer):
		newer.Dir = dir
		return g, newer
	case errors.Is(err, fs.ErrNotExist):
		return g, err
	}
	return g, &UnusableError{Dir: dir, Err: err}
}

func look(path string) (Glance, error) {
	f, err := os.Open(path)
	if err != nil {
		return Glance{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Glance{}, err
	}
	g := Glance{Changed: info.ModTime()}
	if info.Size() == 0 {
		return g, fmt.Errorf("it is empty: %w", fs.ErrNotExist)
	}
	t, err := readTree(f, info.Size())
	if err != nil {
		return g, err
	}
	w := t.walker()
	buckets := w.buckets()
	s, err := readState(w.meta(buckets))
	if err != nil {
		return g, err
	}
	g.Job, g.Mark = s.job, s.mark
	g.readUploads(w, buckets)
	if s.bytes != nil && info.Size() > lookWhole {
		g.Files, g.Bytes = int64(s.counts.items), *s.bytes //nolint:gosec // no file has that many
		return g, firstDamage(t.whole(), w.damage)
	}
	_ = w.walk(buckets[bucketItems], func(_ uint32, key, val []byte) error {
		if r, err := decodeRecord(key, val); err == nil && !r.Doubtful() {
			g.Files++
			g.Bytes += r.Stat.Size
		}
		return nil
	})
	return g, w.damage
}

// lookWhole is the largest file that Look reads as a whole, so that whatever is
// wrong in it is noticed: some 30,000 records, 30 ms. A million take a second,
// and of those it believes what they were counted as.
const lookWhole = 4 << 20

// readUploads walks what is open.
func (g *Glance) readUploads(w *walker, buckets map[string]ref) {
	at := map[uint64]int{}
	_ = w.walk(buckets[bucketUploads], func(_ uint32, key, val []byte) error {
		if seq, u, err := decodeUpload(key, val); err == nil {
			at[seq] = len(g.Uploads)
			g.Uploads = append(g.Uploads, u)
		}
		return nil
	})
	_ = w.walk(buckets[bucketParts], func(_ uint32, key, val []byte) error {
		i, open := at[seqOf(key)]
		if p, err := decodePart(key, val); open && err == nil {
			g.Uploads[i].Parts = append(g.Uploads[i].Parts, p)
		}
		return nil
	})
}

// Erase removes a job's folder and all in it, unless somebody holds the
// journal: then the error is a *BusyError. No folder is no error.
func Erase(ctx context.Context, dir string) error {
	f, err := lockFile(ctx, dir, lookTimeout, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	gone := dir
	if f != nil && !renamesOpen {
		_ = f.Close()
	}
	if renamesOpen {
		// Out of the way first: whoever waits for the lock finds no journal
		// under its name, and begins another.
		gone = filepath.Join(filepath.Dir(dir), fmt.Sprintf(".removed-%s-%d", filepath.Base(dir), os.Getpid()))
		if err = os.Rename(dir, gone); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = nil
	}
	if err == nil {
		err = os.RemoveAll(gone)
	}
	if f != nil {
		_ = f.Close()
	}
	if err != nil {
		return &UnusableError{Dir: dir, Err: err}
	}
	return nil
}
