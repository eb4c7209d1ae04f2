package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"agent/transfer"
	"agent/transfer/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func entry(key string, body string) transfer.Entry {
	return transfer.Entry{Item: transfer.Item{Key: key, Path: "/" + key, Stat: statOf(body)}}
}

func statOf(body string) transfer.Stat {
	return transfer.Stat{Size: int64(len(body)), MTime: 1, Inode: 1}
}

// recordOf is what the journal knows of an object that was sent as body.
func recordOf(obj transfer.Object, body string) transfer.Record {
	return transfer.Record{Key: obj.Key, Stat: statOf(body), ETag: obj.ETag, CRC64: obj.CRC64}
}

// planned collects a plan over a store and a journal.
func planned(t *testing.T, o transfer.PlanOptions, entries ...transfer.Entry) []transfer.Step {
	t.Helper()
	if o.Records == nil {
		o.Records = &storetest.Journal{}
	}
	if o.Event == nil {
		o.Event = func(e transfer.Event) { t.Errorf("unexpected event %+v", e) }
	}
	return slices.Collect(transfer.Plan(t.Context(), slices.Values(entries), o))
}

func TestPlanDecides(t *testing.T) {
	for _, tt := range []struct {
		name           string
		recorded       string // what the journal has; "-" for nothing
		object         string // what the store has; "-" for nothing
		touched        bool
		trusted        bool // the listing is spared
		action         transfer.Action
		reason         string
		known, foreign bool
	}{
		{name: "new", recorded: "-", object: "-", action: transfer.Put, reason: "not stored yet"},
		{name: "new, trusted", recorded: "-", object: "same", trusted: true, action: transfer.Put, reason: "not stored yet"},
		{name: "there", recorded: "-", object: "same", action: transfer.Check, reason: "stored already, perhaps the same", foreign: true},
		{name: "there, other size", recorded: "-", object: "other", action: transfer.Put, reason: "the stored object has another size"},
		{name: "gone", recorded: "same", object: "-", action: transfer.Put, reason: "gone from the store", known: true},
		{name: "gone, trusted", recorded: "same", object: "-", trusted: true, action: transfer.Skip, reason: "unchanged since it was stored", known: true},
		{name: "grown", recorded: "sam", object: "sam", action: transfer.Put, reason: "its size changed", known: true},
		{name: "grown, trusted", recorded: "sam", object: "-", trusted: true, action: transfer.Put, reason: "its size changed", known: true},
		{name: "replaced", recorded: "same", object: "other", action: transfer.Put, reason: "replaced in the store", known: true},
		{name: "replaced, same size", recorded: "same", object: "SAME", action: transfer.Check, reason: "replaced in the store, perhaps by the same", known: true, foreign: true},
		{name: "unchanged", recorded: "same", object: "same", action: transfer.Skip, reason: "unchanged since it was stored", known: true},
		{name: "touched", recorded: "same", object: "same", touched: true, action: transfer.Check, reason: "touched since it was stored", known: true},
		{name: "touched, trusted", recorded: "same", object: "-", touched: true, trusted: true, action: transfer.Check, reason: "touched since it was stored", known: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store, j := &storetest.Memory{}, &storetest.Journal{}
			if tt.recorded != "-" {
				_ = j.Done(recordOf((&storetest.Memory{}).Set("k", []byte(tt.recorded)), tt.recorded))
			}
			if tt.object != "-" {
				store.Set("k", []byte(tt.object))
			}
			e := entry("k", "same")
			if tt.touched {
				e.Item.Stat.MTime++
			}
			steps := planned(t, transfer.PlanOptions{Records: j, Store: store, Mark: transfer.Mark{All: tt.trusted}}, e)
			s := steps[0]
			if len(steps) != 1 || s.Action != tt.action || s.Reason != tt.reason || s.Known != tt.known || s.Foreign != tt.foreign {
				t.Errorf("%+v", steps)
			}
			if lists := store.Lists(); (len(lists) == 0) != tt.trusted {
				t.Errorf("lists: %q", lists)
			}
		})
	}
}

func TestPlanTrustsUpToTheMark(t *testing.T) {
	store, j := &storetest.Memory{}, &storetest.Journal{}
	for _, key := range []string{"a", "b", "c"} {
		_ = j.Done(recordOf((&storetest.Memory{}).Set(key, []byte("x")), "x")) // and none of them stored
	}
	steps := planned(t, transfer.PlanOptions{Records: j, Store: store, Mark: transfer.Mark{Merged: "b"}}, entry("a", "x"), entry("b", "x"), entry("c", "x"))
	var got []transfer.Action
	for _, s := range steps {
		got = append(got, s.Action)
	}
	if !slices.Equal(got, []transfer.Action{transfer.Skip, transfer.Skip, transfer.Put}) || !slices.Equal(store.Lists(), []string{"b"}) {
		t.Errorf("%v, listed behind %q", got, store.Lists())
	}
}

func TestPlanWithoutAListing(t *testing.T) {
	for _, cause := range []error{transfer.ErrDenied, transfer.ErrUnsorted} {
		store, j := &storetest.Memory{}, &storetest.Journal{}
		store.Fail = func(_ context.Context, op, _ string) error { return cause }
		_ = j.Done(recordOf((&storetest.Memory{}).Set("b", []byte("x")), "x"))
		notices := 0
		steps := planned(t, transfer.PlanOptions{Records: j, Store: store, Event: func(e transfer.Event) {
			if notices++; e.Kind != transfer.Notice || !errors.Is(e.Err, cause) {
				t.Errorf("%+v", e)
			}
		}}, entry("a", "x"), entry("b", "x"), entry("c", "x"))
		if len(steps) != 3 || steps[0].Action != transfer.Put || steps[1].Action != transfer.Skip || steps[2].Action != transfer.Put || notices != 1 {
			t.Errorf("%d notices, %+v", notices, steps)
		}
	}
}

// TestDoubtIsLookedAtWithoutAListing proves that no way to compare takes a file for
// stored of which the journal only knows that it may not be, an empty one neither.
func TestDoubtIsLookedAtWithoutAListing(t *testing.T) {
	for _, by := range []transfer.Compare{transfer.ByJournal, transfer.ByTime, transfer.BySize, transfer.ByContent} {
		for _, body := range []string{"", "x"} {
			store, j := &storetest.Memory{}, &storetest.Journal{}
			store.Fail = func(context.Context, string, string) error { return transfer.ErrDenied }
			_ = j.Done(transfer.Doubt("k"))
			steps := planned(t, transfer.PlanOptions{Records: j, Store: store, Compare: by, Event: func(transfer.Event) {}}, entry("k", body))
			if len(steps) != 1 || steps[0].Action != transfer.Check {
				t.Errorf("compared by %d, %q: %+v", by, body, steps)
			}
		}
	}
}

func TestPlanEndsWithAListingThatBreaks(t *testing.T) {
	store := &storetest.Memory{Fail: func(context.Context, string, string) error { return transfer.ErrUnreachable }}
	steps := planned(t, transfer.PlanOptions{Store: store}, entry("a", "x"), entry("b", "x"))
	if len(steps) != 1 || !errors.Is(steps[0].Err, transfer.ErrUnreachable) || steps[0].Item != (transfer.Item{}) {
		t.Errorf("%+v", steps)
	}
}

func TestPlanEndsWithAJournalThatBreaks(t *testing.T) {
	j := &storetest.FaultyJournal{Next: &storetest.Journal{}, Hook: func(int, string, string, bool) error { return os.ErrInvalid }}
	steps := planned(t, transfer.PlanOptions{Records: j}, entry("a", "x"))
	if len(steps) != 1 || !errors.Is(steps[0].Err, transfer.ErrLocal) || !transfer.Fatal(steps[0].Err) {
		t.Errorf("%+v", steps)
	}
}

// Among many foreign objects the listing leaps, and misses nothing.
func TestPlanLeaps(t *testing.T) {
	store := &storetest.Memory{}
	for i := range 10_000 {
		store.Set(fmt.Sprintf("p/m%05d", i), nil)
	}
	store.Set("p/m05000x", []byte("x"))
	store.Set("p/z", []byte("x"))
	steps := planned(t, transfer.PlanOptions{Store: store, Prefix: "p/"},
		entry("p/a", "x"), entry("p/m05000x", "x"), entry("p/m05000y", "x"), entry("p/z", "x"))
	var got []transfer.Action
	for _, s := range steps {
		got = append(got, s.Action)
	}
	if !slices.Equal(got, []transfer.Action{transfer.Put, transfer.Check, transfer.Put, transfer.Check}) {
		t.Errorf("%v", got)
	}
	if lists := store.Lists(); !slices.Equal(lists, []string{"", "p/m05000", "p/"}) {
		t.Errorf("listed behind %q", lists)
	}
}

func TestPlanLeavesOtherEntriesAlone(t *testing.T) {
	failed := transfer.Entry{Item: transfer.Item{Key: "b", Path: "/b"}, Err: &transfer.Error{Op: "stat", Err: os.ErrPermission}}
	ignored := transfer.Entry{Item: transfer.Item{Key: "c", Path: "/c"}, Ignored: "junk"}
	steps := planned(t, transfer.PlanOptions{Store: &storetest.Memory{}}, failed, ignored)
	if steps[0].Event().Kind != transfer.Failed || steps[1].Event().Kind != transfer.Ignored || steps[1].Event().Text != "junk" {
		t.Errorf("%+v", steps)
	}
}

// counted is Records that tell how much they gave at a time.
type counted struct {
	next        transfer.Records
	calls, most int
}

func (c *counted) Records(from string, n int) ([]transfer.Record, error) {
	recs, err := c.next.Records(from, n)
	c.calls++
	c.most = max(c.most, len(recs))
	return recs, err
}

func (c *counted) Upload(key string) (transfer.Upload, bool, error) { return c.next.Upload(key) }

func generate(n int, taken *int) iter.Seq[transfer.Entry] {
	return func(yield func(transfer.Entry) bool) {
		for i := range n {
			if taken != nil {
				*taken++
			}
			if !yield(entry(fmt.Sprintf("k/%07d", i), "x")) {
				return
			}
		}
	}
}

func TestPlanStreams(t *testing.T) {
	const n = 100_000
	j, store := &storetest.Journal{}, &storetest.Memory{}
	obj := store.Set("k/0000000", []byte("x"))
	listed := 0
	for i := range n {
		obj.Key = fmt.Sprintf("k/%07d", i)
		_ = j.Done(recordOf(obj, "x"))
	}
	endless := listingOf(func(yield func(transfer.Object, error) bool) {
		for i := range n {
			obj.Key = fmt.Sprintf("k/%07d", i)
			if listed++; !yield(obj, nil) {
				return
			}
		}
	})
	recs := &counted{next: j}
	taken, steps := 0, 0
	for s := range transfer.Plan(t.Context(), generate(n, &taken), transfer.PlanOptions{Records: recs, Store: endless}) {
		steps++
		if s.Action != transfer.Skip || taken != steps || listed > steps+1 {
			t.Fatalf("step %d: %+v, %d entries taken, %d listed", steps, s, taken, listed)
		}
	}
	if steps != n || recs.most > 1000 || recs.calls > n/1000+2 {
		t.Errorf("%d steps, %d reads of the journal of up to %d records", steps, recs.calls, recs.most)
	}
}

type listingOf iter.Seq2[transfer.Object, error]

func (l listingOf) Put(context.Context, transfer.PutInput) (transfer.PutOutput, error) { panic("put") }
func (l listingOf) Stat(context.Context, string) (transfer.Object, error)              { panic("stat") }
func (l listingOf) Inspect(context.Context, string) (transfer.Stored, error)           { panic("inspect") }
func (l listingOf) List(context.Context, string, string) iter.Seq2[transfer.Object, error] {
	return iter.Seq2[transfer.Object, error](l)
}

func TestPlanMayBeLeft(t *testing.T) {
	store := &storetest.Memory{}
	store.Set("k/0000005", nil)
	for range transfer.Plan(t.Context(), generate(100, nil), transfer.PlanOptions{Records: &storetest.Journal{}, Store: store}) {
		break // goleak sees whether the listing's coroutine ends
	}
}

func TestCount(t *testing.T) {
	root := t.TempDir()
	for name, size := range map[string]int{"a": 3, "sub/b": 5, ".DS_Store": 7} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, make([]byte, size), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	count := func(ctx context.Context) transfer.Counts {
		var tally transfer.Tally
		transfer.Count(ctx, []transfer.Source{{Path: root, Prefix: "p/", Dir: true}}, transfer.ScanOptions{}, tally.Add)
		return tally.Snapshot()
	}
	if c := count(t.Context()); c.FilesFound != 2 || c.BytesFound != 8 || !c.Scanned || c.FilesIgnored != 0 {
		t.Errorf("%+v", c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c := count(ctx); c.Scanned {
		t.Error("an ended count is no total")
	}
}
