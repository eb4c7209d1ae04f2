package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"agent/transfer"
	"agent/transfer/storetest"
)

// fetching is a download from a store in memory to a directory.
type fetching struct {
	store    storetest.Memory
	journal  storetest.Journal
	dir      string
	existing transfer.Existing
	failed   map[string]error // by key, of the last run
	there    map[string]string
	ignored  map[string]string
	order    []string // keys, as they were done
	saved    int64
	taken    transfer.Taken
	compare  transfer.Compare
	names    *transfer.NameList
	before   func() // is called before anything is deleted
	since    time.Time

	forgetting error // what the journal says when it is to forget what was deleted
}

func newFetching(t *testing.T) *fetching {
	return &fetching{dir: filepath.Join(t.TempDir(), "outer", "dir")}
}

func (f *fetching) run(t *testing.T, sources ...transfer.Remote) (transfer.Result, error) {
	t.Helper()
	target, err := transfer.OpenTarget(f.dir, "job")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	f.failed, f.there, f.ignored, f.order, f.saved = map[string]error{}, map[string]string{}, map[string]string{}, nil, 0
	events := make(chan transfer.Event, 10_000)
	o := transfer.DownloadOptions{Target: target, Taken: f.taken, Existing: f.existing, Names: f.names, Straight: f.names != nil, PartSize: 1000, Parallel: 2, Since: f.since,
		RunOptions: transfer.RunOptions{Compare: f.compare, Event: func(e transfer.Event) { events <- e }}}
	steps := transfer.PlanDownload(t.Context(), &f.store, sources, &f.journal, o)
	res, err := transfer.Download(t.Context(), steps, &f.store, &f.journal, o)
	close(events)
	for e := range events {
		switch e.Kind {
		case transfer.Failed:
			f.failed[e.Key] = e.Err
		case transfer.There:
			f.there[e.Key] = e.Text
		case transfer.Ignored:
			f.ignored[e.Key] = e.Text
		case transfer.Done:
			f.order = append(f.order, e.Key)
		case transfer.Saved:
			f.saved += e.Bytes
		}
	}
	return res, err
}

// files are the paths below dir, and the bodies of those that are files.
func (f *fetching) files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			found[name+"/"] = ""
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			found[name] = ""
			return nil
		}
		b, err := os.ReadFile(path)
		found[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var below = transfer.Remote{Key: "p/", Dir: true}

// TestHostileListing proves that no key writes outside the directory, and that
// each that can't be a file is a named failure while the others are fetched.
func TestHostileListing(t *testing.T) {
	f := newFetching(t)
	bad := []string{
		"p/../up", "p/a/../../../up", "p/..", "p//etc/x", "p/x//y", "p/./dot", "p/nul\x00byte", "p/in/nul\x00/x",
		"p/" + strings.Repeat("n", 256), "p/" + strings.Repeat("n", 256) + "/x", "p/both/below", "p/both/", "p/both/deep/er",
		"p/x.agent-part", "p/bytes/", "p/link/escaped", "p/link/deep/escaped",
	}
	good := map[string]string{
		"p/both": "both", "p/both-": "no conflict", "p/good": "good", "p/" + strings.Repeat("m", 255): "long",
		"p/..dots": "dots", "p/dir/": "", "p/late": "late",
	}
	if os.PathSeparator == '/' {
		for _, key := range []string{`p/C:\x`, `p/..\up`, "p/CON", "p/line\nbreak"} {
			good[key] = key
		}
	}
	for _, key := range bad {
		f.store.Set(key, []byte("evil"))
	}
	for key, body := range good {
		f.store.Set(key, []byte(body))
	}
	outside := filepath.Join(filepath.Dir(f.dir), "outside")
	for _, dir := range []string{f.dir, outside} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(f.dir, "link")); err != nil {
		t.Fatal(err)
	}

	res, err := f.run(t, below)
	if err != nil || res.Failed != len(bad) || res.Complete {
		t.Errorf("%+v, %v; want %d failures", res, err, len(bad))
	}
	for _, key := range bad {
		if f.failed[key] == nil {
			t.Errorf("%q did not fail", key)
		}
	}
	for key, err := range f.failed {
		if !slices.Contains(bad, key) {
			t.Errorf("%q failed: %v", key, err)
		}
		if !strings.HasPrefix(key, "p/link/") && !errors.Is(err, transfer.ErrPath) {
			t.Errorf("%q: %v", key, err)
		}
	}
	want := map[string]string{"dir/": "", "outside/": "", "./": "", "dir/link": "", "dir/dir/": ""}
	for key, body := range good {
		if !strings.HasSuffix(key, "/") {
			want["dir/"+strings.TrimPrefix(key, "p/")] = body
		}
	}
	if err := os.Remove(filepath.Join(f.dir, "link")); err != nil {
		t.Fatal(err)
	}
	delete(want, "dir/link")
	got := f.files(t, filepath.Dir(f.dir))
	for name, body := range got {
		if b, ok := want[name]; (!ok || b != body) && !strings.HasSuffix(name, "/") {
			t.Errorf("%q was written: %q", name, body)
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%q is missing", name)
		}
	}
	if got["outside/"] != "" || len(f.files(t, outside)) != 1 {
		t.Error("something was written outside")
	}
}

// TestDownloadExisting proves the rules for files that are there already.
func TestDownloadExisting(t *testing.T) {
	type file struct {
		body string
		time time.Duration // before the object's
	}
	for name, c := range map[string]struct {
		file     file
		existing transfer.Existing
		want     string
		fails    bool
		there    string
	}{
		"same size and time":       {file: file{"OBJECT", 0}, want: "OBJECT", there: "of the same size and time"},
		"same bytes":               {file: file{"object", time.Hour}, want: "object", there: "compared, and the same"},
		"other bytes":              {file: file{"OBJECT", time.Hour}, want: "OBJECT", fails: true},
		"other bytes, keep":        {file: file{"OBJECT", time.Hour}, existing: transfer.Keep, want: "OBJECT", there: "kept, though it differs"},
		"other bytes, replace":     {file: file{"OBJECT", time.Hour}, existing: transfer.Replace, want: "object"},
		"other size":               {file: file{"mine", time.Hour}, want: "mine", fails: true},
		"other size, keep":         {file: file{"mine", time.Hour}, existing: transfer.Keep, want: "mine", there: "kept, though it differs"},
		"other size, replace":      {file: file{"mine", time.Hour}, existing: transfer.Replace, want: "object"},
		"other size, time is same": {file: file{"mine", 0}, want: "mine", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFetching(t)
			f.existing = c.existing
			obj := f.store.Set("p/f", []byte("object"))
			write(t, f.dir, "f", c.file.body, obj.Modified.Add(-c.file.time))
			res, err := f.run(t, below)
			if err != nil || (res.Failed > 0) != c.fails || c.fails != errors.Is(f.failed["p/f"], transfer.ErrExists) {
				t.Errorf("%+v, %v, %v", res, err, f.failed)
			}
			if got := f.files(t, f.dir); got["f"] != c.want || len(got) != 2 || f.there["p/f"] != c.there {
				t.Errorf("%v, there: %q", got, f.there)
			}
		})
	}
}

// TestDownloadRemovesWhatWasBegun proves that a run which finds a file to be the
// object removes what one that was cut off had begun to fetch in its place.
func TestDownloadRemovesWhatWasBegun(t *testing.T) {
	f := newFetching(t)
	obj := f.store.Set("p/f", []byte("object"))
	write(t, f.dir, "f", "object", obj.Modified.Add(-time.Hour))
	write(t, f.dir, ".f.632obbm4.agent-part", "ob", obj.Modified)
	write(t, f.dir, ".f.other.agent-part", "ob", obj.Modified) // another job's
	res, err := f.run(t, below)
	if got := f.files(t, f.dir); err != nil || !res.Complete || got["f"] != "object" || len(got) != 3 || got[".f.other.agent-part"] == "" {
		t.Errorf("%+v, %v: %v", res, err, got)
	}
}

func write(t *testing.T, dir, name, body string, mtime time.Time) {
	t.Helper()
	path := filepath.Join(dir, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(body), 0o600), os.Chtimes(path, time.Time{}, mtime))
	if err != nil {
		t.Fatal(err)
	}
}

// TestDownloadRefreshes proves that what a job has fetched follows the store,
// unless somebody has changed it.
func TestDownloadRefreshes(t *testing.T) {
	f := newFetching(t)
	f.store.Set("p/f", []byte("one"))
	f.store.Set("p/g", []byte("one"))
	run := func(failures int) map[string]string {
		t.Helper()
		if res, err := f.run(t, below); err != nil || res.Failed != failures {
			t.Fatalf("%+v, %v, %v", res, err, f.failed)
		}
		return f.files(t, f.dir)
	}
	if got := run(0); got["f"] != "one" {
		t.Errorf("%v", got)
	}
	if run(0); len(f.there) != 2 {
		t.Errorf("there: %v", f.there)
	}
	f.store.Set("p/f", []byte("two"))
	f.store.Set("p/g", []byte("two"))
	write(t, f.dir, "g", "min", time.Unix(1e9, 0))
	if got := run(1); got["f"] != "two" || got["g"] != "min" {
		t.Errorf("%v", got)
	}
}

// TestDownloadKeepsWhatChangedMeanwhile proves that a file of its own, which a job is about
// to replace, is left alone where somebody has changed it, or put something else in its
// place, while the object was fetched.
func TestDownloadKeepsWhatChangedMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		meddle func(t *testing.T, f *fetching)
		want   error
		left   string
	}{
		"rewritten": {func(t *testing.T, f *fetching) { write(t, f.dir, "f", "min", time.Unix(1e9, 0)) }, transfer.ErrExists, "min"},
		"a directory": {func(t *testing.T, f *fetching) {
			if err := errors.Join(os.Remove(filepath.Join(f.dir, "f")), os.Mkdir(filepath.Join(f.dir, "f"), 0o700)); err != nil {
				t.Error(err)
			}
		}, transfer.ErrPath, ""},
	} {
		for _, size := range []int{3, 3500} { // fetched whole, and by ranges
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				f := newFetching(t)
				f.store.Set("p/f", []byte("one"))
				if res, err := f.run(t, below); err != nil || !res.Complete {
					t.Fatalf("%+v, %v, %v", res, err, f.failed)
				}
				f.store.Set("p/f", []byte(strings.Repeat("2", size)))
				var once sync.Once
				f.store.Fail = func(_ context.Context, op, _ string) error {
					if op == "Get" {
						once.Do(func() { c.meddle(t, f) })
					}
					return nil
				}
				res, err := f.run(t, below)
				if got := f.files(t, f.dir)["f"]; err != nil || res.Failed != 1 || !errors.Is(f.failed["p/f"], c.want) || got != c.left {
					t.Errorf("%+v, %v, %v: %.5q is left", res, err, f.failed, got)
				}
			})
		}
	}
}

// TestDownloadedWithoutARecord proves that a file which was fetched by a run that was
// cut off before the journal had it is recorded by the next one, and follows the store.
func TestDownloadedWithoutARecord(t *testing.T) {
	for name, known := range map[string]bool{"never recorded": false, "an older one is recorded": true} {
		t.Run(name, func(t *testing.T) {
			f := newFetching(t)
			f.since = time.Now().Add(-time.Minute)
			run := func(want string) {
				t.Helper()
				res, err := f.run(t, below)
				if got := f.files(t, f.dir)["f"]; err != nil || !res.Complete || got != want {
					t.Fatalf("%+v, %v, %v: %q", res, err, f.failed, got)
				}
			}
			f.store.Set("p/f", []byte("one"))
			run("one")
			old, err := f.journal.Records("f", 1)
			if err != nil {
				t.Fatal(err)
			}
			f.store.Set("p/f", []byte("two"))
			run("two")
			if err := f.journal.Forget("f"); err != nil { // as a kill leaves it
				t.Fatal(err)
			}
			if known {
				if err := f.journal.Done(old[0]); err != nil {
					t.Fatal(err)
				}
			}
			run("two")
			f.store.Set("p/f", []byte("three"))
			run("three")
		})
	}
}

// TestDownloadRefreshesOverCuts proves that a file which a job has fetched is still
// known for its own after runs that were cut off while they replaced it, and no more
// once somebody has changed it.
func TestDownloadRefreshesOverCuts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a file has no number and no change time to be known by")
	}
	f := newFetching(t)
	version := func(n int) string { return strings.Repeat(fmt.Sprint(n), 3000+n) } // four ranges
	set := func(n int) { f.store.Set("p/f", []byte(version(n))) }
	cut := func(after int64) {
		t.Helper()
		var gets atomic.Int64
		f.store.Fail = func(_ context.Context, op, _ string) error {
			if op == "Get" && gets.Add(1) > after {
				return fmt.Errorf("%w: gone", transfer.ErrUnreachable)
			}
			return nil
		}
		if _, err := f.run(t, below); !errors.Is(err, transfer.ErrUnreachable) {
			t.Fatalf("%v, %v", err, f.failed)
		}
		f.store.Fail = nil
	}
	whole := func(n int) {
		t.Helper()
		res, err := f.run(t, below)
		if got := f.files(t, f.dir); err != nil || !res.Complete || got["f"] != version(n) || len(got) != 2 { // and the directory
			t.Fatalf("%+v, %v, %v: %d files, %.1q", res, err, f.failed, len(got), got["f"])
		}
	}
	set(1)
	whole(1)
	set(2)
	cut(2)
	whole(2)
	set(3)
	cut(1)
	set(4) // it is begun anew
	cut(2)
	cut(1)
	whole(4)

	set(5)
	cut(2)
	write(t, f.dir, "f", "mine", time.Unix(1e9, 0))
	if res, err := f.run(t, below); err != nil || res.Failed != 1 || f.files(t, f.dir)["f"] != "mine" {
		t.Errorf("%+v, %v, %v", res, err, f.failed)
	}
}

// TestDownloadResumes proves that ranges which are on the disk are not fetched
// again, and that those are which are damaged there, or which a disk has lost.
func TestDownloadResumes(t *testing.T) {
	t.Run("damaged", func(t *testing.T) {
		f, gets := resumed(t, func(b []byte, first int64) []byte { b[first] ^= 1; return b })
		// The last of four ranges, which is shorter, may have come before the third.
		if f.saved != 2000 && f.saved != 1500 || gets != 2 {
			t.Errorf("%d bytes were there, %d ranges fetched; want two of the three, and 2", f.saved, gets)
		}
	})
	t.Run("cut off", func(t *testing.T) {
		f, gets := resumed(t, func(b []byte, _ int64) []byte { return b[:1] })
		if f.saved != 0 || gets != 4 {
			t.Errorf("%d bytes were there, %d ranges fetched; want none, and 4", f.saved, gets)
		}
	})
}

// resumed is a download of four ranges that was cut off behind three, of which damage
// does something to the file, given where the first of them begins, and that was gone
// on with; and how many ranges were fetched then.
func resumed(t *testing.T, damage func(b []byte, first int64) []byte) (*fetching, int64) {
	t.Helper()
	f := newFetching(t)
	body := []byte(strings.Repeat("0123456789", 350)) // four ranges
	f.store.Set("p/f", body)
	var gets atomic.Int64
	f.store.Fail = func(_ context.Context, op, _ string) error {
		if op == "Get" {
			if gets.Add(1) > 3 {
				return fmt.Errorf("%w: gone", transfer.ErrUnreachable)
			}
		}
		return nil
	}
	if _, err := f.run(t, below); !errors.Is(err, transfer.ErrUnreachable) {
		t.Fatalf("%v", err)
	}
	part := ""
	for name := range f.files(t, f.dir) {
		if strings.HasSuffix(name, ".agent-part") {
			part = name
		}
	}
	path := filepath.Join(f.dir, part)
	if fi, err := os.Stat(path); err != nil || part == "" || fi.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Fatalf("%q, %v: it is to be there, for its owner only", part, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	up, open, err := f.journal.Upload("f")
	if err != nil || !open || len(up.Parts) != 3 {
		t.Fatalf("%+v, %v: three ranges are to be known", up, err)
	}
	if err := os.WriteFile(path, damage(b, int64(up.Parts[0].Number-1)*up.PartSize), 0o600); err != nil {
		t.Fatal(err)
	}
	gets.Store(0)
	f.store.Fail = func(_ context.Context, op, _ string) error {
		if op == "Get" {
			gets.Add(1)
		}
		return nil
	}
	if res, err := f.run(t, below); err != nil || !res.Complete {
		t.Fatalf("%+v, %v, %v", res, err, f.failed)
	}
	if got := f.files(t, f.dir); got["f"] != string(body) || len(got) != 2 {
		t.Errorf("the file is not the object, or something is left: %d", len(got))
	}
	return f, gets.Load()
}

// TestDownloadSources proves what goes where.
func TestDownloadSources(t *testing.T) {
	f := newFetching(t)
	for _, key := range []string{"a/x/1", "a/x/d/2", "a/x-other/3", "b/x", "b/x/4", "c"} {
		f.store.Set(key, []byte(key))
	}
	for want, sources := range map[string][]transfer.Remote{
		"1 d/2":         {{Key: "a/x"}},
		"x-other/3 x/1": {{Key: "a/x", Keep: true}, {Key: "a/x-other", Keep: true}},
		"x":             {{Key: "b/x"}},
		"4":             {{Key: "b/x/", Dir: true}},
		"c":             {{Key: "c"}},
		"a/x/1 b/x/4":   {{Key: "", Dir: true}},
		"c x-other/3":   {{Key: "a/x-other/", Dir: true, Keep: true}, {Key: "c", Keep: true}},
	} {
		f.dir, f.journal = filepath.Join(t.TempDir(), "d"), storetest.Journal{}
		if _, err := f.run(t, sources...); err != nil {
			t.Fatal(err)
		}
		got := f.files(t, f.dir)
		for name := range strings.SplitSeq(want, " ") {
			if _, ok := got[name]; !ok && (name != "b/x/4" || f.failed["b/x/4"] == nil) {
				t.Errorf("%v: %q is missing among %v", sources, name, got)
			}
		}
	}
	if _, err := f.run(t, transfer.Remote{Key: "nothing"}); err != nil || !errors.Is(f.failed["nothing"], transfer.ErrNotExist) {
		t.Errorf("%v, %v", err, f.failed)
	}
}
