package s3store

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// depot is a fakeS3 that holds everything against the checksums and ETags that
// come with it, as a real store does, and also gives objects out and deletes them.
type depot struct {
	fakeS3
	noBatch bool // DeleteObjects is denied
}

// Do implements storetest.Doer.
func (d *depot) Do(r *http.Request) (*http.Response, error) {
	op := storetest.OpOf(r)
	switch op {
	case opPut, opPart, opComplete, opDeleteAll:
		var body []byte
		var err error
		if r.Body != nil {
			if body, err = io.ReadAll(r.Body); err != nil {
				return nil, err
			}
		}
		if int64(len(body)) != r.ContentLength {
			return nil, io.ErrUnexpectedEOF
		}
		if bad := d.compare(r, op, body); bad != nil {
			return bad, nil
		}
		again := *r
		again.Body = io.NopCloser(bytes.NewReader(body))
		r = &again
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	switch op {
	case opComplete, opGet, opDelete, opDeleteAll:
		resp := d.own(r, op, strings.TrimPrefix(r.URL.Path, "/b/"))
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		return resp, nil
	}
	return d.fakeS3.Do(r)
}

func (d *depot) own(r *http.Request, op, key string) *http.Response {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch op {
	case opComplete:
		return d.complete(r, key)
	case opGet:
		return d.get(r, key)
	case opDeleteAll:
		return d.deleteAll(r)
	}
	delete(d.objects, key)
	return storetest.Response(r, http.StatusNoContent, "", "")
}

// compare refuses a body that has not the checksum before it.
func (d *depot) compare(r *http.Request, op string, body []byte) *http.Response {
	if op != opPut && op != opPart {
		return nil
	}
	sum := r.Header.Get("X-Amz-Checksum-Crc64nvme")
	if sum != "" && sum != checksum.Encode64(checksum.Sum64(body)) {
		return refusal(r, http.StatusBadRequest, "BadDigest")
	}
	return nil
}

// completion is the body of CompleteMultipartUpload.
type completion struct {
	Part []struct {
		PartNumber        int
		ETag              string
		ChecksumCRC64NVME string
	}
}

// complete makes an object of the parts that are named, if it has these very
// ones. The caller holds mu.
func (d *depot) complete(r *http.Request, key string) *http.Response {
	id := r.URL.Query().Get("uploadId")
	parts, open := d.uploads[id]
	if !open {
		return refusal(r, http.StatusNotFound, "NoSuchUpload")
	}
	var c completion
	if err := xml.NewDecoder(r.Body).Decode(&c); err != nil {
		return refusal(r, http.StatusBadRequest, "MalformedXML")
	}
	var whole []byte
	for i, p := range c.Part {
		b, ok := parts[fmt.Sprint(p.PartNumber)]
		switch {
		case p.PartNumber != i+1:
			return refusal(r, http.StatusBadRequest, "InvalidPartOrder")
		case !ok, bare(p.ETag) != bare(strings.ReplaceAll(etagOf(b), "&quot;", "")):
			return refusal(r, http.StatusBadRequest, "InvalidPart")
		case p.ChecksumCRC64NVME != "" && p.ChecksumCRC64NVME != checksum.Encode64(checksum.Sum64(b)):
			return refusal(r, http.StatusBadRequest, "BadDigest")
		}
		whole = append(whole, b...)
	}
	sum := checksum.Encode64(checksum.Sum64(whole))
	if want := r.Header.Get("X-Amz-Checksum-Crc64nvme"); want != "" && want != sum {
		return refusal(r, http.StatusBadRequest, "BadDigest")
	}
	d.objects[key] = whole
	delete(d.uploads, id)
	return good(r, "<CompleteMultipartUploadResult><ETag>"+etagOf(whole)+"</ETag><ChecksumCRC64NVME>"+sum+
		"</ChecksumCRC64NVME></CompleteMultipartUploadResult>")
}

// get gives out an object or a range of it. The caller holds mu.
func (d *depot) get(r *http.Request, key string) *http.Response {
	b, ok := d.objects[key]
	etag := `"` + strings.ReplaceAll(etagOf(b), "&quot;", "") + `"`
	switch im := r.Header.Get("If-Match"); {
	case !ok:
		return refusal(r, http.StatusNotFound, "NoSuchKey")
	case im != "" && bare(im) != bare(etag):
		return refusal(r, http.StatusPreconditionFailed, "PreconditionFailed")
	}
	resp := storetest.Response(r, http.StatusOK, "application/octet-stream", "")
	if rng := r.Header.Get("Range"); rng != "" {
		var from, to int
		if _, err := fmt.Sscanf(rng, "bytes=%d-%d", &from, &to); err != nil || to >= len(b) {
			return refusal(r, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
		}
		resp.StatusCode = http.StatusPartialContent
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(b)))
		b = b[from : to+1]
	} else {
		resp.Header.Set("X-Amz-Checksum-Crc64nvme", checksum.Encode64(checksum.Sum64(b)))
	}
	resp.Header.Set("ETag", etag)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	resp.Header.Set("Content-Length", fmt.Sprint(len(b)))
	return resp
}

// deleteAll is DeleteObjects. The caller holds mu.
func (d *depot) deleteAll(r *http.Request) *http.Response {
	if d.noBatch {
		return refusal(r, http.StatusForbidden, "AccessDenied")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return refusal(r, http.StatusBadRequest, "IncompleteBody")
	}
	var b strings.Builder
	for _, m := range inDelete.FindAllStringSubmatch(string(body), -1) {
		delete(d.objects, m[1])
		fmt.Fprintf(&b, "<Deleted><Key>%s</Key></Deleted>", m[1])
	}
	return good(r, "<DeleteResult>"+b.String()+"</DeleteResult>")
}

// put stores an object as somebody else would.
func (d *depot) put(key string, body []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.objects == nil {
		d.objects, d.uploads = map[string][]byte{}, map[string]map[string][]byte{}
	}
	d.objects[key] = body
}

// begin opens an upload that has these parts already.
func (d *depot) begin(id string, parts ...[]byte) {
	d.put("other/object", nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.uploads[id] = map[string][]byte{}
	for i, b := range parts {
		d.uploads[id][fmt.Sprint(i+1)] = b
	}
}

// keys are those of all objects below prefix.
func (d *depot) keys(prefix string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d.objects)), func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// wire lies between a store and the faults. It counts the bytes of bodies, and
// what became of each request.
type wire struct {
	next storetest.Doer

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
}

// latency of every request; it is what makes a busy loop end.
const wireLatency = 20 * time.Millisecond

// Do implements storetest.Doer.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	time.Sleep(wireLatency)
	q := r.URL.Query()
	p := &passage{unit: storetest.OpOf(r) + " " + r.URL.Path + " " + q.Get("partNumber") + r.Header.Get("Range")}
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
func (w *wire) met(r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.by[r]; p != nil {
		p.hit = true
	}
}

// die ends the process: what it has under way is answered to nobody.
func (w *wire) die() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = true
}

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
