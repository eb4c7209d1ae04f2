package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"agent/transfer"
	"agent/transfer/storetest"
)

// syncing is a directory, a store, and what a job knows.
type syncing struct {
	dir     string
	store   *storetest.Memory
	j       *storetest.Journal
	by      transfer.Compare
	scan    transfer.ScanOptions
	surplus *transfer.Surplus // of the last run
	notes   []string
	failed  []string
	sent    []string
	before  func() // is called before anything is deleted
}

func newSyncing(t *testing.T, files ...string) *syncing {
	t.Helper()
	f := &syncing{dir: t.TempDir(), store: &storetest.Memory{}, j: &storetest.Journal{}, by: transfer.ByTime}
	for _, name := range files {
		f.write(t, name, name)
	}
	return f
}

func (f *syncing) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f *syncing) write(t *testing.T, name, body string) {
	t.Helper()
	check(t, errors.Join(os.MkdirAll(filepath.Dir(f.path(name)), 0o700), os.WriteFile(f.path(name), []byte(body), 0o600)))
	now := time.Now() // the file system's clock is coarser than that of the store, and would be behind it
	check(t, os.Chtimes(f.path(name), now, now))
}

func (f *syncing) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(f.path(name)); err != nil {
		t.Fatal(err)
	}
}

// run syncs, and prunes where nothing speaks against it.
func (f *syncing) run(t *testing.T) (transfer.Result, transfer.Pruned, error) {
	t.Helper()
	src := transfer.Source{Path: f.dir, Prefix: "p/", Dir: true}
	f.surplus = transfer.NewSurplus(transfer.SurplusOptions{Source: src, LeaveOut: f.scan.LeaveOut, AllFiles: f.scan.AllFiles, Dir: t.TempDir()})
	t.Cleanup(f.surplus.Close)
	f.notes, f.failed, f.sent = nil, nil, nil
	var mu sync.Mutex
	event := func(e transfer.Event) {
		mu.Lock()
		defer mu.Unlock()
		switch e.Kind {
		case transfer.Notice:
			f.notes = append(f.notes, e.Text)
		case transfer.Failed:
			f.failed = append(f.failed, e.Key)
		case transfer.Done:
			f.sent = append(f.sent, e.Key)
		default:
		}
	}
	steps := transfer.Plan(t.Context(), transfer.Scan(t.Context(), []transfer.Source{src}, f.scan),
		transfer.PlanOptions{Records: f.j, Store: f.store, Prefix: "p/", Event: event, Compare: f.by, Surplus: f.surplus})
	res, err := transfer.Run(t.Context(), steps, f.store, f.j, transfer.RunOptions{Event: event, Compare: f.by})
	if err != nil || !res.Complete || f.surplus.Doubt() != "" {
		return res, transfer.Pruned{}, err
	}
	if f.before != nil {
		f.before()
	}
	pruned, err := transfer.Prune(t.Context(), f.surplus, f.store, f.j, transfer.PruneOptions{Event: event, Batch: 3})
	return res, pruned, err
}

// local is what is in the directory, by the composed form of its name.
func (f *syncing) local(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for e := range transfer.Scan(t.Context(), []transfer.Source{{Path: f.dir, Prefix: "p/", Dir: true}}, transfer.ScanOptions{}) {
		body, err := os.ReadFile(e.Item.Path)
		if err != nil {
			t.Fatal(err)
		}
		all[norm.NFC.String(e.Item.Key)] = string(body)
	}
	return all
}

// remote likewise; a name that is stored in two forms is an error.
func (f *syncing) remote(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range f.store.Keys() {
		body, _ := f.store.Body(key)
		if _, twice := all[norm.NFC.String(key)]; twice {
			t.Errorf("%q is stored in two forms", key)
		}
		all[norm.NFC.String(key)] = string(body)
	}
	return all
}

// Whatever changes on both sides, after a sync the store is as the directory,
// nothing is surplus, and another run sends nothing.
func TestSyncProperty(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rounds := 150
	if testing.Short() {
		rounds = 40
	}
	for round := range rounds {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		f := newSyncing(t, "always")
		ways := []transfer.Compare{transfer.ByTime, transfer.ByJournal, transfer.ByContent}
		for step := range 6 {
			for range r.IntN(12) {
				f.change(t, r)
			}
			if r.IntN(8) == 0 {
				f.j = &storetest.Journal{} // lost
			}
			f.by = ways[r.IntN(len(ways))]
			res, _, err := f.run(t)
			if err != nil || !res.Complete {
				t.Fatalf("seed %d, round %d, step %d: %+v, %v, %v", seed, round, step, res, err, f.failed)
			}
			want, got := f.local(t), f.remote(t)
			if fmt.Sprint(want) != fmt.Sprint(got) {
				t.Fatalf("seed %d, round %d, step %d:\nhere   %q\nstored %q", seed, round, step, want, got)
			}
			if _, pruned, err := f.run(t); err != nil || len(f.sent) > 0 || pruned.Deleted > 0 {
				t.Fatalf("seed %d, round %d, step %d: again %q, %+v, %v", seed, round, step, f.sent, pruned, err)
			}
		}
	}
}

// change changes one thing, here or in the store.
func (f *syncing) change(t *testing.T, r *rand.Rand) {
	t.Helper()
	names := []string{"a", "b", "d/x", "d/y", "d/e/z", "d.txt", "é", "d/ü", "ö/i", "ö/å/j", "가", ".hidden", "s.zarr/.zarray", "s.zarr/0.0"}
	name := names[r.IntN(len(names))]
	form := []norm.Form{norm.NFC, norm.NFD}[r.IntN(2)]
	body := fmt.Sprint(r.IntN(1000), strings.Repeat(".", r.IntN(3)))
	// A file that is here in another form is that file.
	here := name
	for _, n := range []norm.Form{norm.NFC, norm.NFD} {
		if _, err := os.Lstat(f.path(n.String(name))); err == nil {
			here = n.String(name)
		}
	}
	_, err := os.Lstat(f.path(here))
	exists := err == nil
	switch r.IntN(7) {
	case 0, 1:
		if !exists {
			here = form.String(name)
		}
		f.write(t, here, body)
	case 2:
		f.remove(t, here)
	case 3:
		if exists {
			now := time.Now().Add(time.Duration(r.IntN(1000)) * time.Second)
			_ = os.Chtimes(f.path(here), now, now)
		}
	case 4:
		if exists && filepath.Dir(here) == "." { // renamed to another form
			_ = os.Rename(f.path(here), f.path(form.String(name)))
		}
	case 5:
		for _, n := range []norm.Form{norm.NFC, norm.NFD} {
			f.store.Delete("p/" + n.String(name))
		}
	default:
		stored := slices.ContainsFunc(f.store.Keys(), func(k string) bool { return norm.NFC.String(k) == norm.NFC.String("p/"+name) })
		if !stored && !exists {
			f.store.Set("p/"+form.String(name), []byte(body)) // somebody else's
		}
	}
}

// Every doubt keeps everything.
func TestSyncDeletesNothingInDoubt(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, f *syncing){
		"the source is empty":   func(t *testing.T, f *syncing) { f.remove(t, "a"); f.remove(t, "d") },
		"all of it is left out": func(_ *testing.T, f *syncing) { f.scan.LeaveOut = func(string) string { return "rule" } },
		"a link leads nowhere":  func(t *testing.T, f *syncing) { check(t, os.Symlink("nowhere", f.path("link"))) },
		"a link leads in a circle, and none is followed": func(t *testing.T, f *syncing) {
			f.scan.NoFollowSymlinks = true
			f.remove(t, "d")
			check(t, os.Symlink("d", f.path("d"))) // nobody can tell what is in it
		},
		"the listing breaks off behind the last file": func(_ *testing.T, f *syncing) {
			f.store.Set("p/z", nil)
			f.store.Break = "p/z"
		},
		"the listing is denied":  func(_ *testing.T, f *syncing) { f.fail("List", "", transfer.ErrDenied) },
		"the listing is useless": func(_ *testing.T, f *syncing) { f.fail("List", "", transfer.ErrUnsorted) },
		"the store is away":      func(_ *testing.T, f *syncing) { f.fail("List", "", transfer.ErrUnreachable) },
		"a file fails": func(t *testing.T, f *syncing) {
			f.write(t, "new", "x")
			f.fail("Put", "p/new", errors.New("no"))
		},
		"a file changes": func(t *testing.T, f *syncing) {
			f.write(t, "new", "x")
			f.fail("Put", "p/new", transfer.ErrChanged)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newSyncing(t, "a", "d/b")
			f.store.Set("p/old", []byte("old"))
			f.store.Set("p/d/old", []byte("old"))
			if err := f.j.Done(transfer.Record{Key: "p/old"}); err != nil {
				t.Fatal(err)
			}
			spoil(t, f)
			res, _, err := f.run(t)
			if err == nil && res.Complete && f.surplus.Doubt() == "" {
				t.Errorf("there is no doubt: %+v", res)
			}
			if gone := f.store.Gone(); len(gone) > 0 {
				t.Errorf("deleted %q", gone)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *syncing) fail(op, key string, err error) {
	f.store.Fail = func(_ context.Context, o, k string) error {
		if o == op && (key == "" || k == key) {
			return err
		}
		return nil
	}
}

// What a scan would not take is not surplus.
func TestSurplusKeeps(t *testing.T) {
	f := newSyncing(t, "a", "dir/b", "ö/å")
	f.scan.LeaveOut = func(key string) string {
		if strings.HasSuffix(key, ".tmp") {
			return "rule"
		}
		return ""
	}
	f.scan.Later = func(st transfer.Stat) string {
		if st.Size == 3 {
			return "young"
		}
		return ""
	}
	f.write(t, "new", "new")
	f.write(t, "new2", "new")
	check(t, os.Rename(f.path("ö"), f.path(norm.NFD.String("ö")))) // one form above another
	keep := map[string]string{
		"": "the destination's own marker", "dir/": "here, but not taken", "x.tmp": "rule", "gone/y.tmp": "rule",
		".DS_Store": "macOS folder view", "gone/.ipynb_checkpoints/n": "Jupyter checkpoints", "li\nne": "control characters in the name",
		"../up": "no name for a file here", "a//b": "no name for a file here", "a/./b": "no name for a file here", "new": "here, but not taken",
	}
	for name := range keep {
		f.store.Set("p/"+name, nil)
	}
	f.store.Set("p/ö/å", nil) // it is here, and nothing to speak of
	for _, name := range []string{"dir", "dir/c", "gone/", "gone/x", "é", "a/b"} {
		f.store.Set("p/"+name, nil)
	}
	f.store.Set("q/other", nil)
	res, pruned, err := f.run(t)
	if err != nil || !res.Complete || pruned.Deleted != 6 || pruned.Failed > 0 {
		t.Fatalf("%+v, %+v, %v, doubt %q", res, pruned, err, f.surplus.Doubt())
	}
	want := map[string]int{}
	for _, why := range keep {
		want[why]++
	}
	if got := f.surplus.Kept(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	if got := f.store.Gone(); !slices.Equal(got, []string{"p/a/b", "p/dir", "p/dir/c", "p/gone/", "p/gone/x", "p/é"}) {
		t.Errorf("gone: %q", got)
	}
}

// What comes after the plan, in whatever form, stays; and so does what is not
// to be deleted. Records go with their objects.
func TestPruneLooksAgain(t *testing.T) {
	f := newSyncing(t, "a")
	for _, name := range []string{"came", "é", "stays", "goes"} {
		f.store.Set("p/"+name, nil)
		check(t, f.j.Done(transfer.Record{Key: "p/" + name}))
	}
	f.fail("Delete", "p/stays", transfer.ErrDenied)
	f.before = func() {
		f.write(t, "came", "")
		f.write(t, norm.NFD.String("é"), "")
	}
	_, pruned, err := f.run(t)
	if err != nil || pruned != (transfer.Pruned{Deleted: 1, Failed: 1, Came: 2}) {
		t.Errorf("%+v, %v", pruned, err)
	}
	if !slices.Equal(f.store.Gone(), []string{"p/goes"}) || !slices.Equal(f.failed, []string{"p/stays"}) || len(f.notes) != 2 {
		t.Errorf("gone %q, failed %q, %q", f.store.Gone(), f.failed, f.notes)
	}
	recs, err := f.j.Records("", 10)
	var keys []string
	for _, r := range recs {
		keys = append(keys, r.Key)
	}
	if err != nil || !slices.Equal(keys, []string{"p/a", "p/came", "p/stays", "p/é"}) {
		t.Errorf("records of %q, %v", keys, err)
	}
}

// What can't be looked at any more is not deleted: it may have come.
func TestPruneInDoubt(t *testing.T) {
	f := newSyncing(t, "a")
	f.store.Set("p/d/x", nil)
	f.store.Set("p/goes", nil)
	f.before = func() { check(t, os.Symlink("d", f.path("d"))) } // to itself
	_, pruned, err := f.run(t)
	if err != nil || pruned != (transfer.Pruned{Deleted: 1, Failed: 1}) || !slices.Equal(f.store.Gone(), []string{"p/goes"}) || !slices.Equal(f.failed, []string{"p/d/x"}) {
		t.Errorf("%+v, %v, gone %q, failed %q", pruned, err, f.store.Gone(), f.failed)
	}
}

// Metadata that have come back keep their chunks: those that have not come yet
// are there next time.
func TestPruneKeepsChunksOfWhatCame(t *testing.T) {
	f := newSyncing(t, "a")
	for _, key := range []string{"p/s.zarr/.zarray", "p/s.zarr/0", "p/s.zarr/1"} {
		f.store.Set(key, nil)
	}
	f.before = func() { f.write(t, "s.zarr/.zarray", "") }
	_, pruned, err := f.run(t)
	if err != nil || pruned != (transfer.Pruned{Came: 1, Left: 2}) || len(f.store.Gone()) > 0 {
		t.Errorf("%+v, %v, gone %q", pruned, err, f.store.Gone())
	}
}

// An upload goes on from the mark of a sync that compared nothing but sizes: the
// mark does not pass an object that was replaced by another of the same size.
func TestMarkAfterSizesAlone(t *testing.T) {
	f := newSyncing(t, "a", "b", "c")
	if _, _, err := f.run(t); err != nil {
		t.Fatal(err)
	}
	f.store.Set("p/b", []byte("B"))
	f.write(t, "d", "d")
	f.fail("Put", "p/d", errors.New("no"))
	f.by = transfer.BySize
	if res, _, err := f.run(t); err != nil || res.Failed != 1 || len(f.sent) > 0 {
		t.Fatalf("%+v, %v, sent %q", res, err, f.sent)
	}
	if mark, err := f.j.Mark(); err != nil || mark.All || mark.Merged >= "p/b" {
		t.Errorf("%+v, %v", mark, err)
	}
}

// A reader never finds metadata without chunks: metadata go first, the outer
// before the inner; and where one of them stays, so do all chunks.
func TestPruneZarr(t *testing.T) {
	keys := []string{
		"p/s.zarr/.zgroup", "p/s.zarr/.zmetadata", "p/s.zarr/0", "p/s.zarr/g/.zarray", "p/s.zarr/g/0.0",
		"p/v3/c/0/0", "p/v3/in/c/0", "p/v3/in/zarr.json", "p/v3/zarr.json",
	}
	for _, denied := range []bool{false, true} {
		f := newSyncing(t, "a")
		for _, key := range keys {
			f.store.Set(key, nil)
		}
		if denied {
			f.fail("Delete", "p/v3/in/zarr.json", transfer.ErrDenied)
		}
		_, pruned, err := f.run(t)
		gone := f.store.Gone()
		switch {
		case err != nil:
			t.Fatal(err)
		case denied:
			if pruned != (transfer.Pruned{Deleted: 4, Failed: 1, Left: 4}) {
				t.Errorf("%+v: %q", pruned, gone)
			}
		case !slices.Equal(gone, []string{
			"p/s.zarr/.zgroup", "p/s.zarr/.zmetadata", "p/v3/zarr.json", "p/s.zarr/g/.zarray", "p/v3/in/zarr.json",
			"p/s.zarr/0", "p/s.zarr/g/0.0", "p/v3/c/0/0", "p/v3/in/c/0",
		}):
			t.Errorf("%q", gone)
		}
	}
}

// While something of a Zarr store waits, its old metadata need its old chunks.
func TestSurplusWaitsForZarr(t *testing.T) {
	f := newSyncing(t, "s.zarr/.zarray", "s.zarr/1")
	f.store.Set("p/s.zarr/0", nil)
	f.scan.Later = func(transfer.Stat) string { return "young" }
	if _, _, err := f.run(t); err != nil || !f.surplus.Later() || f.surplus.Objects() != 1 {
		t.Errorf("%v, later %v, %d", err, f.surplus.Later(), f.surplus.Objects())
	}
}

// Two files whose names look the same are two objects, if both are here.
func TestTwinsThatAreTwoFiles(t *testing.T) {
	composed, taken := "é", norm.NFD.String("é")
	f := newSyncing(t, composed, taken)
	if len(f.local(t)) == 2 {
		t.Log("the file system tells them apart")
	}
	entries, err := os.ReadDir(f.dir)
	check(t, err)
	for range 2 {
		f.store.Set("p/other", nil) // an empty store is not asked
		if _, _, err := f.run(t); err != nil || len(f.failed) > 0 {
			t.Fatalf("%v, %q", err, f.failed)
		}
		if got := f.store.Keys(); len(got) != len(entries) {
			t.Errorf("stored %q", got)
		}
	}
}

// A name that is stored in another form is asked for once, and not sent.
func TestTwinIsTheSameFile(t *testing.T) {
	for _, form := range []norm.Form{norm.NFC, norm.NFD} {
		f := newSyncing(t)
		other := map[norm.Form]norm.Form{norm.NFC: norm.NFD, norm.NFD: norm.NFC}[form]
		f.write(t, other.String("Übung/é.tif"), "tif")
		f.store.Set("p/"+form.String("Übung/é.tif"), []byte("tif"))
		asked := 0
		f.store.Fail = func(_ context.Context, op, _ string) error {
			if op == "Stat" {
				asked++
			}
			return nil
		}
		_, pruned, err := f.run(t)
		if err != nil || len(f.sent) > 0 || pruned.Deleted > 0 || len(f.store.Keys()) != 1 {
			t.Errorf("%v, sent %q, %+v, stored %q", err, f.sent, pruned, f.store.Keys())
		}
		// Changed, it replaces that very object.
		f.write(t, other.String("Übung/é.tif"), "changed")
		_, _, err = f.run(t)
		if body, _ := f.store.Body("p/" + form.String("Übung/é.tif")); err != nil || string(body) != "changed" || len(f.store.Keys()) != 1 {
			t.Errorf("%v, %q, stored %q", err, body, f.store.Keys())
		}
		if asked = 0; true {
			_, _, err = f.run(t)
		}
		if err != nil || len(f.sent) > 0 || asked != 1 {
			t.Errorf("%v, sent %q, asked %d times", err, f.sent, asked)
		}
	}
}
