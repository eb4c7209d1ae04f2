package journal

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"

	"agent/transfer"
)

// Upload implements transfer.Journal. It waits for what is queued for key, and
// asks the file only when an upload is open.
func (d *DB) Upload(key string) (transfer.Upload, bool, error) {
	d.mu.Lock()
	if err := d.problem(); err != nil {
		d.mu.Unlock()
		return transfer.Upload{}, false, err
	}
	up := d.open[key]
	if up == nil {
		d.mu.Unlock()
		return transfer.Upload{}, false, nil
	}
	last := up.last
	if last != nil && last == d.cur {
		poke(d.hurry)
	}
	d.mu.Unlock()
	if err := d.wait(context.Background(), last); err != nil {
		return transfer.Upload{}, false, err
	}
	var u transfer.Upload
	var found bool
	err := d.view(func(tx *bbolt.Tx) error {
		u, found = d.readUpload(tx, key)
		return nil
	})
	return u, found, err
}

func (d *DB) readUpload(tx *bbolt.Tx, key string) (u transfer.Upload, found bool) {
	val := tx.Bucket([]byte(bucketUploads)).Get([]byte(key))
	if val == nil {
		return u, false // done meanwhile
	}
	seq, u, err := decodeUpload([]byte(key), val)
	if err != nil {
		d.drop(bucketUploads, []byte(key))
		return u, false
	}
	c := tx.Bucket([]byte(bucketParts)).Cursor()
	for k, v := c.Seek(partKey(seq, 0)); k != nil && seqOf(k) == seq; k, v = c.Next() {
		p, err := decodePart(k, v)
		if err != nil {
			d.drop(bucketParts, k)
			continue
		}
		u.Parts = append(u.Parts, p)
	}
	return u, true
}

// Records implements transfer.Records. It sees what is durable: it neither
// waits nor flushes.
func (d *DB) Records(from string, n int) ([]transfer.Record, error) {
	d.mu.Lock()
	err := d.problem()
	d.mu.Unlock()
	if err != nil || n <= 0 {
		return nil, err
	}
	var recs []transfer.Record
	err = d.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(bucketItems)).Cursor()
		last := []byte(from)
		for k, v := seek(c, last); k != nil && len(recs) < n; k, v = c.Next() {
			if bytes.Compare(k, last) < 0 {
				return damaged("keys are out of order") // a walk over them may have no end
			}
			last = k
			r, err := decodeRecord(k, v)
			if err != nil {
				d.drop(bucketItems, k)
				continue
			}
			recs = append(recs, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return recs, nil
}

func seek(c *bbolt.Cursor, from []byte) (key, val []byte) {
	if len(from) == 0 {
		return c.First()
	}
	return c.Seek(from)
}

// view runs fn in a short transaction of its own. Nothing may wait inside: the
// writer cannot let the file grow while it is open.
func (d *DB) view(fn func(*bbolt.Tx) error) error {
	err := guard(func() error { return d.bolt.View(fn) })
	if err == nil {
		return nil
	}
	d.mu.Lock()
	closed := d.closed && d.err == nil
	d.mu.Unlock()
	if !closed {
		d.fail(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.problem()
}

// maxBad bounds what is remembered of values left out; the count goes no further.
const maxBad = 100_000

// drop counts a value that fails its checksum, once.
func (d *DB) drop(bucket string, key []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := bucket + "/" + string(key)
	if _, ok := d.bad[name]; ok || len(d.bad) >= maxBad {
		return
	}
	d.bad[name] = struct{}{}
	d.dropped++
}
