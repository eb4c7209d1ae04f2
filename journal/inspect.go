package journal

import (
	"os"

	"agent/transfer"
)

// state is what Open needs to know of a file before bbolt maps it.
type state struct {
	fresh   bool // an empty file, or one without a bucket
	job     Job
	mark    transfer.Mark
	counts  counts
	bytes   *int64 // of the items; nil where that is not known
	open    map[string]*openUpload
	dropped int
}

// inspect reads a locked journal: the format version first of all. Its error
// is a *NewerError, a damageError or one of the file system.
func inspect(f *os.File, checkBytes int64) (*state, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return &state{fresh: true}, nil
	}
	t, err := readTree(f, info.Size())
	if err != nil {
		return nil, err
	}
	w := t.walker()
	buckets := w.buckets()
	values := w.meta(buckets)
	if err := checkFormat(values[keyFormat]); err != nil && !isDamage(err) {
		return nil, err // newer: whatever else looks wrong may be right for it
	}
	if err := firstDamage(t.whole(), w.damage); err != nil {
		return nil, err
	}
	if len(buckets) == 0 {
		// Begun, and stopped before the first commit.
		if err := w.checkFreelist(); err != nil {
			return nil, err
		}
		return &state{fresh: true}, nil
	}
	for _, name := range []string{bucketMeta, bucketItems, bucketUploads, bucketParts} {
		if _, ok := buckets[name]; !ok {
			return nil, damaged("bucket %s is missing", name)
		}
	}
	s, err := readState(values)
	if err != nil {
		return nil, err
	}
	s.readUploads(w, buckets[bucketUploads])
	if info.Size() <= checkBytes {
		// Only the shape: a value that fails its checksum is left out when it
		// is read, and costs no more than itself.
		var items uint64
		var bytes int64
		_ = w.walk(buckets[bucketParts], func(uint32, []byte, []byte) error { return nil })
		_ = w.walk(buckets[bucketItems], func(_ uint32, _, val []byte) error {
			items++
			bytes += sizeOf(val)
			return nil
		})
		s.bytes = &bytes
		if items != s.counts.items {
			w.complain("%d records are there, of %d", items, s.counts.items)
		}
	}
	if err := firstDamage(w.damage, w.checkFreelist()); err != nil {
		return nil, err
	}
	return s, nil
}

func firstDamage(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// meta returns copies of the values of the bucket meta.
func (w *walker) meta(buckets map[string]ref) map[string][]byte {
	values := map[string][]byte{}
	if r, ok := buckets[bucketMeta]; ok {
		_ = w.walk(r, func(_ uint32, key, val []byte) error {
			values[string(key)] = append([]byte(nil), val...)
			return nil
		})
	}
	return values
}

func checkFormat(val []byte) error {
	v, err := decodeFormat(val)
	switch {
	case err != nil:
		return damaged("format version: %v", err)
	case v > formatVersion:
		return &NewerError{Version: v, Known: formatVersion}
	}
	return nil
}

func readState(values map[string][]byte) (*state, error) {
	if err := checkFormat(values[keyFormat]); err != nil {
		return nil, err
	}
	s := &state{open: map[string]*openUpload{}}
	var err error
	if s.job, err = decodeJob(values[keyJob]); err != nil {
		return nil, damaged("job: %v", err)
	}
	if s.counts, err = decodeCounts(values[keyCounts]); err != nil {
		return nil, damaged("counts: %v", err)
	}
	if total, err := decodeSum(values[keySum]); err == nil && total.items == s.counts.items {
		s.bytes = &total.bytes
	}
	if val, ok := values[keyMark]; ok {
		if s.mark, err = decodeMark(val); err != nil {
			s.dropped++ // the zero Mark trusts nothing
		}
	}
	return s, nil
}

func (s *state) readUploads(w *walker, r ref) {
	_ = w.walk(r, func(_ uint32, key, val []byte) error {
		if seq, u, err := decodeUpload(key, val); err == nil {
			s.open[u.Key] = &openUpload{seq: seq, id: u.ID}
			s.counts.seq = max(s.counts.seq, seq)
		} else {
			s.dropped++
		}
		return nil
	})
}
