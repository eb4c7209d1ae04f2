package transfer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
)

// Whatever the order in which items end, and wherever a crash comes, no mark
// covers a key that is not as the journal says.
func TestMarkNeverPassesWhatIsUnfinished(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			jb := newJob(t, nil)
			for i := range 3500 {
				jb.disk.bodies[markPath(i)] = "x"
			}
			entries := jb.entries()
			for i := range entries {
				if root, name, found := strings.Cut(entries[i].Item.Path, ".zarr/"); found {
					entries[i].Item.Zarr, entries[i].Item.Meta = root+".zarr", name == ".zattrs"
				}
			}
			delay := map[string]time.Duration{}
			for _, e := range entries {
				if rnd.IntN(3) == 0 { // it was stored once, and somebody removed it
					_ = jb.j.Done(transfer.Record{Key: e.Item.Key, Stat: e.Item.Stat})
				}
				delay[e.Item.Key] = time.Duration(rnd.Int64N(int64(time.Second)))
				if rnd.IntN(50) == 0 {
					delay[e.Item.Key] *= 50
				}
				if rnd.IntN(200) == 0 {
					delete(jb.disk.bodies, e.Item.Path)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				jb.t = t
				jb.store.Fail = func(_ context.Context, op, key string) error {
					if op == "Put" {
						time.Sleep(delay[key])
					}
					return nil
				}
				if _, err := jb.run(entries...); err != nil {
					t.Error(err)
				}
			})
			jb.checkMarks(t, entries)
		})
	}
}

// markPath is the i-th of files of which a third are in Zarr stores.
func markPath(i int) string {
	switch n := i % 100; {
	case n == 0:
		return fmt.Sprintf("/k/%03d/a.zarr/.zattrs", i/100)
	case n < 30:
		return fmt.Sprintf("/k/%03d/a.zarr/%02d", i/100, n)
	default:
		return fmt.Sprintf("/k/%03d/f%02d", i/100, n)
	}
}

// checkMarks looks at the journal as every possible crash would leave it.
func (jb *job) checkMarks(t *testing.T, entries []transfer.Entry) {
	marks := 0
	last := transfer.Mark{}
	for n := range jb.j.Changes() + 1 {
		if n%197 != 0 && n < jb.j.Changes()-100 {
			continue
		}
		old := jb.j.At(n)
		m, _ := old.Mark()
		if m == last {
			continue
		}
		last = m
		marks++
		recs, _ := old.Records("", 1<<20)
		done := map[string]bool{}
		for _, r := range recs {
			done[r.Key] = r.ETag != "" // else it is the record of what was removed
			if !done[r.Key] && !r.Doubtful() && (m.All || r.Key <= m.Merged) {
				t.Fatalf("after %d changes the mark is %+v, and %s is trusted to be stored", n, m, r.Key)
			}
		}
	}
	if marks < 2 {
		t.Errorf("only %d marks over %d entries", marks, len(entries))
	}
}
