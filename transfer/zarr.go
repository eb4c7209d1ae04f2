package transfer

import (
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// zarrStore holds a store's metadata back until everything else of it is
// stored, and for good while anything there failed.
type zarrStore struct {
	root    string // the keys of the store begin so; "" where they have no common one
	pending int    // items under way
	failed  int
	waits   bool // something of it is left to a later run
	closed  bool // no more items of it will come
	meta    []ticketed
	waves   [][]ticketed // what is still to be sent, in order, once closed
}

// The methods that count do nothing for a nil store: most items lie in none.

func (z *zarrStore) begin() {
	if z != nil {
		z.pending++
	}
}

func (z *zarrStore) fail() {
	if z != nil {
		z.failed++
	}
}

func (z *zarrStore) wait() {
	if z != nil {
		z.waits = true
	}
}

// over reports that nothing is left to do for the store.
func (z *zarrStore) over() bool { return z.closed && z.pending == 0 && len(z.waves) == 0 }

func (z *zarrStore) hold(s ticketed) { z.meta = append(z.meta, s) }

// zarrOf returns the store that item lies in, nil for none.
func (r *runner) zarrOf(item Item) *zarrStore {
	if item.Zarr == "" {
		return nil
	}
	z := r.zarr[item.Zarr]
	if z == nil {
		z = &zarrStore{}
		if rel := filepath.ToSlash(strings.TrimPrefix(item.Path, item.Zarr)); strings.HasSuffix(item.Key, rel) {
			z.root = strings.TrimSuffix(item.Key, rel) + "/"
		}
		r.zarr[item.Zarr] = z
	}
	return z
}

// closeZarr closes the stores that lie behind key, which all later keys
// follow; "" closes them all.
func (r *runner) closeZarr(ctx context.Context, key string) {
	for root, z := range r.zarr {
		if z.closed || key != "" && (z.root == "" || strings.HasPrefix(key, z.root) || key < z.root) {
			continue
		}
		z.closed = true
		if key == "" && !r.seenAll {
			z.failed++ // the plan broke off: what is missing is not known
		}
		z.waves = waves(z.meta)
		z.meta = nil
		if r.nextWave(ctx, z); z.over() {
			delete(r.zarr, root)
		}
	}
}

// waves orders metadata: inner arrays and groups first, then that of the root,
// then what consolidates it all.
func waves(meta []ticketed) [][]ticketed {
	depth := func(s ticketed) int { return strings.Count(s.Item.Key, "/") }
	top := 1 << 30
	for _, s := range meta {
		top = min(top, depth(s))
	}
	var w [3][]ticketed
	for _, s := range meta {
		i := 0
		if depth(s) == top {
			i = 1
			if base := path.Base(s.Item.Key); base == ".zmetadata" || base == "zarr.json" {
				i = 2
			}
		}
		w[i] = append(w[i], s)
	}
	return slices.DeleteFunc(w[:], func(s []ticketed) bool { return len(s) == 0 })
}

// nextWave sends the next metadata of a closed store that has nothing under
// way, or gives it up where the store failed.
func (r *runner) nextWave(ctx context.Context, z *zarrStore) {
	for z.closed && z.pending == 0 && len(z.waves) > 0 {
		wave := z.waves[0]
		z.waves = z.waves[1:]
		if z.failed > 0 || z.waits || ctx.Err() != nil || r.stopped() {
			r.heldBack(ctx, wave, z.failed == 0)
			continue
		}
		z.pending += len(wave)
		for _, s := range wave {
			r.start(ctx, s)
		}
		return
	}
}

// heldBack reports metadata that is not sent because its store is incomplete:
// something failed, or is only left to a later run.
func (r *runner) heldBack(ctx context.Context, steps []ticketed, later bool) {
	for _, s := range steps {
		if ctx.Err() != nil || r.stopped() {
			r.left++
			continue
		}
		if later {
			// Its ticket stays open, so that the mark does not pass it.
			r.o.Event(Event{Kind: Ignored, Key: s.Item.Key, Path: s.Item.Path, Text: "Zarr metadata: of its store something is left to a later run"})
			continue
		}
		r.fail(s, &Error{Op: "put", Key: s.Item.Key, Path: s.Item.Path, Err: ErrHeldBack})
	}
}

// held counts the metadata of stores that were never closed.
func (r *runner) held() int {
	n := 0
	for _, z := range r.zarr {
		n += len(z.meta)
		for _, w := range z.waves {
			n += len(w)
		}
	}
	return n
}
