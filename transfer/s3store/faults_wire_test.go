package s3store

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"agent/transfer/storetest"
)

// wire lies between a store and the faults. It counts the bytes of bodies, and
// what became of each request.
type wire struct {
	next storetest.Doer
	had  []string // units that were acknowledged before

	mu   sync.Mutex
	dead bool // the process is: nothing goes out any more
	all  []*passage
	by   map[*http.Request]*passage
}

// passage is one request over the wire.
type passage struct {
	unit  string       // what its body is: an object, a part or a range
	bytes atomic.Int64 // of bodies, both ways
	ok    bool         // it was answered well
	hit   bool         // it met a fault
	lost  bool         // which loses the answer
}

func unitOf(op, path, part string) string { return op + " " + path + " " + part }

// latency of every request; it is what makes a busy loop end.
const wireLatency = 20 * time.Millisecond

// Do implements storetest.Doer.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	time.Sleep(wireLatency)
	q := r.URL.Query()
	p := &passage{unit: unitOf(storetest.OpOf(r), r.URL.Path, q.Get("partNumber")+r.Header.Get("Range"))}
	again := *r
	if r.Body != nil && r.Body != http.NoBody {
		again.Body = &weighed{r.Body, &p.bytes}
	}
	w.mu.Lock()
	if w.dead {
		w.mu.Unlock()
		return nil, errDead
	}
	if w.by == nil {
		w.by = map[*http.Request]*passage{}
	}
	w.all, w.by[&again] = append(w.all, p), p
	w.mu.Unlock()
	resp, err := w.next.Do(&again)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, &again)
	if w.dead {
		return nil, errDead
	}
	if err == nil {
		p.ok = resp.StatusCode < 300 && !p.hit
		if r.Method == http.MethodGet && resp.Body != nil {
			resp.Body = &weighed{resp.Body, &p.bytes}
		}
	}
	return resp, err
}

// met notes that a request suffers.
func (w *wire) met(r *http.Request, kind *faultKind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.by[r]; p != nil {
		p.hit, p.lost = true, kind.loses
	}
}

// loses tells whether the answer to a request will be lost.
func (w *wire) loses(r *http.Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.by[r]
	return p != nil && p.lost
}

// die ends the process: what it has under way is answered to nobody.
func (w *wire) die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = true
}

// framing is the bytes around the parts of a file whose checksums come behind them.
const framing = 3 * 200

// toll is what went over the wire more than once.
type toll struct {
	moved int64 // bytes of bodies, in all
	again int64 // likewise, of what had been acknowledged before
	hit   int64 // of requests that met a fault
	cut   int64 // of requests that ended otherwise: what was under way beside one that failed
}

// toll adds up the requests whose bodies are an object's bytes.
func (w *wire) toll() (t toll) {
	w.mu.Lock()
	defer w.mu.Unlock()
	had := map[string]bool{}
	for _, unit := range w.had {
		had[unit] = true
	}
	for _, p := range w.all {
		op, _, _ := strings.Cut(p.unit, " ")
		if op != opPut && op != opPart && op != opGet {
			continue
		}
		n := p.bytes.Load()
		t.moved += n
		switch {
		case p.hit:
			t.hit += n
		case !p.ok:
			t.cut += n
		case had[p.unit]:
			t.again += n
		default:
			had[p.unit] = true
		}
	}
	return t
}

// weighed is a body whose bytes are counted.
type weighed struct {
	io.ReadCloser
	n *atomic.Int64
}

func (t *weighed) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.n.Add(int64(n))
	return n, err
}
