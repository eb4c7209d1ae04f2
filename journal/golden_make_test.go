//go:build golden

package journal

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// TestMakeGolden writes the journals of testdata into $GOLDEN, as the agent of this
// commit writes them.
func TestMakeGolden(t *testing.T) {
	to := os.Getenv("GOLDEN")
	for _, name := range golden {
		dir := filepath.Join(t.TempDir(), name)
		d, err := Open(t.Context(), dir, goldenJob(name), Options{})
		if err == nil {
			err = goldenWrite(d, name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		goldenPack(t, filepath.Join(dir, "journal.db"), filepath.Join(to, name+".db.gz"))
	}
}

func goldenWrite(d *DB, name string) error {
	n := goldenRecords
	if name == "unfinished" {
		n /= 2
	}
	var errs []error
	for i := range n {
		errs = append(errs, d.Done(goldenRecord(i)))
	}
	switch name {
	case "unfinished":
		errs = append(errs, d.Begin(goldenUpload()))
	case "download":
		errs = append(errs, d.Begin(goldenFetch()))
	}
	return errors.Join(append(errs, d.SetMark(goldenMark(name)), d.Flush(context.Background()))...)
}

// TestMakeNewer writes a journal of a format that is yet to come: it has a bucket
// more, and values that begin with another version.
func TestMakeNewer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "newer")
	d, err := Open(t.Context(), dir, goldenJob("unfinished"), Options{})
	if err == nil {
		err = goldenWrite(d, "unfinished")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "journal.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		more, err := tx.CreateBucketIfNotExists([]byte("hopes"))
		if err != nil {
			return err
		}
		key := []byte("ws/run/file-001")
		return errors.Join(
			more.Put([]byte("k"), []byte("v")),
			tx.Bucket([]byte(bucketItems)).Put(key, seal(bucketItems, key, []byte{valueVersion + 1, 1, 2, 3})),
			tx.Bucket([]byte(bucketMeta)).Put([]byte(keyFormat), encodeFormat(formatVersion+1)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	goldenPack(t, path, filepath.Join(os.Getenv("GOLDEN"), "newer.db.gz"))
}

func goldenPack(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	_, err = w.Write(b)
	if err := errors.Join(err, w.Close(), os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, packed.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}
