package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"agent/transfer"
)

func TestLookReadsAnIdleJournal(t *testing.T) {
	dir, job := jobDir(t), testJob()
	if _, err := Look(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("no journal:", err)
	}
	d := open(t, dir, job)
	var bytes int64
	for i := range 1500 {
		ok(t, d.Done(rec(i)))
		bytes += rec(i).Stat.Size
	}
	ok(t, d.Done(transfer.Doubt(rec(3000).Key))) // which is not stored, as far as anybody knows
	ok(t, d.Begin(upload(2000, 3)))
	ok(t, d.SetMark(transfer.Mark{All: true, Finished: true}))
	flush(t, d)
	if _, err := Look(t.Context(), dir); !errors.Is(err, ErrBusy) {
		t.Fatal("held:", err)
	}
	ok(t, d.Close())
	before := stored(t, dir)
	g, err := Look(t.Context(), dir)
	ok(t, err)
	if g.Job.ID != job.ID || g.Files != 1500 || g.Bytes != bytes || !g.Mark.Finished || g.Changed.IsZero() {
		t.Errorf("%+v", g)
	}
	if want := []transfer.Upload{upload(2000, 3)}; !reflect.DeepEqual(g.Uploads, want) {
		t.Errorf("uploads: %+v", g.Uploads)
	}
	if !reflect.DeepEqual(stored(t, dir), before) {
		t.Error("looking has changed the journal")
	}
}

func stored(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	ok(t, err)
	return string(b)
}

func TestLookAtWhatIsNoJournal(t *testing.T) {
	dir := jobDir(t)
	ok(t, open(t, dir, testJob()).Close())
	ok(t, os.WriteFile(filepath.Join(dir, fileName), make([]byte, 5000), 0o600))
	if _, err := Look(t.Context(), dir); !errors.Is(err, ErrUnusable) {
		t.Error(err)
	}
	ok(t, os.Truncate(filepath.Join(dir, fileName), 0))
	if _, err := Look(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestEraseLeavesWhatIsHeld(t *testing.T) {
	dir := jobDir(t)
	d := open(t, dir, testJob())
	ok(t, os.WriteFile(filepath.Join(dir, "log"), []byte("x"), 0o600))
	if err := Erase(t.Context(), dir); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	ok(t, d.Done(rec(1)))
	ok(t, d.Close())
	ok(t, Erase(t.Context(), dir))
	left, err := os.ReadDir(filepath.Dir(dir))
	ok(t, err)
	if len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	ok(t, Erase(t.Context(), dir)) // nothing is there
}

func TestToldIsHeard(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadCommand(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	c := Command{Job: testJob(), Destination: "ws/run", Args: []string{"upload", "a b", "ws/run"}, LeftOut: []string{"--on-wait"},
		Dir: "/data", Env: map[string]string{"AWS_REGION": "eu-west-2"}, Version: "1"}
	ok(t, WriteCommand(dir, c))
	if got, err := ReadCommand(dir); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, %v", got, err)
	}
	o := Outcome{Exit: 6, Started: time.Unix(1, 0).UTC(), Ended: time.Unix(2, 0).UTC(), Error: "x",
		Sums: Sums{FilesSent: 1, BytesLeft: 7, Scanned: true, Progress: true}, Failures: []Failure{{Key: "k", Error: "e"}}, Warnings: []string{"w"}}
	ok(t, WriteOutcome(dir, o))
	if got, err := ReadOutcome(dir); err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("%+v, %v", got, err)
	}
	ok(t, os.WriteFile(filepath.Join(dir, outcomeName), []byte("{"), 0o600))
	if _, err := ReadOutcome(dir); err == nil {
		t.Error("half a file was read")
	}
	if err := WriteOutcome(filepath.Join(dir, "gone"), o); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// What is counted as it is written is what is there, whatever was replaced,
// forgotten, rescued or left by an agent that did not count.
func TestLookCountsWithoutReading(t *testing.T) {
	dir := jobDir(t)
	d := open(t, dir, testJob())
	const n = 40_000 // more than lookWhole
	var want int64
	for i := range n {
		ok(t, d.Done(rec(i)))
		want += rec(i).Stat.Size
	}
	flush(t, d)
	again := rec(7)
	again.Stat.Size = 1
	ok(t, d.Done(again))
	ok(t, d.Forget(rec(8).Key))
	ok(t, d.Begin(upload(9, 1))) // in place of its record
	want += 1 - rec(7).Stat.Size - rec(8).Stat.Size - rec(9).Stat.Size
	ok(t, d.Close())
	check := func(what string, files int64) {
		t.Helper()
		g, err := Look(t.Context(), dir)
		ok(t, err)
		if g.Files != files || g.Bytes != want {
			t.Errorf("%s: %d files, %d bytes, want %d, %d", what, g.Files, g.Bytes, files, want)
		}
	}
	check("written", n-2)
	d = open(t, dir, testJob()) // and counts on
	ok(t, d.Done(rec(n)))
	want += rec(n).Stat.Size
	ok(t, d.Close())
	check("again", n-1)

	// An older agent has left no sum.
	path := filepath.Join(dir, fileName)
	db, err := bbolt.Open(path, 0o600, nil)
	ok(t, err)
	ok(t, db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucketMeta)).Delete([]byte(keySum)) }))
	ok(t, db.Close())
	check("no sum", n-1)
	d = open(t, dir, testJob())
	ok(t, d.Done(rec(n+1)))
	want += rec(n + 1).Stat.Size
	ok(t, d.Close())
	check("with one again", n)

	// Nor is it believed where the file is cut short, or was rescued.
	info, err := os.Stat(path)
	ok(t, err)
	ok(t, os.Truncate(path, info.Size()/2))
	if _, err := Look(t.Context(), dir); !errors.Is(err, ErrUnusable) {
		t.Error("cut short:", err)
	}
	d = open(t, dir, testJob())
	kept, _ := d.Counts()
	want = 0
	for _, r := range records(t, d) {
		want += r.Stat.Size
	}
	ok(t, d.Close())
	check("rescued", int64(kept))
}

// BenchmarkLook looks at a journal of a million records, as 'jobs list' does.
func BenchmarkLook(b *testing.B) {
	dir := jobDir(b)
	d := open(b, dir, testJob())
	for i := range 1_000_000 {
		ok(b, d.Done(rec(i)))
	}
	ok(b, d.Close())
	for b.Loop() {
		g, err := Look(b.Context(), dir)
		ok(b, err)
		if g.Files != 1_000_000 {
			b.Fatal(g.Files)
		}
	}
}
