package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// cut ends a run at one of its steps: when a call of the store or of the journal is
// begun or done, or an event tells of something.
type cut struct {
	mu    sync.Mutex
	steps int
	at    int    // from 1; 0 is never
	end   func() // what is done then
}

func (c *cut) step() {
	c.mu.Lock()
	c.steps++
	now := c.steps == c.at
	c.mu.Unlock()
	if now {
		c.end()
	}
}

// place is where a transfer goes on: all that is left of a run when it has ended.
type place struct {
	dir   string // of the files
	store *storetest.Memory
	j     *storetest.Journal
}

// running is one run in a place, with a step in all that it calls.
type running struct {
	*place
	*cut
	ctx  context.Context
	stop chan struct{}
	temp string
}

func (r *running) journal() storetest.JobJournal {
	return &storetest.FaultyJournal{Next: r.j, Hook: func(int, string, string, bool) error { r.step(); return nil }}
}

func (r *running) options() transfer.RunOptions {
	return transfer.RunOptions{Items: 4, Event: func(transfer.Event) { r.step() }, Stop: r.stop, Compare: transfer.ByTime}
}

func (r *running) source() transfer.Source {
	return transfer.Source{Path: r.dir, Prefix: "p/", Dir: true}
}

// leakFiles are what is moved.
func leakFiles() map[string]string {
	files := map[string]string{"z.zarr/.zarray": "{}", "z.zarr/0.0": "chunk", "z.zarr/0.1": "chunk two", "empty": "", "large": string(make([]byte, 5500))}
	for i := range 6 {
		files[fmt.Sprintf("d/%d", i)] = fmt.Sprint("file ", i)
	}
	return files
}

func (r *running) upload() error {
	entries := transfer.Scan(r.ctx, []transfer.Source{r.source()}, transfer.ScanOptions{})
	steps := transfer.Plan(r.ctx, entries, transfer.PlanOptions{Records: r.journal(), Store: r.store, Prefix: "p/", Event: r.options().Event})
	res, err := transfer.Run(r.ctx, steps, r.store, r.journal(), r.options())
	return whole(res, err)
}

func whole(res transfer.Result, err error) error {
	if err == nil && !res.Complete {
		err = fmt.Errorf("not complete: %+v", res)
	}
	return err
}

// syncUp has surplus objects to delete, too.
func (r *running) syncUp() error {
	surplus := transfer.NewSurplus(transfer.SurplusOptions{Source: r.source(), Dir: r.temp})
	defer surplus.Close()
	entries := transfer.Scan(r.ctx, []transfer.Source{r.source()}, transfer.ScanOptions{})
	steps := transfer.Plan(r.ctx, entries, transfer.PlanOptions{Records: r.journal(), Store: r.store, Prefix: "p/",
		Event: r.options().Event, Compare: transfer.ByTime, Surplus: surplus})
	res, err := transfer.Run(r.ctx, steps, r.store, r.journal(), r.options())
	if err = whole(res, err); err != nil {
		return err
	}
	if why := surplus.Doubt(); why != "" {
		return errors.Join(errors.New(why), context.Cause(r.ctx))
	}
	_, err = transfer.Prune(r.ctx, surplus, r.store, r.journal(), transfer.PruneOptions{Event: r.options().Event, Batch: 2, Stop: r.stop})
	return err
}

func (r *running) download() error { return r.fetch(nil) }

// syncDown has files to delete, too.
func (r *running) syncDown() (err error) {
	names, err := transfer.NewNameList(r.temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, names.Close()) }()
	return r.fetch(names)
}

func (r *running) fetch(names *transfer.NameList) (err error) {
	target, err := transfer.OpenTarget(r.dir, "job")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	o := transfer.DownloadOptions{RunOptions: r.options(), Target: target, PartSize: 1000, Parallel: 2, Existing: transfer.Replace, Names: names, Straight: names != nil}
	steps := transfer.PlanDownload(r.ctx, r.store, []transfer.Remote{{Key: "p/", Dir: true}}, r.journal(), o)
	res, err := transfer.Download(r.ctx, steps, r.store, r.journal(), o)
	if err = whole(res, err); err != nil || names == nil {
		return err
	}
	failed, err := transfer.Sweep(r.ctx, target, names, transfer.SweepOptions{Journal: r.journal(), Dir: r.temp, Prefix: "p/",
		Event: o.Event, Stop: r.stop, Allow: func(int64, int64) bool { return true }})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d were not deleted", failed)
	}
	return err
}

// fetched is the store with what verify may ask of it beside.
type fetched struct{ *storetest.Memory }

func (f fetched) Inspect(ctx context.Context, key string) (transfer.Stored, error) {
	st, err := f.Memory.Inspect(ctx, key)
	if key == "p/d/1" {
		st.Sums, st.ETag = nil, `"opaque-1"` // only its bytes tell
	}
	return st, err
}

func (f fetched) GetWhole(ctx context.Context, key, _ string, size int64, w io.Writer) error {
	obj, err := f.Stat(ctx, key)
	if err != nil {
		return err
	}
	body, _ := f.Body(key)
	if int64(len(body)) != size || obj.CRC64 != checksum.Sum64(body) {
		return transfer.ErrChanged
	}
	_, err = w.Write(body)
	return err
}

func (r *running) verify() error {
	different := 0
	entries := transfer.Scan(r.ctx, []transfer.Source{r.source()}, transfer.ScanOptions{})
	err := transfer.Verify(r.ctx, transfer.Claims(entries), fetched{r.store}, transfer.VerifyOptions{Prefix: "p/", Download: true, Asking: 4, Reading: 2,
		Stop: r.stop, Found: func(f transfer.Finding) {
			if r.step(); f.Verdict != transfer.Same {
				different++
			}
		}})
	if err == nil && different > 0 {
		err = fmt.Errorf("%d differ", different)
	}
	return err
}

// open is how many descriptors this process has, where that can be told.
func openDescriptors() int {
	all, _ := os.ReadDir("/proc/self/fd")
	return len(all)
}

// TestCutAnywhere proves that a run of any kind, that is ended or stopped at any of
// its steps, leaves no goroutine and no open file behind, and that the next run ends
// with everything where it should be.
func TestCutAnywhere(t *testing.T) { cutAnywhere(t, 5) }

// cutAnywhere looks at one of so many steps, at others each time.
func cutAnywhere(t *testing.T, oneOf int) {
	for name, do := range map[string]func(*running) error{
		"upload": (*running).upload, "sync up": (*running).syncUp, "download": (*running).download, "sync down": (*running).syncDown, "verify": (*running).verify,
	} {
		t.Run(name, func(t *testing.T) {
			first := &cut{}
			if err := do(prepare(t, name).begin(t, first, false)); err != nil {
				t.Fatal(err)
			}
			if first.steps < 12 {
				t.Fatalf("%d steps", first.steps)
			}
			from := 1 + rand.IntN(oneOf)
			t.Logf("%d steps, from %d", first.steps, from)
			for at := from; at <= first.steps; at += oneOf {
				for _, stop := range []bool{false, true} {
					cutOnce(t, name, do, at, stop)
				}
			}
		})
	}
}

// cutOnce ends one run at a step, and lets another go on from there.
func cutOnce(t *testing.T, name string, do func(*running) error, at int, stop bool) {
	t.Helper()
	when := fmt.Sprintf("step %d, stopped: %v", at, stop)
	p := prepare(t, name)
	before, files := goleak.IgnoreCurrent(), openDescriptors()
	err := do(p.begin(t, &cut{at: at}, stop))
	if leak := goleak.Find(before); leak != nil {
		t.Fatalf("%s: %v", when, leak)
	}
	if n := openDescriptors(); n != files {
		t.Fatalf("%s: %d open files became %d", when, files, n)
	}
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, transfer.ErrStopped) {
		t.Errorf("%s: it ended with %v", when, err)
	}
	if err := do(p.begin(t, &cut{}, false)); err != nil {
		t.Fatalf("%s: the next run ended with %v", when, err)
	}
	p.check(t, when)
}

// prepare makes what the runs of one kind start from.
func prepare(t *testing.T, name string) *place {
	t.Helper()
	p := &place{dir: t.TempDir(), store: &storetest.Memory{}, j: &storetest.Journal{}}
	up := name == "upload" || name == "sync up"
	for file, body := range leakFiles() {
		if !up {
			p.store.Set("p/"+file, []byte(body))
		}
		if up || name == "verify" {
			p.write(t, file, body)
		}
	}
	switch name {
	case "sync up":
		for _, key := range []string{"p/gone/1", "p/gone/2", "p/z.zarr/0.2"} {
			p.store.Set(key, []byte("gone"))
		}
	case "sync down":
		for _, file := range []string{"gone/1", "gone/2", "d/gone"} {
			p.write(t, file, "gone")
		}
	}
	return p
}

func (p *place) write(t *testing.T, name, body string) {
	t.Helper()
	path := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(body), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// begin is a run of which c is told each step; stop: it is to be stopped, else ended.
func (p *place) begin(t *testing.T, c *cut, stop bool) *running {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r := &running{place: p, cut: c, ctx: ctx, stop: make(chan struct{}), temp: t.TempDir()}
	if c.end = cancel; stop {
		c.end = func() { close(r.stop) }
	}
	p.store.Fail = func(context.Context, string, string) error { c.step(); return nil }
	return r
}

// check holds both sides against what they should be.
func (p *place) check(t *testing.T, when string) {
	t.Helper()
	want := leakFiles()
	local := map[string]string{}
	err := filepath.WalkDir(p.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(p.dir, path)
		local[filepath.ToSlash(name)] = string(b)
		return err
	})
	remote := map[string]string{}
	for _, key := range p.store.Keys() {
		body, _ := p.store.Body(key)
		remote[key[len("p/"):]] = string(body)
	}
	if err != nil || !maps.Equal(local, want) || !maps.Equal(remote, want) {
		t.Errorf("%s: here are %q, stored are %q, %v", when, slices.Sorted(maps.Keys(local)), slices.Sorted(maps.Keys(remote)), err)
	}
}
