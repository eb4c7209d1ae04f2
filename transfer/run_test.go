package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
	"agent/transfer/storetest"
)

// disk is files in memory.
type disk struct {
	mu     sync.Mutex
	bodies map[string]string        // by path
	stats  map[string]transfer.Stat // where it is not statOf the body
	moves  map[string]int           // how often a file changes yet while it is read
	opened map[string]int
}

type memFile struct {
	*bytes.Reader
	d    *disk
	path string
}

func newDisk(bodies map[string]string) *disk {
	return &disk{bodies: bodies, stats: map[string]transfer.Stat{}, moves: map[string]int{}, opened: map[string]int{}}
}

func (d *disk) open(path string) (transfer.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened[path]++
	body, ok := d.bodies[path]
	if !ok {
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	return memFile{bytes.NewReader([]byte(body)), d, path}, nil
}

func (d *disk) stat(path string) transfer.Stat {
	if st, ok := d.stats[path]; ok {
		return st
	}
	return statOf(d.bodies[path])
}

func (f memFile) Close() error { return nil }
func (f memFile) Stat() (transfer.Stat, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.d.stat(f.path), nil
}

func (f memFile) Now() (transfer.Stat, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	st := f.d.stat(f.path)
	if f.d.moves[f.path] > 0 {
		f.d.moves[f.path]--
		st.MTime += 100
	}
	return st, nil
}

// job is a run with everything in memory.
type job struct {
	t     *testing.T
	store *storetest.Memory
	j     *storetest.Journal
	disk  *disk
	o     transfer.RunOptions
	by    transfer.Compare
	since func() time.Time

	mu     sync.Mutex
	events []transfer.Event
	tally  transfer.Tally
}

func newJob(t *testing.T, bodies map[string]string) *job {
	files := map[string]string{}
	for key, body := range bodies {
		files["/"+key] = body
	}
	jb := &job{t: t, store: &storetest.Memory{}, j: &storetest.Journal{}, disk: newDisk(files)}
	jb.o = transfer.RunOptions{Open: jb.disk.open, Found: true, Event: func(e transfer.Event) {
		jb.tally.Add(e)
		jb.mu.Lock()
		defer jb.mu.Unlock()
		jb.events = append(jb.events, e)
	}}
	return jb
}

// entries are the files in key order.
func (jb *job) entries() []transfer.Entry {
	var all []transfer.Entry
	for path, body := range jb.disk.bodies {
		e := entry(path[1:], body)
		e.Item.Stat = jb.disk.stat(path)
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b transfer.Entry) int { return strings.Compare(a.Item.Key, b.Item.Key) })
	return all
}

func (jb *job) plan(ctx context.Context, entries iter.Seq[transfer.Entry]) iter.Seq[transfer.Step] {
	mark, _ := jb.j.Mark()
	if mark.Finished {
		mark = transfer.Mark{}
	}
	return transfer.Plan(ctx, entries, transfer.PlanOptions{Records: jb.j, Store: jb.store, Mark: mark, Event: jb.o.Event, Compare: jb.by, Since: jb.since})
}

func (jb *job) run(entries ...transfer.Entry) (transfer.Result, error) {
	jb.o.Compare = jb.by
	return transfer.Run(jb.t.Context(), jb.plan(jb.t.Context(), slices.Values(entries)), jb.store, jb.j, jb.o)
}

func (jb *job) told(kind transfer.Kind) (keys []string) {
	jb.mu.Lock()
	defer jb.mu.Unlock()
	for _, e := range jb.events {
		if e.Kind == kind {
			keys = append(keys, e.Key)
		}
	}
	return keys
}

func (jb *job) mark() transfer.Mark {
	m, _ := jb.j.Mark()
	return m
}

func TestRunTwice(t *testing.T) {
	jb := newJob(t, map[string]string{"a": "A", "b": "", "c": "C"})
	if res, err := jb.run(jb.entries()...); err != nil || !res.Complete || jb.mark() != (transfer.Mark{All: true, Finished: true}) {
		t.Fatal(res, err, jb.mark())
	}
	jb.store.Delete("b")
	jb.store.Set("c", []byte("X"))
	if res, err := jb.run(jb.entries()...); err != nil || !res.Complete {
		t.Fatal(res, err)
	}
	if jb.store.Puts("a") != 1 || jb.store.Puts("b") != 2 || jb.store.Puts("c") != 2 {
		t.Errorf("sent %v", jb.store.Order())
	}
	if c := jb.tally.Snapshot(); c.FilesFound != 6 || c.FilesDone != 5 || c.FilesThere != 1 || c.Remaining() != 0 || !c.Scanned {
		t.Errorf("%+v", c)
	}
}

func TestRunHoldsFewSteps(t *testing.T) {
	const n = 100_000
	var taken, done int
	var mu sync.Mutex
	steps := func(yield func(transfer.Step) bool) {
		for e := range generate(n, nil) {
			mu.Lock()
			if taken++; taken-done > 1024+2 {
				t.Errorf("%d steps are ahead", taken-done)
			}
			mu.Unlock()
			if !yield(transfer.Step{Entry: e, Action: transfer.Skip}) {
				return
			}
		}
	}
	jb := newJob(t, nil)
	jb.o.Event = func(e transfer.Event) {
		if e.Kind == transfer.There {
			mu.Lock()
			done++
			mu.Unlock()
		}
	}
	res, err := transfer.Run(t.Context(), steps, jb.store, jb.j, jb.o)
	if err != nil || !res.Complete || done != n {
		t.Errorf("%+v, %v, %d done", res, err, done)
	}
	if jb.j.Changes() > n/1000+2 {
		t.Errorf("%d changes of the journal", jb.j.Changes())
	}
}

func TestRunOpensFewFiles(t *testing.T) {
	limits := transfer.RunOptions{Items: 10, Large: 3, Size: 50}
	openAtOnce(t, limits, 10, 3)
	// As few as keep five lanes busy: large ones are of three parts.
	limits.Items, limits.Large, limits.Lanes = 256, 32, func() int { return 5 }
	openAtOnce(t, limits, 40, 4)
	limits.Lanes = func() int { return 1 }
	openAtOnce(t, limits, 32, 2)
}

// openAtOnce checks how many items are open at the most within limits, and
// exactly how many large ones.
func openAtOnce(t *testing.T, limits transfer.RunOptions, items, larges int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		bodies := map[string]string{}
		for i := range 100 {
			bodies[fmt.Sprintf("%03d", i)] = strings.Repeat("x", 1+i%2*100)
		}
		jb := newJob(t, bodies)
		jb.o.Items, jb.o.Large, jb.o.Size, jb.o.Lanes = limits.Items, limits.Large, limits.Size, limits.Lanes
		var open, large, most, mostLarge int
		var mu sync.Mutex
		jb.store.Fail = func(_ context.Context, op, key string) error {
			if !strings.HasPrefix(op, "Put") {
				return nil
			}
			big := 0
			if len(jb.disk.bodies["/"+key]) > 50 {
				big = 1
			}
			d := 1
			if op == "Put done" {
				d = -1
			} else {
				defer time.Sleep(time.Second)
			}
			mu.Lock()
			defer mu.Unlock()
			open, large = open+d, large+d*big
			most, mostLarge = max(most, open), max(mostLarge, large)
			return nil
		}
		if res, err := jb.run(jb.entries()...); err != nil || !res.Complete || most > items || mostLarge != larges {
			t.Errorf("%+v, %v: %d open, %d of them large", res, err, most, mostLarge)
		}
	})
}

func TestRunGoesOnWhenOneFails(t *testing.T) {
	jb := newJob(t, map[string]string{"a": "A", "b": "B", "c": "C"})
	entries := jb.entries()
	delete(jb.disk.bodies, "/b")
	entries = slices.Insert(entries, 1, transfer.Entry{Item: transfer.Item{Key: "a2/", Path: "/a2"}, Err: &transfer.Error{Op: "read", Err: os.ErrPermission}})
	res, err := jb.run(entries...)
	if err != nil || res.Failed != 2 || res.Left != 0 || res.Complete || !slices.Equal(jb.store.Keys(), []string{"a", "c"}) {
		t.Errorf("%+v, %v, %v", res, err, jb.store.Keys())
	}
	if m := jb.mark(); m.Finished {
		t.Errorf("%+v", m)
	}
}

func TestRunStopsAtAFatalError(t *testing.T) {
	for _, cause := range []error{transfer.ErrRefused, transfer.ErrUnreachable, transfer.ErrCredentials, transfer.ErrLocal} {
		bodies := map[string]string{}
		for i := range 50 {
			bodies[fmt.Sprintf("%03d", i)] = "x"
		}
		jb := newJob(t, bodies)
		jb.o.Items = 1
		jb.store.Fail = func(_ context.Context, op, key string) error {
			if op == "Put" && key >= "010" {
				return cause
			}
			return nil
		}
		res, err := jb.run(jb.entries()...)
		if !errors.Is(err, cause) || res.Complete || res.Left == 0 || res.Failed != 0 || len(jb.store.Keys()) != 10 {
			t.Errorf("%+v, %v, %d stored", res, err, len(jb.store.Keys()))
		}
		if m := jb.mark(); m.All || m.Finished || m.Merged >= "010" {
			t.Errorf("mark %+v", m)
		}
	}
}

func TestRunStopsAtABrokenPlan(t *testing.T) {
	jb := newJob(t, map[string]string{"a": "A"})
	jb.store.Fail = func(_ context.Context, op, _ string) error {
		if op == "List" {
			return transfer.ErrUnreachable
		}
		return nil
	}
	if res, err := jb.run(jb.entries()...); !errors.Is(err, transfer.ErrUnreachable) || res.Complete || jb.mark().All {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	jb := newJob(t, map[string]string{"a": "A", "b": "B"})
	ctx, cancel := context.WithCancel(t.Context())
	jb.store.Fail = func(ctx context.Context, op, _ string) error {
		if op != "Put" {
			return nil
		}
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	res, err := transfer.Run(ctx, jb.plan(ctx, slices.Values(jb.entries())), jb.store, jb.j, jb.o)
	if !errors.Is(err, context.Canceled) || res.Complete || res.Failed != 0 || len(jb.told(transfer.Failed)) != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A stop lets what is in flight finish, also when the plan notices it first.
func TestStopFinishesWhatIsInFlight(t *testing.T) {
	for _, planStops := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			jb := newJob(t, map[string]string{"a": "A", "b": "B", "c": "C"})
			stop := make(chan struct{})
			jb.o.Stop, jb.o.Items = stop, 1
			jb.store.Fail = func(ctx context.Context, op, _ string) error {
				if op == "Put" {
					select {
					case <-time.After(time.Minute):
					case <-ctx.Done():
						t.Error("what was in flight was killed")
					}
				}
				return nil
			}
			steps := func(yield func(transfer.Step) bool) {
				for s := range jb.plan(t.Context(), slices.Values(jb.entries())) {
					if s.Item.Key == "c" && planStops {
						<-stop
						yield(transfer.Step{Entry: transfer.Entry{Err: &transfer.Error{Op: "List", Err: transfer.ErrStopped}}})
						return
					}
					if !yield(s) {
						return
					}
				}
			}
			time.AfterFunc(time.Second, func() { close(stop) })
			res, err := transfer.Run(t.Context(), steps, jb.store, jb.j, jb.o)
			if !errors.Is(err, transfer.ErrStopped) || res.Failed != 0 || res.Complete {
				t.Errorf("%+v, %v", res, err)
			}
			if _, ok := jb.store.Body("a"); !ok {
				t.Error("what was in flight is not stored")
			}
			jb.store.Fail, jb.o.Stop = nil, nil
			if res, err := jb.run(jb.entries()...); err != nil || !res.Complete || jb.store.Puts("a") != 1 || len(jb.store.Keys()) != 3 {
				t.Errorf("resumed: %+v, %v, %v", res, err, jb.store.Order())
			}
		})
	}
}
