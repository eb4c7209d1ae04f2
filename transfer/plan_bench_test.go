package transfer

import (
	"context"
	"fmt"
	"iter"
	"sort"
	"strings"
	"testing"
	"time"
)

// crowd is n files that nobody made, what a journal knows of the first of them
// and what a store has of them.
type crowd struct {
	n, known, stored int

	reads, lists int
	after        string // of the last listing
}

func (c *crowd) key(i int) string { return fmt.Sprintf("data/%04d/tile-%09d.tif", i/1000, i) }
func (c *crowd) stat(i int) Stat {
	return Stat{Size: int64(i), MTime: int64(i) + 1, CTime: int64(i) + 2, Inode: uint64(i) + 3}
}
func (c *crowd) etag(i int) string { return fmt.Sprintf("%032x-1", i) }

// behind is the first file whose key is not less than from.
func (c *crowd) behind(from string) int {
	return sort.Search(c.n, func(i int) bool { return c.key(i) >= from })
}

func (c *crowd) entries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for i := range c.n {
			key := c.key(i)
			if !yield(Entry{Item: Item{Key: key, Path: key, Stat: c.stat(i)}}) {
				return
			}
		}
	}
}

func (*crowd) Upload(string) (up Upload, open bool, err error) { return up, false, nil }

func (c *crowd) Records(from string, n int) ([]Record, error) {
	c.reads++
	var recs []Record
	for i := c.behind(from); i < c.known && len(recs) < n; i++ {
		recs = append(recs, Record{Key: c.key(i), Stat: c.stat(i), ETag: c.etag(i), CRC64: uint64(i)})
	}
	return recs, nil
}

// crowdStore is the store of a crowd.
type crowdStore struct {
	Store
	*crowd
}

func (c crowdStore) List(_ context.Context, _, after string) iter.Seq2[Object, error] {
	c.lists++
	c.after = after
	return func(yield func(Object, error) bool) {
		for i := c.behind(after + "\x00"); i < c.stored; i++ {
			if !yield(Object{Key: c.key(i), Size: int64(i), ETag: c.etag(i), Modified: time.Unix(1, 0)}, nil) {
				return
			}
		}
	}
}

func (c *crowd) plan(ctx context.Context, mark Mark) map[Action]int {
	did := map[Action]int{}
	o := PlanOptions{Records: c, Mark: mark, Store: crowdStore{crowd: c}, Prefix: "data/", Event: func(Event) {}}
	for s := range Plan(ctx, c.entries(), o) {
		did[s.Action]++
	}
	return did
}

// What a plan asks grows with the files alone: the journal a thousand records at a
// time, and the store not at all for what the mark covers.
func TestPlanAsks(t *testing.T) {
	const n = 100_000
	for _, tt := range []struct {
		name          string
		known, stored int
		mark          Mark
		skip          int
		lists, reads  int
	}{
		{"nothing left", n, n, Mark{All: true}, n, 0, n/recordBatch + 1},
		{"a tenth is done", n / 10, n / 10, Mark{Merged: (*crowd).key(nil, n/10-1)}, n / 10, 1, n/10/recordBatch + 1},
		{"finished, again", n, n, Mark{}, n, 1, n/recordBatch + 1},
		{"new", 0, 0, Mark{}, 0, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &crowd{n: n, known: tt.known, stored: tt.stored}
			did := c.plan(t.Context(), tt.mark)
			if did[Skip] != tt.skip || did[Put] != n-tt.skip {
				t.Errorf("planned %v", did)
			}
			if c.reads > tt.reads || c.lists != tt.lists || c.after != tt.mark.Merged {
				t.Errorf("%d reads of the journal, allowed %d; %d listings behind %q", c.reads, tt.reads, c.lists, c.after)
			}
		})
	}
}

// BenchmarkPlan is the merge alone: no disk, no network. The making of the
// entries, records and objects is part of it, and "make" says how much.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		for _, c := range []struct {
			name string
			mark Mark
		}{{"journal", Mark{All: true}}, {"journal+listing", Mark{}}} {
			b.Run(fmt.Sprintf("%s/n=%d", c.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					all := &crowd{n: n, known: n, stored: n}
					if did := all.plan(b.Context(), c.mark); did[Skip] != n {
						b.Fatal(did)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "files/s")
			})
		}
		b.Run(fmt.Sprintf("make/n=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var k strings.Builder
				for e := range (&crowd{n: n}).entries() {
					k.Reset()
					k.WriteString(e.Item.Key)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "files/s")
		})
	}
}
