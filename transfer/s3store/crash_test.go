package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"agent/bench/platform"
	"agent/journal"
	"agent/transfer"
	"agent/transfer/s3store"
	"agent/transfer/storetest"
)

var errCrashed = errors.New("this process is dead")

// process is an upload that dies at one of its steps: from that instant on no
// request of it gets out, and nothing of it becomes durable.
type process struct {
	next   storetest.Doer
	j      *storetest.FaultyJournal
	dir    string // of the journal
	image  string // where the crash leaves the journal
	cancel context.CancelFunc
	crash  step // the zero step does not come

	mu       sync.Mutex
	requests int
	parts    map[string]int // part numbers sent, by upload id and number
	dead     atomic.Bool
	imageErr error
}

// step is an instant between two durable steps.
type step struct {
	journal bool // a call of the journal, else a request
	n       int  // from 1
	after   bool // it was done, but nobody was told
}

func (s step) String() string {
	kind, when := "request", "before"
	if s.journal {
		kind = "journal"
	}
	if s.after {
		when = "after"
	}
	return fmt.Sprintf("%s-%s-%d", when, kind, s.n)
}

// die takes the picture of the journal that a crash would leave.
func (p *process) die() error {
	if !p.dead.Swap(true) {
		p.imageErr = p.takeImage()
		p.cancel()
	}
	return errCrashed
}

// takeImage copies the journal while nothing is being written to it: two
// copies that are the same.
func (p *process) takeImage() error {
	var last []byte
	for range 1000 {
		b, err := os.ReadFile(filepath.Join(p.dir, "journal.db"))
		if err != nil {
			return err
		}
		if last != nil && bytes.Equal(b, last) {
			return os.WriteFile(filepath.Join(p.image, "journal.db"), b, 0o600)
		}
		last = b
	}
	return errors.New("the journal never rested")
}

func (p *process) reach(s step) error {
	switch {
	case p.dead.Load():
		return errCrashed
	case s == p.crash:
		return p.die()
	}
	return nil
}

// Do implements storetest.Doer.
func (p *process) Do(req *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.requests++
	n := p.requests
	p.mu.Unlock()
	if err := p.reach(step{n: n}); err != nil {
		return nil, err
	}
	if q := req.URL.Query(); q.Has("partNumber") {
		p.mu.Lock()
		p.parts[q.Get("uploadId")+" "+q.Get("partNumber")]++
		p.mu.Unlock()
	}
	resp, err := p.next.Do(req)
	if dead := p.reach(step{n: n, after: true}); dead != nil {
		if err == nil {
			_ = resp.Body.Close()
		}
		return nil, dead
	}
	return resp, err
}

func (p *process) hook(n int, _, _ string, after bool) error {
	return p.reach(step{journal: true, n: n, after: after})
}

// crashRig is the data of all runs, and the platform they run against.
type crashRig struct {
	s     *platform.Sandbox
	o     s3store.Options
	http  storetest.Doer
	data  string
	files map[string][]byte
}

const bigFile = "big.nc"

func newCrashRig(t *testing.T, role string) *crashRig {
	s := sandbox(t, role)
	r := &crashRig{s: s, http: client(t), data: t.TempDir(), files: map[string][]byte{
		bigFile: noise(1, 2*partSize+1000), "a.txt": noise(2, 100), "empty": {}, "sub/z.json": noise(3, 70_000),
	}}
	r.o = optionsFor(t, s, r.http)
	r.o.Memory = 1 << 20 // large parts are read twice: 200 processes would make as many buffers
	for name, body := range r.files {
		path := filepath.Join(r.data, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// run makes one process over the journal in dir; crash is the zero step for
// one that lives.
func (r *crashRig) run(t *testing.T, dir, prefix string, crash step, interval time.Duration) (*process, transfer.Result, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	job := journal.NewJob("upload", []string{r.data}, r.s.Endpoint(), r.s.Bucket(), prefix)
	db, err := journal.Open(ctx, dir, job, journal.Options{Interval: interval})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{next: r.http, dir: dir, image: t.TempDir(), cancel: cancel, crash: crash, parts: map[string]int{}}
	o := r.o
	o.HTTP, o.SlowHTTP = p, nil
	store := s3store.New(o)
	p.j = &storetest.FaultyJournal{Next: db, Hook: p.hook}
	mark, err := p.j.Mark()
	if err == nil {
		var res transfer.Result
		scan := transfer.Scan(ctx, []transfer.Source{{Path: r.data, Prefix: prefix, Dir: true}}, transfer.ScanOptions{})
		steps := transfer.Plan(ctx, scan, transfer.PlanOptions{
			Records: p.j, Mark: mark, Store: store, Prefix: prefix, Event: func(transfer.Event) {}})
		res, err = transfer.Run(ctx, steps, store, p.j, transfer.RunOptions{Items: 4})
		if cerr := db.Close(); cerr != nil && err == nil {
			err = cerr
		}
		return p, res, err
	}
	_ = db.Close()
	return p, transfer.Result{}, err
}

// journalled reads which parts of the big file the journal in dir has.
func (r *crashRig) journalled(t *testing.T, dir, prefix string) (sent []string) {
	t.Helper()
	job := journal.NewJob("upload", []string{r.data}, r.s.Endpoint(), r.s.Bucket(), prefix)
	db, err := journal.Open(t.Context(), dir, job, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if d := db.Damage(); d != nil {
		t.Errorf("a crash left the journal damaged: %+v", d)
	}
	up, _, err := db.Upload(prefix + bigFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range up.Parts {
		sent = append(sent, up.ID+" "+strconv.Itoa(int(part.Number)))
	}
	return sent
}

// dieAndResume lets one process die at crash and another go on from there. died is
// false where it had less to do, and durable how many parts the journal had.
func (r *crashRig) dieAndResume(t *testing.T, prefix string, crash step, interval time.Duration) (died bool, durable int) {
	first, _, err := r.run(t, t.TempDir(), prefix, crash, interval)
	if !first.dead.Load() {
		return false, 0
	}
	if first.imageErr != nil || err == nil {
		t.Fatalf("died with %v, image: %v", err, first.imageErr)
	}
	had := r.journalled(t, first.image, prefix)
	second, res, err := r.run(t, first.image, prefix, step{}, 0)
	if err != nil || !res.Complete {
		t.Errorf("resumed: %+v, %v", res, err)
	}
	for _, part := range had {
		if second.parts[part] > 0 {
			t.Errorf("the journal had part %s, and it was sent again", part)
		}
	}
	r.verify(t, prefix)
	return true, len(had)
}

// verify compares all objects with their files, and removes them.
func (r *crashRig) verify(t *testing.T, prefix string) {
	t.Helper()
	witness, err := r.s.Witness()
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range r.files {
		wantStored(t, r.s, prefix+name, body)
		if err := witness.RemoveObject(t.Context(), r.s.Bucket(), prefix+name, minio.RemoveObjectOptions{}); err != nil {
			t.Error(err)
		}
	}
}

func TestCrashBetweenDurableSteps(t *testing.T) {
	for _, role := range []string{"full", "platform"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			r := newCrashRig(t, role)
			prefix := storetest.Workspace + "crash/"
			alive, res, err := r.run(t, t.TempDir(), prefix+"none/", step{}, time.Millisecond)
			if err != nil || !res.Complete {
				t.Fatalf("without a crash: %+v, %v", res, err)
			}
			r.verify(t, prefix+"none/")
			var steps []step
			for n := range alive.requests {
				steps = append(steps, step{n: n + 1}, step{n: n + 1, after: true})
			}
			for n := range alive.j.Calls() {
				steps = append(steps, step{true, n + 1, false}, step{true, n + 1, true})
			}
			reached, durable := r.crashAt(t, prefix, steps)
			t.Logf("%d of %d crash points were reached, %d of them with parts in the journal", reached, len(steps), durable)
			if reached < 30 || reached*10 < len(steps)*9 || durable < 5 {
				t.Errorf("only %d of %d crash points were reached, %d with parts in the journal", reached, len(steps), durable)
			}
		})
	}
}

func (r *crashRig) crashAt(t *testing.T, prefix string, steps []step) (reached, durable int) {
	for i, s := range steps {
		// Every third process loses what it had queued, too.
		interval := time.Millisecond
		if i%3 == 0 {
			interval = time.Hour
		}
		t.Run(s.String(), func(t *testing.T) {
			died, parts := r.dieAndResume(t, fmt.Sprintf("%s%d/", prefix, i), s, interval)
			if died {
				reached++
			}
			if parts > 0 {
				durable++
			}
		})
	}
	return reached, durable
}
