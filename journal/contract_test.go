package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"agent/transfer"
)

func TestJobID(t *testing.T) {
	a := NewJob("upload", []string{"/a", "/b"}, "e", "b", "p")
	if len(a.ID) != 10 || a.ID != NewJob("sync", a.Sources, "e", "b", "p").ID {
		t.Errorf("id %q: upload and sync of a pair share ten characters", a.ID)
	}
	for _, other := range []Job{
		NewJob("download", []string{"/a", "/b"}, "e", "b", "p"),
		NewJob("upload", []string{"/b", "/a"}, "e", "b", "p"),
		NewJob("upload", []string{"/a/b"}, "e", "b", "p"),
		NewJob("upload", []string{"/a", "/b"}, "eb", "", "p"),
		NewJob("upload", []string{"/a", "/b"}, "e", "b", ""),
	} {
		if other.ID == a.ID {
			t.Errorf("%+v shares its id with %+v", other, a)
		}
	}
}

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		prefix, key string
		want        bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/b/c", true}, {"a/b", "a/bc", false},
		{"a/b/", "a/b/c", true}, {"", "x", true}, {"a/b", "a", false},
	} {
		if got := (Job{Prefix: c.prefix}).holds(c.key); got != c.want {
			t.Errorf("prefix %q, key %q: %v", c.prefix, c.key, got)
		}
	}
}

func TestUploadLife(t *testing.T) {
	dir := jobDir(t)
	d := open(t, dir, testJob())
	if !d.New() {
		t.Error("a first Open begins the journal")
	}
	wantNoUpload(t, d, key(1))
	u := upload(1, 0)
	ok(t, d.Begin(u))
	wantUpload(t, d, u)
	for _, n := range []int32{3, 1, 2, 2} { // out of order, and one twice
		ok(t, d.Part(u.Key, u.ID, part(1, n)))
	}
	wantUpload(t, d, upload(1, 3)) // sees what is queued
	ok(t, d.Part(u.Key, "another", part(9, 4)))
	ok(t, d.Part(key(2), u.ID, part(9, 4)))
	wantUpload(t, d, upload(1, 3))

	again := upload(1, 0)
	again.ID = "second"
	ok(t, d.Begin(again)) // without the first one's parts
	wantUpload(t, d, again)
	ok(t, d.Part(u.Key, u.ID, part(1, 1))) // late
	wantUpload(t, d, again)

	ok(t, d.Begin(upload(2, 2)))
	if got := d.Uploads(); !reflect.DeepEqual(got, []string{key(1), key(2)}) {
		t.Errorf("open uploads: %v", got)
	}
	ok(t, d.Done(rec(1)))
	wantNoUpload(t, d, key(1))
	ok(t, d.Close())

	d = open(t, dir, testJob())
	if d.New() || d.Damage() != nil {
		t.Errorf("new %v, damage %+v", d.New(), d.Damage())
	}
	wantRecords(t, d, rec(1))
	wantUpload(t, d, upload(2, 2))
	if items, uploads := d.Counts(); items != 1 || uploads != 1 {
		t.Errorf("counts: %d, %d", items, uploads)
	}
	// A new number must not find what an old one left.
	ok(t, d.Forget(key(2)))
	ok(t, d.Begin(upload(3, 0)))
	wantUpload(t, d, upload(3, 0))
	wantNoUpload(t, d, key(2))
}

// Uploads must not find each other's parts, whatever was open before.
func TestNumbersGoOn(t *testing.T) {
	dir := jobDir(t)
	d := open(t, dir, testJob())
	ok(t, d.Begin(upload(1, 5)))
	ok(t, d.Close())
	d = open(t, dir, testJob())
	ok(t, d.Begin(upload(2, 0)))
	wantUpload(t, d, upload(2, 0))
	wantUpload(t, d, upload(1, 5))
	ok(t, d.Begin(upload(3, 3)))
	ok(t, d.Done(rec(1)))
	ok(t, d.Forget(key(2)))
	ok(t, d.Forget(key(3)))
	flush(t, d)
	if n := partsLeft(t, d); n != 0 {
		t.Errorf("%d parts of uploads that are gone", n)
	}
	ok(t, d.Close())
	last := d.seq
	if d = open(t, dir, testJob()); d.seq != last {
		t.Errorf("numbers go on at %d, not at %d", d.seq, last)
	}
}

func partsLeft(t *testing.T, d *DB) (n int) {
	t.Helper()
	ok(t, d.view(func(tx *bbolt.Tx) error {
		n = tx.Bucket([]byte(bucketParts)).Stats().KeyN
		return nil
	}))
	return n
}

func TestOrder(t *testing.T) {
	d := open(t, jobDir(t), testJob())
	changed := rec(1)
	changed.ETag = "later"
	ok(t, d.Done(rec(1)))
	ok(t, d.Forget(key(1)))
	ok(t, d.Done(rec(2)))
	ok(t, d.Forget(key(2)))
	ok(t, d.Done(rec(1)))
	ok(t, d.Done(changed))
	ok(t, d.Forget(key(7)))
	ok(t, d.Done(rec(8)))
	ok(t, d.Begin(upload(8, 0))) // it is not stored as it was any more
	ok(t, d.SetMark(transfer.Mark{Merged: "a"}))
	want := transfer.Mark{Merged: key(1), All: true}
	ok(t, d.SetMark(want))
	flush(t, d)
	wantRecords(t, d, changed)
	if m, err := d.Mark(); m != want || err != nil {
		t.Errorf("mark %+v, %v", m, err)
	}
	if items, _ := d.Counts(); items != 1 {
		t.Errorf("%d items", items)
	}
}

func TestMarkStays(t *testing.T) {
	dir := jobDir(t)
	d := open(t, dir, testJob())
	if m, err := d.Mark(); m != (transfer.Mark{}) || err != nil {
		t.Fatalf("mark of a new journal: %+v, %v", m, err)
	}
	want := transfer.Mark{Merged: "ws/run/ü", Finished: true}
	ok(t, d.SetMark(want))
	ok(t, d.Close())
	d = open(t, dir, testJob())
	if m, err := d.Mark(); m != want || err != nil {
		t.Errorf("mark %+v, %v", m, err)
	}
}

func TestRecordsInBatches(t *testing.T) {
	d := open(t, jobDir(t), testJob())
	for i := range 10 {
		ok(t, d.Done(rec(9-i)))
	}
	flush(t, d)
	for _, c := range []struct {
		from    string
		n, a, b int
	}{{"", 3, 0, 3}, {key(3), 4, 3, 7}, {key(3) + "\x00", 100, 4, 10}, {"zz", 5, 0, 0}, {"", 0, 0, 0}} {
		got, err := d.Records(c.from, c.n)
		ok(t, err)
		if len(got) != c.b-c.a {
			t.Fatalf("%+v: %d records", c, len(got))
		}
		for i, r := range got {
			if r != rec(c.a+i) {
				t.Errorf("%+v: record %d is %+v", c, i, r)
			}
		}
	}
}

func TestRefusedArguments(t *testing.T) {
	d := open(t, jobDir(t), testJob())
	long := string(make([]byte, 40000))
	for name, err := range map[string]error{
		"begin": d.Begin(transfer.Upload{}), "done": d.Done(transfer.Record{Key: long}),
		"forget": d.Forget(""), "part": d.Part("k", "id", transfer.Part{}),
		"part of begin": d.Begin(transfer.Upload{Key: "k", Parts: []transfer.Part{{Number: -1}}}),
	} {
		if !errors.Is(err, transfer.ErrLocal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ok(t, d.Done(rec(1))) // and it goes on
	flush(t, d)
}

func TestAfterClose(t *testing.T) {
	dir := jobDir(t)
	d := open(t, dir, testJob())
	ok(t, d.WriteHolder(Holder{Version: "v1"}))
	ok(t, d.Done(rec(1)))
	ok(t, d.Close())
	ok(t, d.Close())
	wantFailed(t, d, ErrClosed)
	if err := d.WriteHolder(Holder{}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, holderName)); err == nil {
		t.Error("run.json is still there")
	}
}

// wantFailed calls everything and wants cause of each, at once.
func wantFailed(t *testing.T, d *DB, cause error) {
	t.Helper()
	_, _, uploadErr := d.Upload(key(1))
	_, recordsErr := d.Records("", 1)
	_, markErr := d.Mark()
	for name, err := range map[string]error{
		"upload": uploadErr, "records": recordsErr, "mark": markErr,
		"begin": d.Begin(upload(1, 1)), "part": d.Part(key(1), "id-1", part(1, 1)),
		"done": d.Done(rec(1)), "forget": d.Forget(key(1)), "setmark": d.SetMark(transfer.Mark{}),
		"flush": d.Flush(context.Background()),
	} {
		if !errors.Is(err, transfer.ErrLocal) || !errors.Is(err, cause) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	d, err := Open(t.Context(), jobDir(t), testJob(), Options{Queue: 8})
	ok(t, err)
	defer func() { ok(t, d.Close()) }()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			u := upload(i, 0)
			if err := d.Begin(u); err != nil {
				t.Error(err)
			}
			for n := range 20 {
				if err := d.Part(u.Key, u.ID, part(i, int32(n+1))); err != nil {
					t.Error(err)
				}
			}
			if got, found, err := d.Upload(u.Key); !found || err != nil || len(got.Parts) != 20 {
				t.Errorf("upload %d: %v, %v, %d parts", i, found, err, len(got.Parts))
			}
			if err := d.Done(rec(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	flush(t, d)
	if items, uploads := d.Counts(); items != 16 || uploads != 0 {
		t.Errorf("counts %d, %d", items, uploads)
	}
}

// A lone record becomes durable by itself, and soon: nobody flushes.
func TestDurableUnasked(t *testing.T) {
	d := open(t, jobDir(t), testJob())
	for i := range 3 {
		ok(t, d.Done(rec(i)))
		d.mu.Lock()
		b := d.cur
		if len(b.ops) == 0 {
			b = d.running
		}
		d.mu.Unlock()
		<-b.done
	}
	wantRecords(t, d, rec(0), rec(1), rec(2))
}

// TestWaitForACommit: what is queued waits 50 ms for its commit to begin, as
// docs/guarantees.md has it, less what has passed since the last one did. Kills
// can't tell that from a few times as much: it depends on their instant.
func TestWaitForACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &DB{o: Options{}.withDefaults()}
		for since, want := range map[time.Duration]time.Duration{
			0: 50 * time.Millisecond, 30 * time.Millisecond: 20 * time.Millisecond, 50 * time.Millisecond: 0, time.Hour: 0,
		} {
			began := time.Now()
			d.pause(began.Add(-since))
			if took := time.Since(began); took != want {
				t.Errorf("%v after a commit the next one waits %v, want %v", since, took, want)
			}
		}
	})
}

func TestFlushEnds(t *testing.T) {
	d, err := Open(t.Context(), jobDir(t), testJob(), Options{Interval: time.Hour})
	ok(t, err)
	defer func() { ok(t, d.Close()) }()
	flush(t, d) // nothing to do
	ok(t, d.Done(rec(1)))
	flush(t, d)
	ok(t, d.Done(rec(2))) // would wait an hour
	flush(t, d)
	wantRecords(t, d, rec(1), rec(2))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := newBatch(nil) // that never ends
	if err := d.wait(ctx, b); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ok(t, d.Begin(upload(3, 0)))
}

func TestReadersBesideTheWriter(t *testing.T) {
	d := open(t, jobDir(t), testJob())
	const n = 20_000
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for from := ""; ; {
			select {
			case <-stop:
				return
			default:
			}
			recs, err := d.Records(from, 500)
			if err != nil {
				t.Error(err)
				return
			}
			if from = ""; len(recs) == 500 {
				from = recs[499].Key
			}
		}
	})
	for i := range n {
		ok(t, d.Done(rec(i)))
	}
	flush(t, d)
	close(stop)
	wg.Wait()
	if items, _ := d.Counts(); items != n {
		t.Errorf("%d items", items)
	}
}

func TestHundredThousand(t *testing.T) {
	dir := jobDir(t)
	d := open(t, dir, testJob())
	const n = 100_000
	for i := range n {
		ok(t, d.Done(rec(i)))
	}
	ok(t, d.Close())
	d = open(t, dir, testJob())
	got := records(t, d)
	if items, _ := d.Counts(); len(got) != n || items != n {
		t.Fatalf("%d records, %d counted", len(got), items)
	}
	for i, r := range got {
		if r != rec(i) {
			t.Fatalf("record %d is %+v", i, r)
		}
	}
}

func TestHolder(t *testing.T) {
	dir := jobDir(t)
	d := open(t, dir, testJob())
	if _, err := ReadHolder(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	want := Holder{PID: 7, Host: "h", Version: "v", Started: time.Unix(1, 0).UTC(), Updated: time.Unix(2, 0).UTC(),
		Progress: Progress{FilesDone: 1, FilesFound: 2, BytesDone: 3, BytesFound: 4, Waiting: "credentials"}}
	ok(t, d.WriteHolder(Holder{}))
	ok(t, d.WriteHolder(want))
	if got, err := ReadHolder(dir); got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for name, want := range map[string]os.FileMode{holderName: 0o600, fileName: 0o600, ".": 0o700} {
		info, err := os.Stat(filepath.Join(dir, name))
		ok(t, err)
		if info.Mode().Perm() != want && renamesOpen {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

// A journal that is off takes everything and keeps nothing, and leaves what
// there was.
func TestOff(t *testing.T) {
	dir := jobDir(t)
	d := open(t, dir, testJob())
	ok(t, d.Done(rec(1)))
	ok(t, d.Close())
	d, err := Open(t.Context(), dir, testJob(), Options{Off: true})
	ok(t, err)
	u := upload(2, 0)
	ok(t, d.Begin(u))
	ok(t, d.Part(u.Key, u.ID, part(2, 1)))
	ok(t, d.Done(rec(3)))
	ok(t, d.Forget(rec(1).Key))
	ok(t, d.SetMark(transfer.Mark{All: true}))
	ok(t, d.Flush(t.Context()))
	if _, found, err := d.Upload(u.Key); found || err != nil {
		t.Errorf("an upload is open, %v", err)
	}
	ok(t, d.Close())
	d = open(t, dir, testJob())
	if all := records(t, d); len(all) != 1 || all[0] != rec(1) {
		t.Errorf("%+v", all)
	}
	if m, err := d.Mark(); m != (transfer.Mark{}) || err != nil {
		t.Errorf("%+v, %v", m, err)
	}
}
