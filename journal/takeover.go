package journal

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"agent/transfer"
)

// TakenOver says what a new job learned from others.
type TakenOver struct {
	Records int
	Uploads int
	From    []string // the directories of the journals that gave something
}

// TakeOver copies to dst the records, and moves to it the open uploads, that
// idle journals below jobsDir keep of the same endpoint and bucket under the
// prefix of dst's job. An upload is durable in dst before its journal forgets
// it. Where two journals know a key, the later modified file has it; what dst
// knows itself it keeps. Journals that are held, damaged, newer or of another
// destination are passed over and not written. The error is dst's or ctx's.
func TakeOver(ctx context.Context, dst *DB, jobsDir string) (TakenOver, error) {
	var all TakenOver
	for _, dir := range others(dst.dir, jobsDir) {
		if err := ctx.Err(); err != nil {
			return all, err
		}
		s := openSource(ctx, dir, dst)
		if s == nil {
			continue
		}
		err := s.give(ctx)
		letGo(s.file)
		all.Records += s.records
		all.Uploads += len(s.moved)
		if s.records+len(s.moved) > 0 {
			all.From = append(all.From, dir)
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// others lists the journals beside own, the last modified first.
func others(own, jobsDir string) []string {
	type job struct {
		dir      string
		modified time.Time
	}
	mine, _ := os.Stat(filepath.Join(own, fileName))
	entries, _ := os.ReadDir(jobsDir) // one that is missing has no journals
	var jobs []job
	for _, e := range entries {
		dir := filepath.Join(jobsDir, e.Name())
		info, err := os.Stat(filepath.Join(dir, fileName))
		if err != nil || !info.Mode().IsRegular() || (mine != nil && os.SameFile(mine, info)) {
			continue
		}
		jobs = append(jobs, job{dir, info.ModTime()})
	}
	slices.SortFunc(jobs, func(a, b job) int {
		return cmp.Or(b.modified.Compare(a.modified), cmp.Compare(a.dir, b.dir))
	})
	dirs := make([]string, len(jobs))
	for i, j := range jobs {
		dirs[i] = j.dir
	}
	return dirs
}

// source is another job's journal, locked. It is read by its pages, without
// bbolt, which would map it and might write.
type source struct {
	dst     *DB
	file    *os.File
	tree    *tree
	records int
	moved   map[string]uint64 // uploads that dst has now, and their numbers here
}

// openSource returns nil for a journal that has nothing to give.
func openSource(ctx context.Context, dir string, dst *DB) *source {
	f, err := lockFile(ctx, dir, time.Nanosecond, false)
	if err != nil {
		return nil
	}
	s := &source{dst: dst, file: f, moved: map[string]uint64{}}
	if !s.fits(dir) {
		letGo(f)
		return nil
	}
	return s
}

func (s *source) fits(dir string) bool {
	info, err := s.file.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	if s.tree, err = readTree(s.file, info.Size()); err != nil {
		return false
	}
	// The destination first: most journals go no further.
	w := s.tree.walker()
	values := w.meta(w.buckets())
	if checkFormat(values[keyFormat]) != nil {
		return false
	}
	job, err := decodeJob(values[keyJob])
	if err != nil || job.Direction == Download || job.Endpoint != s.dst.job.Endpoint || job.Bucket != s.dst.job.Bucket {
		return false
	}
	st, err := judge(dir, s.file, s.dst.o, nil)
	return err == nil && !st.fresh
}

// give hands over uploads before records: only then is what dst has of a key
// known to come from a later journal.
func (s *source) give(ctx context.Context) error {
	if err := s.giveUploads(ctx); err != nil {
		return err
	}
	if err := s.giveRecords(ctx); err != nil {
		return err
	}
	if err := s.dst.Flush(ctx); err != nil {
		return err
	}
	// That an upload stays here too costs a question to the store some day,
	// which is no reason to end a run that is beginning.
	_ = s.removeMoved()
	return nil
}

func (s *source) giveUploads(ctx context.Context) error {
	wanted := map[uint64]transfer.Upload{}
	w := s.tree.walker()
	buckets := w.buckets()
	err := w.walk(buckets[bucketUploads], func(_ uint32, key, val []byte) error {
		seq, u, err := decodeUpload(key, val)
		if err == nil && s.dst.job.holds(u.Key) && !s.dst.isOpen(u.Key) {
			wanted[seq] = u
		}
		return nil
	})
	if err != nil || len(wanted) == 0 {
		return err
	}
	if err := s.unknown(wanted); err != nil {
		return err
	}
	// The parts of one upload lie together: one upload's are held at a time.
	var at uint64
	err = w.walk(buckets[bucketParts], func(_ uint32, key, val []byte) error {
		seq := seqOf(key)
		if seq != at {
			if err := s.move(ctx, at, wanted); err != nil {
				return err
			}
			at = seq
		}
		u, ok := wanted[seq]
		if p, err := decodePart(key, val); ok && err == nil {
			u.Parts = append(u.Parts, p)
			wanted[seq] = u
		}
		return nil
	})
	if err != nil {
		return err
	}
	for seq := range wanted { // the last one, and those without a part
		if err := s.move(ctx, seq, wanted); err != nil {
			return err
		}
	}
	return nil
}

// unknown removes from wanted what dst has a record of.
func (s *source) unknown(wanted map[uint64]transfer.Upload) error {
	return s.dst.view(func(tx *bbolt.Tx) error {
		items := tx.Bucket([]byte(bucketItems))
		for seq, u := range wanted {
			if items.Get([]byte(u.Key)) != nil {
				delete(wanted, seq)
			}
		}
		return nil
	})
}

func (s *source) move(ctx context.Context, seq uint64, wanted map[uint64]transfer.Upload) error {
	u, ok := wanted[seq]
	if !ok {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := s.dst.begin(u); err != nil {
		return err
	}
	delete(wanted, seq)
	s.moved[u.Key] = seq
	return nil
}

// takeBatch is how many records are looked up in dst at once.
const takeBatch = 1000

func (s *source) giveRecords(ctx context.Context) error {
	w := s.tree.walker()
	buckets := w.buckets()
	batch := make([]op, 0, takeBatch)
	err := w.walk(buckets[bucketItems], func(_ uint32, key, val []byte) error {
		if !s.givable(key, val) {
			return nil
		}
		batch = append(batch, op{kind: opDone, key: bytes.Clone(key), val: bytes.Clone(val)})
		if len(batch) < takeBatch {
			return nil
		}
		err := s.put(ctx, batch)
		batch = batch[:0]
		return err
	})
	if err != nil {
		return err
	}
	return s.put(ctx, batch)
}

// givable is a whole record below dst's prefix, of a key that is
// not being sent anew.
func (s *source) givable(key, val []byte) bool {
	r, err := decodeRecord(key, val)
	if err != nil || !s.dst.job.holds(r.Key) {
		return false
	}
	return !s.dst.isOpen(r.Key)
}

// put queues the records that dst lacks. They close no upload: number 0.
func (s *source) put(ctx context.Context, batch []op) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	lacks := make([]op, 0, len(batch))
	err := s.dst.view(func(tx *bbolt.Tx) error {
		items := tx.Bucket([]byte(bucketItems))
		for _, o := range batch {
			if items.Get(o.key) == nil {
				lacks = append(lacks, o)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, o := range lacks {
		if err := s.dst.lock(); err != nil {
			return err
		}
		s.dst.push(o)
		s.dst.mu.Unlock()
		s.records++
	}
	return nil
}

// removeMoved makes the source forget what dst has durably.
func (s *source) removeMoved() error {
	if len(s.moved) == 0 {
		return nil
	}
	db, err := openBolt(s.file, s.dst.o)
	if err != nil {
		return err
	}
	err = guard(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			t := target{uploads: tx.Bucket([]byte(bucketUploads)), parts: tx.Bucket([]byte(bucketParts))}
			for key, seq := range s.moved {
				if err := t.dropUpload(&op{key: []byte(key), seq: seq}); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if isFault(err) {
		return fmt.Errorf("bbolt may hold its locks: %w", err) // so its Close is not for us
	}
	if e := guard(db.Close); err == nil {
		err = e
	}
	return err
}

func (d *DB) isOpen(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open[key] != nil
}
