//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agent/transfer"
)

// listed is a listStore of n objects, made as they are asked for.
type listed struct {
	n       int
	each    func(i int) // called before each is yielded
	inspect func(key string) (transfer.Stored, error)
	atOnce  atomic.Int64
	most    atomic.Int64
}

func (l *listed) ListAny(_ context.Context, prefix string) iter.Seq2[transfer.Object, error] {
	return func(yield func(transfer.Object, error) bool) {
		for i := range l.n {
			if l.each != nil {
				l.each(i)
			}
			if !yield(transfer.Object{Key: fmt.Sprintf("%s%09d", prefix, i), Size: 1000, ETag: `"e"`, Modified: time.Unix(0, 0)}, nil) {
				return
			}
		}
	}
}

func (l *listed) ListDir(ctx context.Context, prefix string) iter.Seq2[transfer.Object, error] {
	return l.ListAny(ctx, prefix)
}

func (l *listed) Lookup(context.Context, string) (transfer.Object, error) {
	return transfer.Object{}, transfer.ErrNotExist
}

func (l *listed) Inspect(_ context.Context, key string) (transfer.Stored, error) {
	now := l.atOnce.Add(1)
	defer l.atOnce.Add(-1)
	for most := l.most.Load(); now > most && !l.most.CompareAndSwap(most, now); most = l.most.Load() {
	}
	return l.inspect(key)
}

// counter counts lines and keeps none.
type counter struct{ lines int }

func (c *counter) Write(b []byte) (int, error) {
	c.lines += strings.Count(string(b), "\n")
	return len(b), nil
}

// TestLsMillion proves that a million keys are listed in constant memory.
func TestLsMillion(t *testing.T) {
	const n = 1_000_000
	var peak uint64
	var m runtime.MemStats
	store := &listed{n: n, each: func(i int) {
		if i%100_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}}
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	c := &counter{}
	l := &lister{o: lsOptions{recursive: true, total: true}, store: store, out: bufio.NewWriter(c)}
	if err := l.run(t.Context(), "ws/", false); err != nil {
		t.Fatal(err)
	}
	_ = l.out.Flush()
	if c.lines != n+1 || l.objects != n || l.bytes != n*1000 {
		t.Errorf("%d lines, %d objects, %d bytes", c.lines, l.objects, l.bytes)
	}
	if peak > before+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, peak)
	}
}

// TestLsLongOrder proves that -l keeps the order, and asks about no more
// objects at once than it says.
func TestLsLongOrder(t *testing.T) {
	store := &listed{n: 2000, inspect: func(key string) (transfer.Stored, error) {
		if strings.HasSuffix(key, "7") {
			return transfer.Stored{}, transfer.ErrDenied // shown without
		}
		return transfer.Stored{Sums: []transfer.StoredSum{{Algorithm: "crc32", Value: key[len(key)-4:]}}}, nil
	}}
	var got []string
	err := inspectAll(t.Context(), store, store.ListAny(t.Context(), "k"), func(st transfer.Stored) error {
		if has := len(st.Sums) == 1; has == strings.HasSuffix(st.Key, "7") || has && !strings.HasSuffix(st.Key, st.Sums[0].Value) {
			t.Errorf("%s has %v", st.Key, st.Sums)
		}
		got = append(got, st.Key)
		return nil
	})
	if err != nil || len(got) != 2000 || !slices.IsSorted(got) {
		t.Errorf("%d keys, in order: %v, %v", len(got), slices.IsSorted(got), err)
	}
	if most := store.most.Load(); most > inspectors+2 {
		t.Errorf("%d at once", most)
	}
}

// TestLsLongFails proves that an error ends the listing and is told.
func TestLsLongFails(t *testing.T) {
	store := &listed{n: 2000, inspect: func(key string) (transfer.Stored, error) {
		if key == "k000000500" {
			return transfer.Stored{}, transfer.ErrUnreachable
		}
		return transfer.Stored{}, nil
	}}
	n := 0
	err := inspectAll(t.Context(), store, store.ListAny(t.Context(), "k"), func(transfer.Stored) error { n++; return nil })
	if !errors.Is(err, transfer.ErrUnreachable) || n > 500 {
		t.Errorf("%d were shown, then: %v", n, err)
	}
}
