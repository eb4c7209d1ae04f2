package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"agent/transfer"
)

// childEnv makes the test binary play another agent.
const childEnv = "JOURNAL_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childEnv); mode != "" {
		os.Exit(child(mode, os.Getenv("JOURNAL_TEST_DIR")))
	}
	goleak.VerifyTestMain(m)
}

func testJob() Job {
	return NewJob("upload", []string{"/data/run"}, "https://s3.example", "bucket", "ws/run")
}

// open opens the journal in dir and closes it when the test ends.
func open(t testing.TB, dir string, job Job) *DB {
	t.Helper()
	d, err := Open(t.Context(), dir, job, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func jobDir(t testing.TB) string { return filepath.Join(t.TempDir(), "jobs", "a") }

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// key, rec, part and upload are functions of a number, so that what is read
// can be told from what was never written.
func key(i int) string { return fmt.Sprintf("ws/run/chunk/%07d", i) }

func rec(i int) transfer.Record {
	n := uint64(i)
	return transfer.Record{
		Key:   key(i),
		Stat:  transfer.Stat{Size: int64(i) * 10, MTime: int64(i) * 1e9, CTime: int64(i) + 7, Inode: n + 1},
		ETag:  fmt.Sprintf(`"%032x"`, n*2654435761),
		CRC64: n * 0x9E3779B97F4A7C15,
	}
}

func part(i int, number int32) transfer.Part {
	return transfer.Part{
		Number: number, Size: int64(i)<<20 + int64(number),
		ETag: fmt.Sprintf(`"%016x%016x"`, i, number), CRC64: uint64(i)*31 + uint64(number), CRC32C: uint32(number) * 17,
	}
}

func upload(i, parts int) transfer.Upload {
	u := transfer.Upload{
		Key: key(i), ID: fmt.Sprintf("id-%d", i), Stat: rec(i).Stat, PartSize: 8 << 20,
		Checksum: transfer.CRC32C, Begun: time.Unix(1700000000, int64(i)).UTC(),
	}
	for n := range parts {
		u.Parts = append(u.Parts, part(i, int32(n+1)))
	}
	return u
}

func flush(t testing.TB, d *DB) {
	t.Helper()
	ok(t, d.Flush(context.Background()))
}

func records(t testing.TB, d *DB) []transfer.Record {
	t.Helper()
	var all []transfer.Record
	for from := ""; ; {
		recs, err := d.Records(from, 1000)
		ok(t, err)
		if len(recs) == 0 {
			return all
		}
		all = append(all, recs...)
		from = recs[len(recs)-1].Key + "\x00"
	}
}

func wantRecords(t testing.TB, d *DB, want ...transfer.Record) {
	t.Helper()
	if got := records(t, d); !reflect.DeepEqual(got, want) {
		t.Fatalf("records: got %+v, want %+v", got, want)
	}
}

func wantUpload(t testing.TB, d *DB, want transfer.Upload) {
	t.Helper()
	got, found, err := d.Upload(want.Key)
	ok(t, err)
	if !found || !reflect.DeepEqual(got, want) {
		t.Fatalf("upload: got %v %+v, want %+v", found, got, want)
	}
}

func wantNoUpload(t testing.TB, d *DB, key string) {
	t.Helper()
	if u, found, err := d.Upload(key); found || err != nil {
		t.Fatalf("upload of %s: %+v, %v; want none", key, u, err)
	}
}
