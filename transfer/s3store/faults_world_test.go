package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agent/creds"
	"agent/journal"
	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

const (
	faultPrefix = "ws/data/"
	faultBig    = "big.nc"
	faultBucket = "b"
)

// faultFiles are what all cases move.
var faultFiles = sync.OnceValue(func() map[string][]byte {
	files := map[string][]byte{"empty": {}}
	for name, size := range map[string]int{
		faultBig: 2*MinPartSize + 1600, "a.txt": 100, "sub/z.json": 70_000,
		"s.zarr/.zarray": 300, "s.zarr/0.0": 2000, "s.zarr/0.1": 2000,
	} {
		files[name] = madeUp(name, size)
	}
	return files
})

// madeUp is n bytes that depend on name alone.
func madeUp(name string, n int) []byte {
	var seed [32]byte
	h := fnv.New64a()
	h.Write([]byte(name))
	h.Sum(seed[:0])
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

// faultDir writes the files, for uploads to read and nobody to change.
func faultDir(t testing.TB) string {
	dir := t.TempDir()
	for name, body := range faultFiles() {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// world is one case: a store, a directory and a journal on disk, over all runs.
type world struct {
	t       *testing.T
	scene   *scene
	rnd     *rand.Rand
	s3      *depot
	faults  *storetest.Faulty
	wires   []*wire
	dir     string // of the files: read by uploads, filled by downloads
	state   string // of the journal
	next    *image // what a crash has left for the next run; nil where there was none
	journal *storetest.FaultyJournal
	hook    func(call) error // asked at each call of the next run's journal
	end     func()           // ends the present run as a kill does

	had       []string // units that were acknowledged before the first run
	worthless int64    // bytes of them that may have to be sent again

	mu     sync.Mutex
	dead   bool    // the present run is
	failed []error // of items, in the present run
	wrong  []string
}

func newWorld(t *testing.T, sc *scene, source string, rnd *rand.Rand) *world {
	w := &world{t: t, scene: sc, rnd: rnd, s3: &depot{}, dir: source, state: t.TempDir()}
	if sc.down {
		w.dir = t.TempDir()
	}
	w.faults = &storetest.Faulty{Next: w.s3}
	w.s3.fate = fateOf(rnd)
	w.s3.loses = func(r *http.Request) bool { return w.wires[len(w.wires)-1].loses(r) }
	if sc.ready != nil {
		sc.ready(w)
	}
	return w
}

// job is what the journal is about.
func (w *world) job() journal.Job {
	if w.scene.down {
		return journal.NewDownload([]string{"s3://b/" + faultPrefix}, "http://s3.test", faultBucket, faultPrefix, "/down")
	}
	return journal.NewJob("upload", []string{"/source"}, "http://s3.test", faultBucket, faultPrefix)
}

func (w *world) openJournal(ctx context.Context) *journal.DB {
	db, err := journal.Open(ctx, w.state, w.job(), journal.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return db
}

// wronged notes that a promise was broken.
func (w *world) wronged(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, a...))
}

// event holds what is said to be done against what is there at that instant.
func (w *world) event(e transfer.Event) {
	switch e.Kind {
	case transfer.Failed:
		w.mu.Lock()
		w.failed = append(w.failed, e.Err)
		w.mu.Unlock()
	case transfer.Done, transfer.There:
		if why := w.differs(e.Key); why != "" {
			w.wronged("%s is said to be done, and %s", e.Key, why)
		}
		if strings.HasSuffix(e.Key, "/.zarray") {
			for _, chunk := range []string{"0.0", "0.1"} {
				if why := w.differs(strings.TrimSuffix(e.Key, ".zarray") + chunk); why != "" {
					w.wronged("%s is there before %s: %s", e.Key, chunk, why)
				}
			}
		}
	case transfer.Deleted:
		if slices.Contains(w.s3.keys(e.Key), e.Key) {
			w.wronged("%s is said to be deleted, and is there", e.Key)
		}
	}
}

// differs says in which way the copy of a file is none; "" where it is one.
func (w *world) differs(key string) string {
	want, ok := faultFiles()[strings.TrimPrefix(key, faultPrefix)]
	if !ok {
		return "nobody has such a file"
	}
	got := w.s3.object(key)
	if w.scene.down {
		var err error
		if got, err = os.ReadFile(filepath.Join(w.dir, filepath.FromSlash(strings.TrimPrefix(key, faultPrefix)))); err != nil {
			return err.Error()
		}
	} else if got == nil && !slices.Contains(w.s3.keys(key), key) {
		return "there is no such object"
	}
	if !bytes.Equal(got, want) {
		return fmt.Sprintf("its %d bytes are not the file's %d", len(got), len(want))
	}
	return ""
}

// ended is how a run ended.
type ended struct {
	class string // see classOf
	text  string // of all errors
	errs  []error
}

// classOf names the end of a run by what the program would exit with.
func classOf(err error, failed []error) string {
	for _, c := range []struct {
		is   error
		name string
	}{
		{errDead, "killed"}, {transfer.ErrCredentials, "credentials"}, {transfer.ErrUnreachable, "unreachable"},
		{transfer.ErrRefused, "refused"}, {transfer.ErrStopped, "stopped"}, {transfer.ErrLocal, "local"}, {context.Canceled, "killed"},
	} {
		if errors.Is(err, c.is) {
			return c.name
		}
	}
	if err != nil || len(failed) > 0 {
		return "files"
	}
	return "done"
}

// run is one process: a store, credentials and a journal of its own, over what
// the last one has left.
func (w *world) run() ended {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	line := &wire{next: w.faults}
	w.wires, w.failed, w.dead = append(w.wires, line), nil, false
	w.end = func() {
		line.die()
		w.takeImage()
		cancel()
	}
	provider := creds.New(creds.Options{Sources: []creds.Source{&issuer{}}})
	defer provider.Close()
	o := Options{
		Bucket: faultBucket, Prefix: faultPrefix, Region: "r", Endpoint: "http://s3.test", Credentials: provider, HTTP: line,
		Parallel: 4, PartSize: MinPartSize, Memory: 32 << 20, Event: w.event, Seed: locked(w.rnd.Uint64()),
		Patience: 24 * time.Hour, FirstPatience: time.Minute, KeyPatience: 24 * time.Hour,
	}
	if w.rnd.IntN(2) == 0 {
		o.Memory = 1 << 20 // parts are read twice instead of held
	}
	db := w.openJournal(ctx)
	w.journal = &storetest.FaultyJournal{Next: db, Hook: w.atCall}
	err := w.scene.run(ctx, w, New(o), w.journal)
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if w.next != nil {
		w.state, w.dir, w.next = w.next.state, w.next.dir, nil
	}
	e := ended{errs: w.failed}
	e.class = classOf(err, w.failed)
	if err != nil {
		e.errs = append(e.errs, err)
	}
	for _, err := range e.errs {
		e.text += err.Error() + "\n"
	}
	return e
}

// locked is a random source for many goroutines.
func locked(seed uint64) func() float64 {
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(seed, 1))
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return rnd.Float64()
	}
}

// inspect holds the journal that a run has left against what is there. whole:
// the run was to end with everything done.
func (w *world) inspect(whole bool) {
	db := w.openJournal(w.t.Context())
	defer db.Close()
	if d := db.Damage(); d != nil {
		w.wronged("the journal is damaged: %+v", d)
	}
	recs, err := db.Records("", 1000)
	if err != nil {
		w.wronged("the journal: %v", err)
	}
	for _, rec := range recs {
		key := rec.Key
		if w.scene.down {
			key = faultPrefix + rec.Key
		}
		switch why := w.differs(key); {
		case rec.Doubtful(): // it says nothing of what is there
			if whole {
				w.wronged("at the end the journal doubts %s", rec.Key)
			}
		case why != "":
			w.wronged("the journal has %s, and %s", rec.Key, why)
		case rec.CRC64 != checksum.Sum64(faultFiles()[strings.TrimPrefix(key, faultPrefix)]):
			w.wronged("the journal has another checksum of %s", rec.Key)
		}
	}
	if !whole {
		return
	}
	if open := db.Uploads(); len(open) > 0 || len(recs) != len(faultFiles()) {
		w.wronged("at the end the journal has %d records and the open uploads %q", len(recs), open)
	}
	for name := range faultFiles() {
		if why := w.differs(faultPrefix + name); why != "" {
			w.wronged("at the end, of %s: %s", name, why)
		}
	}
	if w.scene.down {
		w.noLitter()
	} else if keys := w.s3.keys(faultPrefix); len(keys) != len(faultFiles()) {
		w.wronged("at the end the store holds %q", keys)
	}
}

// noLitter sees that a download has left nothing but the files.
func (w *world) noLitter() {
	n := 0
	err := filepath.WalkDir(w.dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil || n != len(faultFiles()) {
		w.wronged("the directory has %d files at the end, %v", n, err)
	}
}

// toll is that of all runs together: what one has got acknowledged, the next is
// not to send again.
func (w *world) toll() toll {
	all := &wire{had: w.had}
	for _, l := range w.wires {
		all.all = append(all.all, l.all...)
	}
	return all.toll()
}
