//go:build long && linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"agent/journal"
	"agent/transfer"
	"agent/transfer/checksum"
)

// journalOf opens a copy of what a kill has left of the journal of one direction; nil
// where it has left none.
func (c *crasher) journalOf(download bool) *journal.DB {
	found, err := filepath.Glob(filepath.Join(c.r.state, "jobs", "*", "journal.db"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, path := range found {
		dir := filepath.Join(filepath.Dir(c.src), "left")
		err := os.RemoveAll(dir)
		if err == nil {
			err = os.Mkdir(dir, 0o700)
		}
		b, rerr := os.ReadFile(path)
		if err == nil {
			err = rerr
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "journal.db"), b, 0o600)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		job, err := journal.JobIn(context.Background(), dir)
		if errors.Is(err, journal.ErrNoJournal) {
			continue // killed before its first commit
		}
		if err != nil {
			c.t.Errorf("a kill has left a journal that is none: %v", err)
			continue
		}
		if (job.Direction == journal.Download) != download {
			continue
		}
		db, err := journal.Open(context.Background(), dir, job, journal.Options{})
		if err != nil {
			c.t.Fatal(err)
		}
		if d := db.Damage(); d != nil {
			c.t.Errorf("a kill has left a damaged journal: %+v", d)
		}
		return db
	}
	return nil
}

// sentIsStored checks, after a kill, that the store has whatever the journal says it
// has: each object that is done, and each part.
func (c *crasher) sentIsStored() {
	db := c.journalOf(false)
	if db == nil {
		return
	}
	defer db.Close()
	stored := c.r.objects()
	for _, rec := range c.records(db) {
		name := strings.TrimPrefix(rec.Key, c.r.prefix)
		if !isStill(filepath.Join(c.src, name), rec) {
			continue // it is believed by nobody: the file is another one, or gone
		}
		o, ok := stored[name]
		if !ok || o.Size != rec.Stat.Size || strings.Trim(o.ETag, `"`) != strings.Trim(rec.ETag, `"`) {
			c.t.Errorf("%q is marked done as %+v, and the store has %v, size %d, ETag %s; it was asked:\n%s", name, rec, ok, o.Size, o.ETag, c.asked(rec.Key))
		}
		c.sum.records++
	}
	for _, key := range db.Uploads() {
		up, open, err := db.Upload(key)
		if err != nil || !open || len(up.Parts) == 0 {
			continue
		}
		c.partsAreStored(&up)
	}
}

// asked is what the platform's log has about a key in this round, for people.
func (c *crasher) asked(key string) string {
	log, _, err := c.r.sb.RequestsFrom(c.log)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, q := range log {
		if q.Key == key || strings.HasPrefix(q.Op, "Delete") || strings.HasPrefix(q.Op, "List") {
			fmt.Fprintf(&b, "  %s by %s\n", describe(q), q.AccessKey)
		}
	}
	for _, o := range c.away {
		fmt.Fprintf(&b, "  the platform was away from %s to %s\n", o.from.Format("05.000"), o.until.Format("05.000"))
	}
	return fmt.Sprintf("%s  now %s\n", b.String(), time.Now().Format("05.000"))
}

func (c *crasher) records(db *journal.DB) (recs []transfer.Record) {
	all, err := db.Records("", 1_000_000)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range all {
		if !r.Doubtful() {
			recs = append(recs, r)
		}
	}
	return recs
}

func (c *crasher) partsAreStored(up *transfer.Upload) {
	core := minio.Core{Client: c.r.witness}
	res, err := core.ListObjectParts(context.Background(), c.r.sb.Bucket(), up.Key, up.ID, 0, 1000)
	if minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
		// Completed, and not noted any more: then it had all of them.
		if int64(len(up.Parts)) != (up.Stat.Size+up.PartSize-1)/up.PartSize {
			c.t.Errorf("the store knows nothing of the upload of %q, of which the journal has %d parts", up.Key, len(up.Parts))
		}
		return
	}
	if err != nil {
		c.t.Errorf("parts of %q: %v", up.Key, err)
		return
	}
	stored := map[int]minio.ObjectPart{}
	for _, p := range res.ObjectParts {
		stored[p.PartNumber] = p
	}
	for _, p := range up.Parts {
		s, ok := stored[int(p.Number)]
		if !ok || s.Size != p.Size || strings.Trim(s.ETag, `"`) != strings.Trim(p.ETag, `"`) {
			c.t.Errorf("part %d of %q is in the journal as %+v, and the store has %v, %+v", p.Number, up.Key, p, ok, s)
		}
		c.sum.parts++
	}
}

// fetchedIsWhole checks, after a kill, that every file of the copy is a whole object,
// the one that is stored or the one that it was before, and that the journal calls
// none done that is not.
func (c *crasher) fetchedIsWhole() {
	err := filepath.WalkDir(c.copy, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // killed before it made the directory
		}
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".agent-part") {
			return err
		}
		name, _ := filepath.Rel(c.copy, path)
		b, err := os.ReadFile(path)
		if !bytes.Equal(b, c.far[name]) && !bytes.Equal(b, c.was[name]) {
			c.t.Errorf("after a kill %q has its name and %d bytes, and is no object", name, len(b))
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	db := c.journalOf(true)
	if db == nil {
		return
	}
	defer db.Close()
	for _, rec := range c.records(db) {
		path := filepath.Join(c.copy, rec.Key)
		if !isStill(path, rec) {
			continue
		}
		if b, err := os.ReadFile(path); err != nil || checksum.Sum64(b) != rec.CRC64 {
			c.t.Errorf("%q is marked done as %+v: %d bytes, %v", rec.Key, rec, len(b), err)
		}
		c.sum.records++
	}
}

// isStill tells whether a file is, by its times, the one that a record is of.
func isStill(path string, rec transfer.Record) bool {
	fi, err := os.Stat(path)
	return err == nil && transfer.StatOf(fi) == rec.Stat
}
