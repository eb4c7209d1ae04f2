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
	id      string     // in runner.zarr
	root    string     // the keys of the store begin so; "" where they have no common one
	parent  *zarrStore // of a directory in a download; what happens below counts for it too
	pending int        // items under way
	failed  int
	waits   bool // something of it is left to a later run
	closed  bool // no more items of it will come
	meta    []ticketed
	waves   [][]ticketed // what is still to be sent, in order, once closed
}

// The methods that count do nothing for a nil store: most items lie in none.

func (z *zarrStore) begin() {
	for ; z != nil; z = z.parent {
		z.pending++
	}
}

func (z *zarrStore) end() {
	for ; z != nil; z = z.parent {
		z.pending--
	}
}

func (z *zarrStore) fail() {
	for ; z != nil; z = z.parent {
		z.failed++
	}
}

func (z *zarrStore) wait() {
	for ; z != nil; z = z.parent {
		z.waits = true
	}
}

// over reports that nothing is left to do for the store.
func (z *zarrStore) over() bool { return z.closed && z.pending == 0 && len(z.waves) == 0 }

// hold keeps metadata back. For the directories above it is under way.
func (z *zarrStore) hold(s ticketed) {
	z.meta = append(z.meta, s)
	z.parent.begin()
}

// zarrOf returns the store that a step's item lies in, nil for none.
func (r *runner) zarrOf(s Step) *zarrStore {
	item := s.Item
	if s.Fetch != nil {
		return r.zarrDir(dirOf(s.Fetch.Name))
	}
	if item.Zarr == "" {
		return nil
	}
	z := r.zarr[item.Zarr]
	if z == nil {
		z = &zarrStore{id: item.Zarr}
		if rel := filepath.ToSlash(strings.TrimPrefix(item.Path, item.Zarr)); strings.HasSuffix(item.Key, rel) {
			z.root = strings.TrimSuffix(item.Key, rel) + "/"
		}
		r.zarr[item.Zarr] = z
	}
	return z
}

// dirOf is the directory that name lies in: "" or with its final slash.
func dirOf(name string) string {
	return name[:strings.LastIndexByte(strings.TrimSuffix(name, "/"), '/')+1]
}

// zarrDir returns a directory of a download as a store of its own. A listing
// tells only at a directory's end whether it is one (zarr.json comes behind
// c/0), so each one on the way down counts what lies below it.
func (r *runner) zarrDir(dir string) *zarrStore {
	z := r.zarr[dir]
	if z == nil {
		z = &zarrStore{id: dir, root: dir}
		if dir != "" {
			z.parent = r.zarrDir(dirOf(dir))
		}
		r.zarr[dir] = z
	}
	return z
}

// closeZarr closes the stores that lie behind key, which all later keys
// follow; "" closes them all. In a download they are the directories that do
// not hold the name key.
func (r *runner) closeZarr(ctx context.Context, key string) {
	for _, z := range r.zarr {
		if z.closed || key != "" && (z.root == "" || strings.HasPrefix(key, z.root) || key < z.root && !r.dirs) {
			continue
		}
		z.closed = true
		if key == "" && !r.seenAll {
			z.failed++ // the plan broke off: what is missing is not known
		}
		z.waves = waves(z.meta)
		z.meta = nil
		r.advance(ctx, z)
	}
}

// advance goes on with z, and with those above that waited for it.
func (r *runner) advance(ctx context.Context, z *zarrStore) {
	for ; z != nil; z = z.parent {
		if r.nextWave(ctx, z); z.over() {
			delete(r.zarr, z.id)
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
			r.heldBack(ctx, z, wave, z.failed == 0)
			continue
		}
		z.pending += len(wave)
		for _, s := range wave {
			r.start(ctx, s)
		}
		return
	}
}

// heldBack reports metadata of z that is not moved because the store is
// incomplete: something failed, or is only left to a later run.
func (r *runner) heldBack(ctx context.Context, z *zarrStore, steps []ticketed, later bool) {
	for _, s := range steps {
		z.parent.end()
		if ctx.Err() != nil || r.stopped() {
			z.parent.fail()
			r.left++
			continue
		}
		if later {
			// Its ticket stays open, so that the mark does not pass it.
			z.parent.wait()
			r.waiting++
			r.o.Event(Event{Kind: Ignored, Key: s.Item.Key, Path: s.Item.Path, Text: "Zarr metadata: of its store something is left to a later run"})
			continue
		}
		z.parent.fail()
		r.fail(s, &Error{Op: s.Action.String(), Key: s.Item.Key, Path: s.Item.Path, Err: ErrHeldBack})
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
