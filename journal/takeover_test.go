package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// other makes a journal of another job and closes it; its file was modified
// age ago.
func other(t *testing.T, jobs, name, bucket string, age time.Duration, fill func(*DB)) string {
	t.Helper()
	dir := filepath.Join(jobs, name)
	d := open(t, dir, NewJob("upload", []string{"/" + name}, "https://s3.example", bucket, "ws"))
	fill(d)
	ok(t, d.Close())
	at := time.Now().Add(-age)
	ok(t, os.Chtimes(filepath.Join(dir, fileName), at, at))
	return dir
}

func bytesOf(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	ok(t, err)
	return b
}

func TestTakeOver(t *testing.T) {
	jobs := t.TempDir()
	outside := rec(1)
	outside.Key = "ws/runner/x"
	newer := rec(2)
	newer.ETag = "newer"
	young := other(t, jobs, "young", "bucket", time.Hour, func(d *DB) {
		ok(t, d.Done(newer))
		ok(t, d.Done(rec(5)))
		ok(t, d.Begin(upload(3, 4)))
		ok(t, d.Begin(upload(5, 0))) // being sent anew
		moved := upload(8, 2)
		moved.Key = "ws/runner/y"
		ok(t, d.Begin(moved)) // not under the prefix
		ok(t, d.Done(outside))
	})
	old := other(t, jobs, "old", "bucket", 2*time.Hour, func(d *DB) {
		for _, i := range []int{1, 2, 3, 4} {
			ok(t, d.Done(rec(i)))
		}
		u := upload(2, 1)
		ok(t, d.Begin(u)) // the young one knows it as done
	})
	foreign := other(t, jobs, "foreign", "elsewhere", 0, func(d *DB) { ok(t, d.Done(rec(6))) })
	broken := other(t, jobs, "broken", "bucket", 0, func(d *DB) { ok(t, d.Done(rec(7))) })
	ok(t, os.Truncate(filepath.Join(broken, fileName), 9000))
	ok(t, os.MkdirAll(filepath.Join(jobs, "empty"), 0o700))
	held := open(t, filepath.Join(jobs, "held"), NewJob("upload", []string{"/h"}, "https://s3.example", "bucket", "ws"))
	ok(t, held.Done(rec(9)))
	flush(t, held)
	before := [][]byte{bytesOf(t, foreign), bytesOf(t, broken), bytesOf(t, old)}

	dst := open(t, filepath.Join(jobs, testJob().ID), testJob())
	got, err := TakeOver(t.Context(), dst, jobs)
	ok(t, err)
	want := TakenOver{Records: 3, Uploads: 2, From: []string{young, old}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	wantRecords(t, dst, rec(1), newer, rec(4))
	wantUpload(t, dst, upload(3, 4))
	wantUpload(t, dst, upload(5, 0))
	wantNoUpload(t, dst, key(2))

	after := [][]byte{bytesOf(t, foreign), bytesOf(t, broken), bytesOf(t, old)}
	for i := range before {
		if !bytes.Equal(before[i], after[i]) {
			t.Errorf("journal %d was written", i)
		}
	}
	if entries, _ := os.ReadDir(filepath.Join(jobs, "empty")); len(entries) != 0 {
		t.Error("a journal was made where none was")
	}
	src := open(t, young, NewJob("upload", []string{"/young"}, "https://s3.example", "bucket", "ws"))
	if got := src.Uploads(); !reflect.DeepEqual(got, []string{"ws/runner/y"}) {
		t.Errorf("still open there: %v", got)
	}
	u, _, err := src.Upload("ws/runner/y")
	if err != nil || len(u.Parts) != 2 {
		t.Errorf("%+v, %v", u, err)
	}
	if items, _ := src.Counts(); items != 2 {
		t.Errorf("%d records left there", items)
	}
	// What is taken over must outlive this process.
	ok(t, dst.Close())
	dst = open(t, filepath.Join(jobs, testJob().ID), testJob())
	wantUpload(t, dst, upload(3, 4))
	if items, uploads := dst.Counts(); items != 3 || uploads != 2 {
		t.Errorf("counts %d, %d", items, uploads)
	}
}

func TestTakeOverMany(t *testing.T) {
	jobs := t.TempDir()
	other(t, jobs, "big", "bucket", time.Hour, func(d *DB) {
		for i := range 5500 {
			ok(t, d.Done(rec(i)))
		}
		for i := range 30 {
			ok(t, d.Begin(upload(10_000+i, 50)))
		}
	})
	dst := open(t, filepath.Join(jobs, "new"), testJob())
	got, err := TakeOver(t.Context(), dst, jobs)
	ok(t, err)
	if got.Records != 5500 || got.Uploads != 30 {
		t.Errorf("%+v", got)
	}
	for i := range 30 {
		wantUpload(t, dst, upload(10_000+i, 50))
	}
	for i, r := range records(t, dst) {
		if r != rec(i) {
			t.Fatalf("record %d: %+v", i, r)
		}
	}
	if got, err := TakeOver(t.Context(), dst, filepath.Join(jobs, "none")); err != nil || got.Records != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTakeOverSingleFile(t *testing.T) {
	jobs := t.TempDir()
	other(t, jobs, "dir", "bucket", time.Hour, func(d *DB) {
		ok(t, d.Done(rec(1)))
		ok(t, d.Done(rec(2)))
	})
	dst := open(t, filepath.Join(jobs, "one"), NewJob("upload", []string{"/f"}, "https://s3.example", "bucket", key(2)))
	_, err := TakeOver(t.Context(), dst, jobs)
	ok(t, err)
	wantRecords(t, dst, rec(2))
}
