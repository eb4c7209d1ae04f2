package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"agent/transfer"
	"agent/transfer/storetest"
)

// sync is a download that makes its directory like the store, and what it told
// of deletions.
func (f *fetching) sync(t *testing.T, o transfer.SweepOptions) (deleted []string, _ transfer.Result, _ error) {
	t.Helper()
	names, err := transfer.NewNameList(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := names.Close(); err != nil {
			t.Error(err)
		}
	}()
	f.names, f.existing = names, transfer.Replace
	defer func() { f.names = nil }()
	res, err := f.run(t, below)
	if err != nil || !res.Complete {
		return nil, res, err
	}
	target, err := transfer.OpenTarget(f.dir, "job")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if o.Allow == nil {
		o.Allow = func(int64, int64) bool { return true }
	}
	o.Dir, o.Prefix = t.TempDir(), "p/"
	o.Journal = &storetest.FaultyJournal{Next: &f.journal, Hook: func(_ int, method, _ string, _ bool) error {
		if method == "Forget" {
			return f.forgetting
		}
		return nil
	}}
	o.Event = func(e transfer.Event) {
		if e.Kind == transfer.Deleted || e.Kind == transfer.Planned {
			deleted = append(deleted, strings.TrimPrefix(e.Key, "p/"))
		}
	}
	if f.before != nil {
		allow := o.Allow
		o.Allow = func(n, all int64) bool { f.before(); return allow(n, all) }
	}
	_, err = transfer.Sweep(t.Context(), target, names, o)
	if left, _ := os.ReadDir(o.Dir); len(left) > 0 {
		t.Errorf("%v is left of the lists", left)
	}
	return deleted, res, err
}

// TestSweep proves what goes and what stays.
func TestSweep(t *testing.T) {
	f := newFetching(t)
	for _, key := range []string{"p/a", "p/d/", "p/d/x", "p/e/f/g", "p/late"} {
		f.store.Set(key, []byte(strings.TrimSuffix(key, "p/d/")))
	}
	f.store.Set("p/d/", nil)
	local := []string{"a-", "a0/1/2", "d/x.more", "d/y/z", "e/f/h", "e/f!", "gone/one", "gone/two/three", "zz", ".nfs1", ".x.job.agent-part", "keep/old", "keep/young"}
	for _, name := range local {
		write(t, f.dir, name, "surplus", time.Unix(1e9, 0))
	}
	if err := os.Chtimes(filepath.Join(f.dir, "keep/young"), time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	write(t, outside, "precious", "x", time.Now())
	for _, link := range []string{"link", "e/link"} {
		if err := os.Symlink(outside, filepath.Join(f.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(f.dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := transfer.SweepOptions{
		LeaveOut: func(name string) string { return map[bool]string{true: "rule"}[strings.HasPrefix(name, "a0/")] },
		Later: func(at time.Time) string {
			return map[bool]string{true: "young"}[time.Since(at) < time.Hour && at.Unix() != 1e9]
		},
	}
	want := []string{"a-", "d/x.more", "d/y/z", "e/f!", "e/f/h", "gone/one", "gone/two/three", "keep/old", "zz"}

	// Counted is what is not protected: of links the time is that of the link.
	o.Later = func(at time.Time) string { return "" }
	want = append(want, "e/link", "keep/young", "link")
	slices.Sort(want)
	o.Allow = func(n, all int64) bool {
		if n != int64(len(want)) || all != n+4 {
			t.Errorf("%d of %d", n, all)
		}
		return false
	}
	deleted, _, err := f.sync(t, o)
	var many *transfer.TooMany
	if !errors.As(err, &many) || len(deleted) > 0 || many.Delete != int64(len(want)) {
		t.Fatalf("%v, %v", deleted, err)
	}
	o.Allow, o.DryRun = nil, true
	before := f.files(t, f.dir)
	if deleted, _, err = f.sync(t, o); err != nil || !slices.Equal(deleted, want) || !maps.Equal(before, f.files(t, f.dir)) {
		t.Errorf("a dry run: %v, %v", deleted, err)
	}
	// Of a link the time is its own.
	o.DryRun = false
	o.Later = func(at time.Time) string {
		if time.Since(at) < time.Hour {
			return "young"
		}
		return ""
	}
	for _, name := range []string{"e/link", "keep/young", "link"} {
		want = slices.DeleteFunc(want, func(s string) bool { return s == name })
	}
	if deleted, _, err = f.sync(t, o); err != nil || !slices.Equal(deleted, want) {
		t.Errorf("%v, %v", deleted, err)
	}
	if deleted, _, err = f.sync(t, transfer.SweepOptions{AllFiles: true}); err != nil || !slices.Equal(deleted, []string{".nfs1", "a0/1/2", "e/link", "keep/young", "link"}) {
		t.Errorf("%v, %v", deleted, err)
	}
	got := slices.Sorted(maps.Keys(f.files(t, f.dir)))
	if !slices.Equal(got, []string{"./", ".x.job.agent-part", "a", "d/", "d/x", "e/", "e/f/", "e/f/g", "empty/", "late"}) {
		t.Errorf("%q is left", got)
	}
	if _, err := os.Stat(filepath.Join(outside, "precious")); err != nil {
		t.Error(err)
	}
}

// TestSweepKeepsWhatChanged proves that what somebody writes between the look and
// the deletion stays, and the chunks of metadata that do: whatever its size is then.
func TestSweepKeepsWhatChanged(t *testing.T) {
	for name, want := range map[string][]string{"x": {"s.zarr/.zarray", "s.zarr/0", "y"}, "s.zarr/.zarray": nil} {
		for _, now := range []string{"newer", "new"} {
			f := newFetching(t)
			f.store.Set("p/a", nil)
			for _, n := range []string{"s.zarr/.zarray", "s.zarr/0", "x", "y"} {
				write(t, f.dir, n, "old", time.Now().Add(-time.Hour))
			}
			f.before = func() { write(t, f.dir, name, now, time.Now()) }
			deleted, _, err := f.sync(t, transfer.SweepOptions{})
			if err != nil || !slices.Equal(deleted, want) || f.files(t, f.dir)[name] != now {
				t.Errorf("%s: %q: %v, %v", name, now, deleted, err)
			}
		}
	}
}

// TestSweepThroughNoLink proves that nothing is deleted through a symbolic link that took
// the place of a directory meanwhile: what lies behind it has another name here.
func TestSweepThroughNoLink(t *testing.T) {
	f := newFetching(t)
	f.store.Set("p/a", nil)
	for _, name := range []string{"d/x", "e"} {
		write(t, f.dir, name, "old", time.Now())
	}
	f.before = func() {
		d := filepath.Join(f.dir, "d")
		if err := errors.Join(os.Rename(d, d+".moved"), os.Symlink("d.moved", d)); err != nil {
			t.Error(err)
		}
	}
	deleted, _, err := f.sync(t, transfer.SweepOptions{})
	if err != nil || !slices.Equal(deleted, []string{"e"}) || f.files(t, f.dir)["d.moved/x"] != "old" {
		t.Errorf("%v, %v", deleted, err)
	}
}

// TestSweepOfTwoNames proves that both names of one file go: the loss of the first
// is no change that would keep the second.
func TestSweepOfTwoNames(t *testing.T) {
	f := newFetching(t)
	f.store.Set("p/a", nil)
	write(t, f.dir, "x", "old", time.Now())
	if err := os.Link(filepath.Join(f.dir, "x"), filepath.Join(f.dir, "y")); err != nil {
		t.Skip(err)
	}
	if deleted, _, err := f.sync(t, transfer.SweepOptions{}); err != nil || !slices.Equal(deleted, []string{"x", "y"}) {
		t.Errorf("%v, %v", deleted, err)
	}
}

// TestSweepWithoutJournal proves that a journal which forgets nothing any more ends
// the sweep: what is gone is told as gone, and no more goes.
func TestSweepWithoutJournal(t *testing.T) {
	for _, name := range []string{"w", ".zgroup"} {
		f := newFetching(t)
		f.store.Set("p/a", nil)
		write(t, f.dir, name, "old", time.Now())
		write(t, f.dir, "x", "old", time.Now())
		f.forgetting = errors.New("no space left")
		deleted, _, err := f.sync(t, transfer.SweepOptions{})
		if !errors.Is(err, transfer.ErrLocal) || !transfer.Fatal(err) || !slices.Equal(deleted, []string{name}) || f.files(t, f.dir)["x"] != "old" {
			t.Errorf("%v, %v", deleted, err)
		}
	}
}

// TestSweepZarr proves that metadata go before their chunks, and that the
// directories go with the last of them.
func TestSweepZarr(t *testing.T) {
	f := newFetching(t)
	f.store.Set("p/a", nil)
	for _, name := range []string{"s/!", "s/.zgroup", "s/x/.zarray", "s/x/0", "t/c/0", "t/zarr.json", "u/zarr.json"} {
		write(t, f.dir, name, name, time.Now())
	}
	deleted, _, err := f.sync(t, transfer.SweepOptions{})
	if err != nil || !slices.Equal(deleted, []string{"s/.zgroup", "s/x/.zarray", "t/zarr.json", "u/zarr.json", "s/!", "s/x/0", "t/c/0"}) {
		t.Errorf("%q, %v", deleted, err)
	}
	if got := f.files(t, f.dir); len(got) != 2 {
		t.Errorf("%q is left", got)
	}
}

// TestSyncCompares proves what tells that a file is the object's.
func TestSyncCompares(t *testing.T) {
	const at, other = 1_000_000_000, 1_100_000_000
	for name, c := range map[string]struct {
		by      transfer.Compare
		known   bool   // this job has fetched it
		local   string // of what it is then
		mtime   int64
		fetched bool
		asked   int // for the object
	}{
		"as it was left":           {transfer.ByTime, true, "", at, false, 0},
		"touched":                  {transfer.ByTime, true, "object", other, false, 1},
		"of another size":          {transfer.ByTime, true, "object+", at, true, 0},
		"of other bytes":           {transfer.ByTime, true, "tcejbo", other, true, 1},
		"of size and time":         {transfer.ByTime, false, "tcejbo", at, false, 0},
		"the same, of other time":  {transfer.ByTime, false, "object", other, false, 1},
		"size only":                {transfer.BySize, false, "tcejbo", other, false, 0},
		"size only, another":       {transfer.BySize, false, "object+", other, true, 0},
		"contents, as it was left": {transfer.ByContent, true, "", at, false, 1},
		"contents, of size, time":  {transfer.ByContent, false, "tcejbo", at, true, 1},
		"contents, the same":       {transfer.ByContent, false, "object", other, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFetching(t)
			f.store.Set("p/f", []byte("object"))
			f.store.Touch("p/f", time.Unix(at, 0))
			f.existing, f.compare = transfer.Replace, c.by
			if c.known {
				if _, err := f.run(t, below); err != nil {
					t.Fatal(err)
				}
			}
			if c.local != "" {
				write(t, f.dir, "f", c.local, time.Unix(c.mtime, 0))
			}
			asked := 0
			f.store.Fail = func(_ context.Context, op, _ string) error {
				if op == "Stat" {
					asked++
				}
				return nil
			}
			res, err := f.run(t, below)
			if err != nil || !res.Complete || asked != c.asked || c.fetched != (len(f.order) > 0) {
				t.Errorf("%+v, %v: asked %d times, fetched %q, there %q", res, err, asked, f.order, f.there)
			}
			if c.fetched && f.files(t, f.dir)["f"] != "object" {
				t.Error("it is not the object")
			}
		})
	}
}

// TestSyncWithoutChecksums proves that what this job fetched is compared by the
// checksum that it keeps, where the store has none.
func TestSyncWithoutChecksums(t *testing.T) {
	f := newFetching(t)
	f.store.NoCRC64 = true
	f.store.Set("p/f", []byte("object"))
	f.store.Opaque("p/f")
	f.existing, f.compare = transfer.Replace, transfer.ByContent
	if _, err := f.run(t, below); err != nil {
		t.Fatal(err)
	}
	for local, fetched := range map[string]int{"object": 0, "tcejbo": 1} {
		write(t, f.dir, "f", local, time.Unix(1e9, 0))
		if res, err := f.run(t, below); err != nil || !res.Complete || len(f.order) != fetched {
			t.Errorf("%q: %+v, %v, fetched %q", local, res, err, f.order)
		}
	}
}

// TestSweepNeverInDoubt proves that nothing is deleted where it is not certain
// what the store has.
func TestSweepNeverInDoubt(t *testing.T) {
	for name, spoil := range map[string]func(*fetching){
		"the listing fails": func(f *fetching) {
			f.store.Fail = func(_ context.Context, op, _ string) error {
				if op == "List" {
					return transfer.ErrUnreachable
				}
				return nil
			}
		},
		"it is denied": func(f *fetching) {
			f.store.Fail = func(context.Context, string, string) error { return transfer.ErrDenied }
		},
		"it breaks off": func(f *fetching) { f.store.Break = "p/m" },
		"it is empty": func(f *fetching) {
			for i := range 26 {
				f.store.Delete("p/" + string(rune('a'+i)))
			}
		},
		"an object can't be fetched": func(f *fetching) {
			f.store.Fail = func(_ context.Context, op, key string) error {
				if op == "Get" && key == "p/m" {
					return transfer.ErrDenied
				}
				return nil
			}
		},
		"a key is no name": func(f *fetching) { f.store.Set("p/../x", []byte("evil")) },
		"a link is on the way": func(f *fetching) {
			_ = os.MkdirAll(filepath.Join(f.dir, "real"), 0o700)
			_ = os.Symlink("real", filepath.Join(f.dir, "way"))
			f.store.Set("p/way/x", []byte("x"))
		},
		"a directory is shut": func(f *fetching) { _ = os.MkdirAll(filepath.Join(f.dir, "shut"), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			if strings.HasSuffix(name, "shut") && os.Getuid() == 0 {
				t.Skip("root may read everything")
			}
			f := newFetching(t)
			for i := range 26 {
				f.store.Set("p/"+string(rune('a'+i)), []byte("x"))
			}
			write(t, f.dir, "surplus", "x", time.Now())
			write(t, f.dir, "zzz/surplus", "x", time.Now())
			spoil(f)
			deleted, res, err := f.sync(t, transfer.SweepOptions{})
			if err == nil && res.Complete {
				t.Error("all seems to be well")
			}
			got := f.files(t, f.dir)
			if len(deleted) > 0 || got["surplus"] != "x" || got["zzz/surplus"] != "x" {
				t.Errorf("deleted %v", deleted)
			}
		})
	}
}

// TestSweepStops proves that a sweep which is stopped ends, and that one whose
// names never were any does nothing.
func TestSweepStops(t *testing.T) {
	f := newFetching(t)
	f.store.Set("p/a", nil)
	write(t, f.dir, "surplus", "x", time.Now())
	stop := make(chan struct{})
	close(stop)
	if deleted, _, err := f.sync(t, transfer.SweepOptions{Stop: stop}); !errors.Is(err, transfer.ErrStopped) || len(deleted) > 0 {
		t.Errorf("%v, %v", deleted, err)
	}
	target, err := transfer.OpenTarget(f.dir, "job")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	names, err := transfer.NewNameList("")
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	_, err = transfer.Sweep(t.Context(), target, names, transfer.SweepOptions{Allow: func(int64, int64) bool { return true }})
	if got := f.files(t, f.dir); !errors.Is(err, transfer.ErrEmpty) || got["surplus"] != "x" {
		t.Errorf("emptied by a list of nothing: %v, has %q", err, got)
	}
}

// TestAccents proves that a file whose name is that of a key but for how accents
// are written is this key's file: neither fetched beside it nor deleted.
func TestAccents(t *testing.T) {
	const nfc, nfd = "caf\u00e9", "cafe\u0301"
	f := newFetching(t)
	f.store.Set("p/"+nfc, []byte("same"))
	f.store.Set("p/"+nfc+"s/"+nfc, []byte("changed"))
	f.store.Set("p/"+nfc+"s/new", []byte("new"))
	f.store.Set("p/a", []byte("a"))
	write(t, f.dir, nfd, "same", time.Unix(1e9, 0))
	write(t, f.dir, nfd+"s/"+nfd, "before", time.Unix(1e9, 0))
	want := map[string]string{"./": "", "a": "a", nfd: "same", nfd + "s/": "", nfd + "s/" + nfd: "changed", nfd + "s/new": "new"}
	for range 2 {
		deleted, res, err := f.sync(t, transfer.SweepOptions{})
		if got := f.files(t, f.dir); err != nil || !res.Complete || len(deleted) > 0 || !maps.Equal(got, want) {
			t.Fatalf("%+v, %v, deleted %q, has %q, failed %v", res, err, deleted, got, f.failed)
		}
	}
	if len(f.order) > 0 || f.there["p/"+nfc] == "" {
		t.Errorf("the second run fetched %q", f.order)
	}
	// A key of the other spelling is another object: where both can be, both are.
	f.store.Set("p/"+nfd, []byte("another"))
	write(t, f.dir, "b"+nfd, "no key", time.Now())
	deleted, res, err := f.sync(t, transfer.SweepOptions{})
	got := f.files(t, f.dir)
	if err != nil || !res.Complete || got[nfd] != "another" || got[nfc] != "same" || !slices.Equal(deleted, []string{"b" + nfd}) {
		t.Errorf("%+v, %v, failed %v, deleted %q, has %q", res, err, f.failed, deleted, got)
	}
	// And a file that is no key, but one's other spelling, is let be.
	f.store.Delete("p/" + nfd)
	if deleted, _, err := f.sync(t, transfer.SweepOptions{}); err != nil || len(deleted) > 0 {
		t.Errorf("deleted %q, %v", deleted, err)
	}
}

// TestAccentsInOneFile proves that of two keys which one file would have to be,
// one fails.
func TestAccentsInOneFile(t *testing.T) {
	f := newFetching(t)
	f.store.Set("p/e\u0301\u0301", []byte("first"))
	write(t, f.dir, "\u00e9\u0301", "first", time.Unix(1e9, 0))
	f.store.Set("p/\u00e9\u0301", []byte("second"))
	write(t, f.dir, "surplus", "x", time.Now())
	deleted, res, err := f.sync(t, transfer.SweepOptions{})
	if err != nil || res.Failed != 1 || len(deleted) > 0 || !errors.Is(f.failed["p/\u00e9\u0301"], transfer.ErrPath) {
		t.Errorf("%+v, %v, %v", res, err, f.failed)
	}
}

// TestSyncMakesItLikeTheStore proves, over random trees and random changes on
// both sides, that the directory is then as the store, and that what was not
// changed is not fetched again.
func TestSyncMakesItLikeTheStore(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			f := newFetching(t)
			remote, local := map[string]string{}, map[string]string{}
			at := time.Unix(1e9, 0)
			set := func(name string) {
				at = at.Add(2 * time.Second)
				remote[name] = strings.Repeat(name, r.IntN(400))
				f.store.Set("p/"+name, []byte(remote[name]))
				f.store.Touch("p/"+name, at)
			}
			for range 1 + r.IntN(40) {
				set(syncName(r))
			}
			for round := range 4 {
				for range r.IntN(10) {
					name := syncName(r)
					at = at.Add(2 * time.Second)
					local[name] = strings.Repeat("local", r.IntN(9))
					write(t, f.dir, name, local[name], at)
				}
				changed := map[string]bool{}
				for name := range local {
					changed[name] = true
				}
				for _, name := range slices.Sorted(maps.Keys(remote)) {
					switch _, here := local[name]; {
					case r.IntN(8) == 0 && len(remote) > 1:
						delete(remote, name)
						f.store.Delete("p/" + name)
					case r.IntN(8) == 0:
						set(name)
						changed[name] = true
					case r.IntN(8) == 0 && round > 0:
						if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
							t.Fatal(err)
						}
						changed[name] = true
					case here, round == 0:
						changed[name] = true
					}
				}
				for range r.IntN(5) {
					name := syncName(r)
					set(name)
					changed[name] = true
				}
				deleted, res, err := f.sync(t, transfer.SweepOptions{})
				if err != nil || !res.Complete {
					t.Fatalf("round %d: %+v, %v, %v", round, res, err, f.failed)
				}
				got := f.files(t, f.dir)
				maps.DeleteFunc(got, func(name, _ string) bool { return strings.HasSuffix(name, "/") })
				if !maps.Equal(got, remote) {
					t.Fatalf("round %d: has %q, wants %q; deleted %q", round, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(remote)), deleted)
				}
				for _, key := range f.order {
					if !changed[strings.TrimPrefix(key, "p/")] {
						t.Errorf("round %d: %s was fetched again", round, key)
					}
				}
				clear(local)
			}
		})
	}
}

// syncName is a name with many others that lie close to it in some order. None is
// that of a file and of a directory.
func syncName(r *rand.Rand) string {
	parts := []string{"a", "a!", "a-", "a0", "é", "b", "b.c", "z"}
	var b strings.Builder
	for range r.IntN(3) {
		b.WriteString(parts[r.IntN(len(parts))] + "d/")
	}
	return b.String() + parts[r.IntN(len(parts))]
}
