package transfer_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"agent/transfer"
	"agent/transfer/storetest"
)

func TestAdoption(t *testing.T) {
	for _, tt := range []struct {
		name    string
		object  string
		noCRC64 bool
		fail    error // of Stat
		puts    int
	}{
		{name: "by CRC64", object: "same", puts: 0},
		{name: "by MD5", object: "same", noCRC64: true, puts: 0},
		{name: "other bytes by CRC64", object: "SAME", puts: 1},
		{name: "other bytes by MD5", object: "SAME", noCRC64: true, puts: 1},
		{name: "may not be asked", object: "same", fail: transfer.ErrDenied, puts: 1},
		{name: "gone meanwhile", object: "same", fail: transfer.ErrNotExist, puts: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			jb := newJob(t, map[string]string{"k": "same"})
			obj := jb.store.Set("k", []byte(tt.object))
			jb.store.NoCRC64 = tt.noCRC64
			jb.store.Fail = func(_ context.Context, op, _ string) error {
				if op == "Stat" {
					return tt.fail
				}
				return nil
			}
			res, err := jb.run(jb.entries()...)
			if err != nil || !res.Complete || jb.store.Puts("k") != tt.puts {
				t.Fatalf("%+v, %v, %d puts", res, err, jb.store.Puts("k"))
			}
			if body, _ := jb.store.Body("k"); string(body) != "same" {
				t.Errorf("%q is stored", body)
			}
			there := jb.told(transfer.There)
			recs, _ := jb.j.Records("", 10)
			if len(recs) != 1 || recs[0].Stat != statOf("same") || (len(there) == 1) != (tt.puts == 0) || tt.puts == 0 && recs[0].ETag != obj.ETag {
				t.Errorf("records %+v, already there: %v", recs, there)
			}
		})
	}
}

func TestCheckOfATouchedFile(t *testing.T) {
	for body, puts := range map[string]int{"same": 1, "SAME": 2} {
		jb := newJob(t, map[string]string{"k": "same"})
		if res, err := jb.run(jb.entries()...); err != nil || !res.Complete {
			t.Fatal(res, err)
		}
		jb.disk.bodies["/k"] = body
		touched := statOf(body)
		touched.MTime = 77
		jb.disk.stats["/k"] = touched
		if res, err := jb.run(jb.entries()...); err != nil || !res.Complete || jb.store.Puts("k") != puts {
			t.Errorf("%q: %+v, %v, %d puts", body, res, err, jb.store.Puts("k"))
		}
		recs, _ := jb.j.Records("", 10)
		if len(recs) != 1 || recs[0].Stat != touched {
			t.Errorf("%+v", recs)
		}
	}
}

func TestChangedFileIsReadAgain(t *testing.T) {
	for changes, failed := range map[int]int{1: 0, 2: 0, 3: 1} {
		jb := newJob(t, map[string]string{"k": "body", "l": "other"})
		jb.disk.moves["/k"] = changes
		res, err := jb.run(jb.entries()...)
		if err != nil || res.Failed != failed || len(jb.told(transfer.Retry)) != min(changes, 2) {
			t.Errorf("%d changes: %+v, %v, %d retries", changes, res, err, len(jb.told(transfer.Retry)))
		}
		if _, ok := jb.store.Body("k"); ok == (failed > 0) {
			t.Errorf("%d changes: stored %v", changes, ok)
		}
		if _, ok := jb.store.Body("l"); !ok {
			t.Error("the other one is not stored")
		}
	}
}

// TestOnlyAnAnswerCounts proves that an object is noted as stored only once the
// store has said so, whether or not the bytes had come there.
func TestOnlyAnAnswerCounts(t *testing.T) {
	for _, at := range []string{"Put", "Put done"} {
		jb := newJob(t, map[string]string{"k": "body"})
		jb.store.Fail = func(_ context.Context, op, _ string) error {
			if op == at {
				return transfer.ErrDenied
			}
			return nil
		}
		res, err := jb.run(jb.entries()...)
		recs, _ := jb.j.Records("", 10)
		if len(recs) > 0 || len(jb.told(transfer.Done)) > 0 {
			t.Errorf("%s: refused, and %v is noted as stored", at, recs)
		}
		if err != nil || res.Failed != 1 || res.Complete {
			t.Errorf("%s: %+v, %v", at, res, err)
		}
	}
}

// What Moved told of an item that failed is taken back.
func TestFailedIsTakenBack(t *testing.T) {
	jb := newJob(t, map[string]string{"k": "body", "l": "other"})
	jb.store.Fail = func(_ context.Context, op, key string) error {
		if op == "Put done" && key == "k" {
			return transfer.ErrDenied
		}
		return nil
	}
	res, err := jb.run(jb.entries()...)
	c := jb.tally.Snapshot()
	if err != nil || res.Failed != 1 || c.BytesDone != 5 || c.BytesSent != 9 || c.BytesFailed != 4 || c.Remaining() != 0 {
		t.Errorf("%+v, %v, %+v", res, err, c)
	}
}

// A record is not trusted by anybody from the moment its object may change.
func TestRecordGoesBeforeItsObject(t *testing.T) {
	jb := newJob(t, map[string]string{"k": "old"})
	if _, err := jb.run(jb.entries()...); err != nil {
		t.Fatal(err)
	}
	jb.disk.bodies["/k"] = "newer"
	jb.store.Fail = func(_ context.Context, op, _ string) error {
		if recs, _ := jb.j.Records("", 10); op == "Put" && (len(recs) != 1 || !recs[0].Doubtful()) {
			t.Errorf("while it is sent: %+v", recs)
		}
		return nil
	}
	if res, err := jb.run(jb.entries()...); err != nil || !res.Complete {
		t.Error(res, err)
	}
}

func TestJournalFaultsAreFatal(t *testing.T) {
	for _, method := range []string{"Done", "Done, of a doubt", "SetMark"} {
		jb := newJob(t, map[string]string{"k": "body"})
		if doubt := method == "Done, of a doubt"; doubt {
			method = "Done"
			_ = jb.j.Done(transfer.Record{Key: "k"})
			jb.store.Fail = func(_ context.Context, op, _ string) error {
				if op == "Put" {
					t.Error("sent before its record is gone")
				}
				return nil
			}
		}
		broken := &storetest.FaultyJournal{Next: jb.j, Hook: func(_ int, m, _ string, _ bool) error {
			if m == method {
				return os.ErrInvalid
			}
			return nil
		}}
		steps := jb.plan(t.Context(), func(yield func(transfer.Entry) bool) { yield(jb.entries()[0]) })
		res, err := transfer.Run(t.Context(), steps, jb.store, broken, jb.o)
		if !errors.Is(err, transfer.ErrLocal) || !errors.Is(err, os.ErrInvalid) {
			t.Errorf("%s: %+v, %v", method, res, err)
		}
	}
}

func TestMarkersHaveNoFile(t *testing.T) {
	jb := newJob(t, nil)
	e := transfer.Entry{Item: transfer.Item{Key: "d/.s3keep"}}
	for range 2 {
		if res, err := jb.run(e); err != nil || !res.Complete || jb.store.Puts("d/.s3keep") != 1 {
			t.Error(res, err)
		}
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	jb := newJob(t, map[string]string{"k": "body"})
	jb.store.Fail = func(_ context.Context, op, _ string) error {
		if op == "Put" {
			return transfer.ErrDenied
		}
		return nil
	}
	if res, err := jb.run(jb.entries()...); err != nil || res.Failed != 1 {
		t.Fatal(res, err)
	}
	for _, e := range jb.events {
		var te *transfer.Error
		if e.Kind == transfer.Failed && (!errors.As(e.Err, &te) || te.Path != "/k" || te.Key != "k" || !errors.Is(e.Err, transfer.ErrDenied)) {
			t.Errorf("%+v", e)
		}
	}
}
