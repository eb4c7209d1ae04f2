package transfer_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"agent/transfer"
)

// What a run leaves out was not held against the store by it, so that a later
// run without the filter must not take the journal's word for it: wherever a
// crash comes, no mark covers the record of what somebody removed.
func TestMarkNeverPassesWhatIsLeftOut(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			jb := newJob(t, nil)
			for i := range 4000 {
				jb.disk.bodies[fmt.Sprintf("/k/%04d", i)] = "x"
			}
			first := rnd.IntN(4000) // of those that are left out
			var entries []transfer.Entry
			for i, e := range jb.entries() {
				out := i >= first && rnd.IntN(int(1+seed*seed*10)) == 0
				switch n := rnd.IntN(3); {
				case out && n == 0:
					e.Ignored = "left out"
					fallthrough
				case out || n == 0: // it was stored once, and somebody removed it
					_ = jb.j.Done(transfer.Record{Key: e.Item.Key, Stat: e.Item.Stat})
				case n == 1:
					obj := jb.store.Set(e.Item.Key, []byte("x"))
					_ = jb.j.Done(recordOf(obj, "x"))
				}
				if !out && rnd.IntN(2000) == 0 {
					delete(jb.disk.bodies, e.Item.Path) // it fails
				}
				if !out || e.Ignored != "" {
					entries = append(entries, e)
				}
			}
			before := jb.j.Changes()
			if _, err := jb.run(entries...); err != nil {
				t.Fatal(err)
			}
			for n := before; n <= jb.j.Changes(); n++ {
				if n%797 != 0 && n < jb.j.Changes()-3 {
					continue
				}
				old := jb.j.At(n)
				m, _ := old.Mark()
				if m.Finished {
					continue // then nothing is trusted
				}
				recs, _ := old.Records("", 1<<20)
				for _, r := range recs {
					if r.ETag == "" && !r.Doubtful() && (m.All || r.Key <= m.Merged) {
						t.Fatalf("after %d changes the mark is %+v, and %s is trusted to be stored", n, m, r.Key)
					}
				}
			}
		})
	}
}

// The mark still spares a resumed run the listing where only what was never
// stored is left out.
func TestMarkPassesWhatWasNeverStored(t *testing.T) {
	jb := newJob(t, map[string]string{"a": "x", "b": "x", "c": "x", "d": "x", "e": "x"})
	entries := jb.entries()
	delete(jb.disk.bodies, "/d")
	entries[1].Ignored, entries[4].Ignored = "left out", "left out"
	if _, err := jb.run(entries...); err != nil {
		t.Fatal(err)
	}
	if m := jb.mark(); m != (transfer.Mark{All: true}) {
		t.Errorf("%+v", m)
	}
	if got := jb.told(transfer.Ignored); !slices.Equal(got, []string{"b", "e"}) {
		t.Error(got)
	}
	// And what was left out is sent when it no longer is.
	jb.disk.bodies["/d"] = "x"
	if res, err := jb.run(jb.entries()...); err != nil || !res.Complete {
		t.Fatal(res, err)
	}
	if keys := jb.store.Keys(); !slices.Equal(keys, []string{"a", "b", "c", "d", "e"}) {
		t.Error(keys)
	}
	if lists := jb.store.Lists(); len(lists) != 1 {
		t.Errorf("listed behind %q", lists)
	}
}

// A finished run that left something out and the next one, which does not.
func TestFilterIsNoPartOfAJob(t *testing.T) {
	jb := newJob(t, map[string]string{"a": "x", "b": "x", "c": "x"})
	entries := jb.entries()
	entries[1].Ignored = "left out"
	if res, err := jb.run(entries...); err != nil || !res.Complete {
		t.Fatal(res, err)
	}
	if m := jb.mark(); !m.Finished {
		t.Errorf("%+v", m)
	}
	if res, err := jb.run(jb.entries()...); err != nil || !res.Complete {
		t.Fatal(res, err)
	}
	if got := jb.told(transfer.Done); !slices.Equal(got, []string{"a", "c", "b"}) && !slices.Equal(got, []string{"c", "a", "b"}) {
		t.Error(got)
	}
}

// Metadata of a Zarr store of which something is left to a later run would
// have readers take what is missing for fill values.
func TestZarrMetadataWaitsForWhatIsLeftToLater(t *testing.T) {
	jb := newJob(t, map[string]string{"s.zarr/.zarray": "x", "s.zarr/0": "x", "s.zarr/1": "x", "t": "x"})
	entries := jb.entries()
	for i := range entries[:3] {
		entries[i].Item.Zarr, entries[i].Item.Meta = "/s.zarr", i == 0
	}
	young := slices.Clone(entries)
	young[2].Ignored, young[2].Later = "young", true
	if res, err := jb.run(young...); err != nil || !res.Complete {
		t.Fatal(res, err)
	}
	if got := jb.told(transfer.Ignored); !slices.Equal(got, []string{"s.zarr/1", "s.zarr/.zarray"}) {
		t.Error(got)
	}
	if keys := jb.store.Keys(); !slices.Equal(keys, []string{"s.zarr/0", "t"}) {
		t.Error(keys)
	}
	if res, err := jb.run(entries...); err != nil || !res.Complete || len(jb.store.Keys()) != 4 {
		t.Fatal(res, err, jb.store.Keys())
	}
}

// What is left out may lie behind everything that is not.
func TestMarkIsNotAllWhereTheEndIsLeftOut(t *testing.T) {
	jb := newJob(t, map[string]string{"a": "x", "b": "x", "z": "x"})
	entries := jb.entries()
	_ = jb.j.Done(transfer.Record{Key: "z", Stat: entries[2].Item.Stat}) // and it is gone
	delete(jb.disk.bodies, "/a")
	if _, err := jb.run(entries[:2]...); err != nil {
		t.Fatal(err)
	}
	if m := jb.mark(); m != (transfer.Mark{Merged: "b"}) {
		t.Errorf("%+v", m)
	}
	if _, err := jb.run(entries...); err != nil || !slices.Contains(jb.store.Keys(), "z") {
		t.Error(err, jb.store.Keys())
	}
}
