package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// rescueBatch is how many values go into one commit of a rescue.
const rescueBatch = 1000

// rescue makes a new journal of what can still be read of the damaged one,
// which f is and has locked, and puts it in its place. The damaged file stays
// beside it. Whatever ends it early, the damaged file is still the journal.
//
// The mark is not carried over: with records missing, the listing has to be
// asked about everything again.
func rescue(dir string, f *os.File, job Job, o Options, cause error) (*Damage, error) {
	tmp := filepath.Join(dir, newName)
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	dmg := &Damage{Err: cause}
	if err := guard(func() error { return rebuild(tmp, f, job, o, dmg) }); err != nil {
		_ = os.Remove(tmp)
		return nil, err
	}
	if !renamesOpen {
		letGo(f)
	}
	var err error
	if dmg.SetAside, err = setAside(dir, o); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, filepath.Join(dir, fileName)); err != nil {
		return nil, err
	}
	_ = os.Remove(filepath.Join(dir, suspectName))
	return dmg, syncDir(dir)
}

// setAside gives the damaged file a second name, so that the new one can take
// its place in one step; where there are no links it is moved.
func setAside(dir string, o Options) (string, error) {
	from := filepath.Join(dir, fileName)
	stem := filepath.Join(dir, damagedName+o.Now().UTC().Format("20060102T150405Z"))
	for i := range 1000 {
		to := stem
		if i > 0 {
			to = fmt.Sprintf("%s-%d", stem, i)
		}
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		if os.Link(from, to) == nil {
			return to, nil
		}
		return to, os.Rename(from, to)
	}
	return "", fmt.Errorf("%s: too many damaged journals", stem)
}

func rebuild(path string, f *os.File, job Job, o Options, dmg *Damage) error {
	db, err := bbolt.Open(path, 0o600, boltOptions(o))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // after an error; a second Close does nothing
	info, err := f.Stat()
	if err != nil {
		return err
	}
	t, unread := readTree(f, info.Size())
	job.Started = time.Unix(0, 0).UTC() // not known: whatever is stored may be of a run whose records are lost
	if unread == nil {
		w := t.walker()
		if old, err := decodeJob(w.meta(w.buckets())[keyJob]); err == nil && old.ID == job.ID {
			job.Started = old.Started
		}
	}
	if err := create(db, job); err != nil {
		return err
	}
	if unread == nil {
		s := salvage{db: db, dmg: dmg, uploads: map[uint64]bool{}}
		if err := s.carry(t.walker()); err != nil {
			return err
		}
	}
	return db.Close()
}

// salvage copies what is whole from one file to the other.
type salvage struct {
	db      *bbolt.DB
	dmg     *Damage
	uploads map[uint64]bool // by number: a part without its upload is worth nothing
	counts  counts
	bytes   int64
	batch   []pair
}

type pair struct{ key, val []byte }

func (s *salvage) carry(w *walker) error {
	buckets := w.buckets()
	for _, name := range []string{bucketUploads, bucketParts, bucketItems} {
		r, ok := buckets[name]
		if !ok {
			continue
		}
		err := w.walk(r, func(_ uint32, key, val []byte) error {
			if !s.good(name, key, val) {
				s.dmg.Dropped++
				return nil
			}
			s.batch = append(s.batch, pair{bytes.Clone(key), bytes.Clone(val)})
			if len(s.batch) < rescueBatch {
				return nil
			}
			return s.commit(name)
		})
		if err != nil {
			return err
		}
		if err := s.commit(name); err != nil {
			return err
		}
	}
	return nil
}

func (s *salvage) good(name string, key, val []byte) bool {
	switch name {
	case bucketUploads:
		seq, _, err := decodeUpload(key, val)
		if err != nil {
			return false
		}
		s.uploads[seq] = true
		s.counts.seq = max(s.counts.seq, seq)
		s.dmg.Kept++
	case bucketParts:
		_, err := decodePart(key, val)
		return err == nil && s.uploads[seqOf(key)]
	default:
		if _, err := decodeRecord(key, val); err != nil {
			return false
		}
		s.bytes += sizeOf(val)
		s.counts.items++
		s.dmg.Kept++
	}
	return true
}

func (s *salvage) commit(name string) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(name))
		b.FillPercent = fillPercent
		for _, p := range s.batch {
			if err := b.Put(p.key, p.val); err != nil {
				return err
			}
		}
		meta := tx.Bucket([]byte(bucketMeta))
		if err := meta.Put([]byte(keySum), encodeSum(sum{items: s.counts.items, bytes: s.bytes})); err != nil {
			return err
		}
		return meta.Put([]byte(keyCounts), encodeCounts(s.counts))
	})
	s.batch = s.batch[:0]
	return err
}
