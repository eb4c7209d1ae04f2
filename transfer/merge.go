package transfer

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
)

// scanMerge brings the walks of several sources into one order, and settles
// which of them gets a key that several want. A source is opened when its turn
// comes.
type scanMerge struct {
	heads   scanHeads
	used    bool // the entry on top was returned
	claimed bool
	key     string // the last key that an item or a failed file took
	path    string // and that file
}

func newScanMerge(sources []Source, s *scanner) *scanMerge {
	m := &scanMerge{heads: make(scanHeads, 0, len(sources))}
	for i, source := range sources {
		m.heads = append(m.heads, &scanHead{
			walk: &scanWalk{scanner: s, source: source}, order: i,
			key: source.Prefix, rank: scanUnopened,
		})
	}
	heap.Init(&m.heads)
	return m
}

// next returns the next entry. What it returns after ctx has ended is
// meaningless.
func (m *scanMerge) next(ctx context.Context) (Entry, bool) {
	for len(m.heads) > 0 && ctx.Err() == nil {
		h := m.heads[0]
		if !m.used && h.rank != scanUnopened {
			m.used = true
			e := *h.entry
			if m.settle(&e) {
				return e, true
			}
		}
		m.used = false
		if !h.advance(ctx) {
			heap.Pop(&m.heads)
			h.walk.ahead.close()
		} else if len(m.heads) > 1 {
			heap.Fix(&m.heads, 0)
		}
	}
	return Entry{}, false
}

// close ends what the walks have going on.
func (m *scanMerge) close() {
	for _, h := range m.heads {
		h.walk.ahead.close()
	}
}

// settle decides whether e may have its key, and reports whether it is to be
// yielded at all: a marker gives way in silence.
func (m *scanMerge) settle(e *Entry) bool {
	if e.Ignored != "" {
		return true
	}
	it := &e.Item
	if !m.claimed || m.key != it.Key {
		m.claimed, m.key, m.path = true, it.Key, it.Path
		return true
	}
	switch {
	case it.Path == "":
		return false
	case it.Path == m.path:
		e.Err, e.Ignored = nil, "named twice"
	case e.Err == nil:
		e.Err = &Error{Op: "scan", Key: it.Key, Path: it.Path, Err: fmt.Errorf("%w: %s", ErrSameKey, m.path)}
	}
	return true
}

// scanHead is a walk and its next entry.
type scanHead struct {
	walk  *scanWalk
	order int // of the source
	entry *Entry
	key   string
	rank  scanRank
}

// scanRank orders what has the same key: a source that may hold it is opened
// first, and a marker comes after the files.
type scanRank uint8

const (
	scanUnopened scanRank = iota
	scanReal
	scanEmpty
)

func (h *scanHead) advance(ctx context.Context) bool {
	e, ok := h.walk.next(ctx)
	if !ok {
		return false
	}
	h.entry, h.key, h.rank = e, e.Item.Key, scanReal
	if e.Item.Path == "" {
		h.rank = scanEmpty
	}
	return true
}

// scanHeads is a heap, the least key on top.
type scanHeads []*scanHead

func (h scanHeads) Len() int      { return len(h) }
func (h scanHeads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *scanHeads) Push(x any)   { *h = append(*h, x.(*scanHead)) }
func (h scanHeads) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.rank, b.rank), cmp.Compare(a.order, b.order)) < 0
}

func (h *scanHeads) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
