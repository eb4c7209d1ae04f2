package transfer_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"agent/transfer"
	"agent/transfer/storetest"
)

// replaceByOlder stores a file, and then puts another of its size and of an older
// time in its place, as rsync and cp -p do. The next run does not send it: it ends
// with fail. What the store has is newer by its time, and not the file.
func replaceByOlder(t *testing.T, by transfer.Compare, fail error) *job {
	t.Helper()
	jb := newJob(t, map[string]string{"k": "first"})
	jb.by = by
	if res, err := jb.run(jb.entries()...); err != nil || !res.Complete {
		t.Fatal(res, err)
	}
	jb.disk.bodies["/k"] = "other"
	jb.disk.stats["/k"] = transfer.Stat{Size: 5, MTime: 1, CTime: 7, Inode: 2}
	jb.store.Fail = func(_ context.Context, op, _ string) error {
		if op == "Put" {
			return fail
		}
		return nil
	}
	if res, err := jb.run(jb.entries()...); err == nil && res.Failed != 1 {
		t.Fatal(res, err)
	}
	jb.store.Fail = nil
	return jb
}

// TestNotSentIsNotStored proves that a file which could not be sent in place of an
// older version of the same size is sent by the next run, also where times tell
// what is stored: they say that the old version is newer.
func TestNotSentIsNotStored(t *testing.T) {
	for _, fail := range []error{transfer.ErrDenied, fmt.Errorf("%w: gone", transfer.ErrUnreachable)} {
		for _, by := range []transfer.Compare{transfer.ByJournal, transfer.ByTime, transfer.ByContent} {
			jb := replaceByOlder(t, by, fail)
			res, err := jb.run(jb.entries()...)
			body, _ := jb.store.Body("k")
			if err != nil || !res.Complete || string(body) != "other" {
				t.Errorf("after %v, compared by %d: %q is stored; %+v, %v", fail, by, body, res, err)
			}
			recs, _ := jb.j.Records("", 10)
			if len(recs) != 1 || recs[0].Doubtful() {
				t.Errorf("records %+v", recs)
			}
		}
	}
}

// TestHalfSentIsNotStored is the same for an upload by parts that was begun, and whose
// run was cut off before its mark passed the file.
func TestHalfSentIsNotStored(t *testing.T) {
	for _, listed := range []bool{true, false} {
		jb := replaceByOlder(t, transfer.ByTime, transfer.ErrDenied)
		if err := jb.j.Begin(transfer.Upload{Key: "k", ID: "id", Stat: jb.disk.stats["/k"], PartSize: 5}); err != nil {
			t.Fatal(err)
		}
		if err := jb.j.SetMark(transfer.Mark{}); err != nil { // else nobody looks at the listing
			t.Fatal(err)
		}
		if !listed {
			jb.store.Fail = func(_ context.Context, op, _ string) error {
				if op == "List" {
					return transfer.ErrDenied
				}
				return nil
			}
		}
		res, err := jb.run(jb.entries()...)
		if body, _ := jb.store.Body("k"); err != nil || !res.Complete || string(body) != "other" {
			t.Errorf("listed %v: %q is stored; %+v, %v", listed, body, res, err)
		}
	}
}

// TestSentBeforeTheCrash proves that a doubt costs a read and not a send: what was
// stored before the crash is compared.
func TestSentBeforeTheCrash(t *testing.T) {
	for _, by := range []transfer.Compare{transfer.ByJournal, transfer.ByTime} {
		jb := replaceByOlder(t, by, transfer.ErrDenied)
		jb.store.Set("k", []byte("other"))
		res, err := jb.run(jb.entries()...)
		if err != nil || !res.Complete || jb.store.Puts("k") != 1 {
			t.Errorf("by %d: %d puts; %+v, %v", by, jb.store.Puts("k"), res, err)
		}
	}
}

// TestDoubtIsNotKept proves that nobody counts what is in doubt as stored.
func TestDoubtIsNotKept(t *testing.T) {
	jb := replaceByOlder(t, transfer.ByTime, transfer.ErrDenied)
	for k, err := range transfer.WhatBecame(t.Context(), jb.j, jb.store, "") {
		t.Errorf("%+v, %v", k, err)
	}
}

// TestStoredByARunThatWasCutOff proves that what a run of this job stored and could
// not record is compared and recorded by the next one, so that a later version of
// the same size and an older time is noticed; and that what was there before the job
// is believed by its time, without a request.
func TestStoredByARunThatWasCutOff(t *testing.T) {
	for _, tt := range []struct {
		name     string
		since    time.Duration // before now
		inspects int
	}{{"since", time.Minute, 1}, {"before", -time.Minute, 0}} {
		jb := newJob(t, map[string]string{"k": "first"})
		jb.store.Set("k", []byte("first"))
		inspects := 0
		jb.store.Fail = func(_ context.Context, op, _ string) error {
			if op == "Inspect" || op == "Stat" {
				inspects++
			}
			return nil
		}
		jb.by, jb.since = transfer.ByTime, func() time.Time { return time.Now().Add(-tt.since) }
		res, err := jb.run(jb.entries()...)
		recs, _ := jb.j.Records("", 10)
		if err != nil || !res.Complete || jb.store.Puts("k") != 0 || inspects != tt.inspects || len(recs) != tt.inspects {
			t.Errorf("%s: %+v, %v, %d requests, %d records", tt.name, res, err, inspects, len(recs))
		}
	}
}

// TestFetchedByARunThatWasCutOff proves that a file which a run has fetched and could
// not record is recorded by the next one, and so makes room for the object's next
// version. It was taken for a file of the user's own.
func TestFetchedByARunThatWasCutOff(t *testing.T) {
	f := newFetching(t)
	f.store.Set("p/f", []byte("one"))
	if res, err := f.run(t, below); err != nil || !res.Complete {
		t.Fatal(res, err)
	}
	f.journal = storetest.Journal{} // as after a kill
	f.since = time.Now().Add(-time.Minute)
	if res, err := f.run(t, below); err != nil || !res.Complete || f.there["p/f"] != "compared, and the same" {
		t.Fatalf("%+v, %v, there %q", res, err, f.there)
	}
	f.store.Set("p/f", []byte("another"))
	if res, err := f.run(t, below); err != nil || !res.Complete || f.files(t, f.dir)["f"] != "another" {
		t.Errorf("%+v, %v, %v, %v", res, err, f.failed, f.files(t, f.dir))
	}
}
