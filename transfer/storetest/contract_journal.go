package storetest

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"agent/transfer"
)

// TestJournal checks what every journal does. open returns an empty one.
func TestJournal(t *testing.T, open func(t *testing.T) JobJournal) {
	for name, test := range map[string]func(*testing.T, JobJournal){
		"upload": testUpload, "replaced": testReplaced, "records": testRecords, "done": testDone,
		"forget": testForget, "mark": testMark, "at once": testAtOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func someUpload(key, id string, parts ...transfer.Part) transfer.Upload {
	return transfer.Upload{
		Key: key, ID: id, Stat: transfer.Stat{Size: 40 << 20, MTime: 7, CTime: 8, Inode: 9}, PartSize: 16 << 20,
		Checksum: transfer.CRC32C, Begun: time.Unix(1_700_000_000, 5).UTC(), Parts: parts,
	}
}

func somePart(n int32, etag string) transfer.Part {
	return transfer.Part{Number: n, Size: int64(n) << 20, ETag: etag, CRC64: uint64(n) << 40, CRC32C: uint32(n)} //nolint:gosec // small
}

func someRecord(key string) transfer.Record {
	return transfer.Record{Key: key, Stat: transfer.Stat{Size: 1, MTime: 2, CTime: 3, Inode: 4}, ETag: `"e"`, CRC64: 5}
}

func wantUpload(t *testing.T, j JobJournal, want transfer.Upload) {
	t.Helper()
	got, found, err := j.Upload(want.Key)
	ok(t, err)
	if !found || !reflect.DeepEqual(got, want) {
		t.Fatalf("upload: %v %+v, want %+v", found, got, want)
	}
}

func wantNone(t *testing.T, j JobJournal, key string) {
	t.Helper()
	if u, found, err := j.Upload(key); found || err != nil {
		t.Fatalf("an upload of %s: %+v, %v", key, u, err)
	}
}

func wantRecords(t *testing.T, j JobJournal, from string, n int, keys ...string) {
	t.Helper()
	ok(t, j.Flush(t.Context()))
	recs, err := j.Records(from, n)
	ok(t, err)
	var got []string
	for _, r := range recs {
		got = append(got, r.Key)
		if r != someRecord(r.Key) {
			t.Errorf("record %+v", r)
		}
	}
	if !reflect.DeepEqual(got, keys) {
		t.Fatalf("%d records from %q: %v, want %v", n, from, got, keys)
	}
}

func testUpload(t *testing.T, j JobJournal) {
	wantNone(t, j, "k")
	u := someUpload("k", "id")
	ok(t, j.Begin(u))
	wantUpload(t, j, u)
	for _, p := range []transfer.Part{somePart(2, "b"), somePart(1, "x"), somePart(1, "a")} {
		ok(t, j.Part("k", "id", p))
	}
	ok(t, j.Part("k", "another", somePart(3, "c")))
	ok(t, j.Part("l", "id", somePart(3, "c")))
	u.Parts = []transfer.Part{somePart(1, "a"), somePart(2, "b")}
	wantUpload(t, j, u)
	wantNone(t, j, "l")
}

func testReplaced(t *testing.T, j JobJournal) {
	ok(t, j.Begin(someUpload("k", "one", somePart(1, "a"), somePart(2, "b"))))
	ok(t, j.Begin(someUpload("k", "two", somePart(2, "c"))))
	ok(t, j.Part("k", "one", somePart(1, "late")))
	wantUpload(t, j, someUpload("k", "two", somePart(2, "c")))
}

func testRecords(t *testing.T, j JobJournal) {
	wantRecords(t, j, "", 10)
	for _, key := range []string{"b", "a/z", "a", "ü", "a-"} {
		ok(t, j.Done(someRecord(key)))
	}
	wantRecords(t, j, "", 10, "a", "a-", "a/z", "b", "ü")
	wantRecords(t, j, "", 2, "a", "a-")
	wantRecords(t, j, "a-", 2, "a-", "a/z")
	wantRecords(t, j, "a0", 10, "b", "ü")
	wantRecords(t, j, "\xff", 10)
}

func testDone(t *testing.T, j JobJournal) {
	ok(t, j.Done(someRecord("k")))
	ok(t, j.Begin(someUpload("k", "id", somePart(1, "a")))) // it is not stored as it was any more
	wantRecords(t, j, "", 10)
	ok(t, j.Done(someRecord("k")))
	wantNone(t, j, "k")
	ok(t, j.Part("k", "id", somePart(2, "late")))
	wantNone(t, j, "k")
	wantRecords(t, j, "", 10, "k")
}

func testForget(t *testing.T, j JobJournal) {
	ok(t, j.Forget("never"))
	ok(t, j.Done(someRecord("a")))
	ok(t, j.Done(someRecord("b")))
	ok(t, j.Begin(someUpload("c", "id", somePart(1, "a"))))
	ok(t, j.Forget("a"))
	ok(t, j.Forget("c"))
	wantNone(t, j, "c")
	wantRecords(t, j, "", 10, "b")
	ok(t, j.Begin(someUpload("c", "id"))) // without the parts of before
	wantUpload(t, j, someUpload("c", "id"))
}

func testMark(t *testing.T, j JobJournal) {
	for _, want := range []transfer.Mark{{}, {Merged: "a/ü"}, {All: true, Finished: true}, {}} {
		if want != (transfer.Mark{}) {
			ok(t, j.SetMark(want))
		}
		got, err := j.Mark()
		ok(t, err)
		if got != want {
			t.Fatalf("mark %+v, want %+v", got, want)
		}
		ok(t, j.SetMark(transfer.Mark{}))
	}
}

func testAtOnce(t *testing.T, j JobJournal) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			key := fmt.Sprintf("k%d", i)
			for _, err := range []error{
				j.Begin(someUpload(key, "id")), j.Part(key, "id", somePart(1, "a")), j.Flush(t.Context()),
				j.SetMark(transfer.Mark{Merged: key}), j.Done(someRecord(key)),
			} {
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	wantRecords(t, j, "", 10, "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7")
}
