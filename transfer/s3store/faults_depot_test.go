package s3store

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// depot is a fakeS3 that holds everything against the checksums and ETags that
// come with it, as a real store does, and also gives objects out and deletes them.
type depot struct {
	fakeS3
	noBatch bool   // DeleteObjects is denied
	onList  func() // once, when a listing has been answered

	// fate is that of an upload whose answer to Complete is lost, and loses tells
	// of a request whether its answer will be.
	fate   fate
	loses  func(*http.Request) bool
	worked map[string]*joined // what is worked at, by upload id
}

// fate is what comes of an upload whose answer to Complete is lost.
type fate struct {
	name  string
	works bool          // the store works at it, and answers yes to whoever asks again
	after time.Duration // for as long; 0 where nothing comes of it
}

// fateOf draws one.
func fateOf(rnd *rand.Rand) fate {
	switch rnd.IntN(3) {
	case 0:
		return fate{name: "at once"}
	case 1:
		// Some come when nobody waits for them any more.
		return fate{name: "later", works: true, after: time.Duration(1 + rnd.Int64N(int64(2*appearWithin)))}
	}
	return fateNever
}

// fateNever is an upload that nothing comes of.
var fateNever = fate{name: "never", works: true}

// joined is an object that came in parts.
type joined struct {
	key   string
	whole []byte
	etag  string
	due   time.Time // when it is there; zero where it never comes
}

func joinedOf(key string, bodies [][]byte) *joined {
	j := &joined{key: key, whole: bytes.Join(bodies, nil)}
	parts := make([]transfer.Part, len(bodies))
	for i, b := range bodies {
		parts[i].ETag = strings.ReplaceAll(etagOf(b), "&quot;", "")
	}
	j.etag = partsETag(parts)
	return j
}

// Do implements storetest.Doer.
func (d *depot) Do(r *http.Request) (*http.Response, error) {
	op := storetest.OpOf(r)
	lost := op == opComplete && d.loses != nil && d.loses(r)
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
	d.arrive()
	if id := r.URL.Query().Get("uploadId"); op == opParts && d.works(id) {
		return refusal(r, http.StatusNotFound, "NoSuchUpload"), nil // as versitygw 1.8 has it
	}
	switch op {
	case opComplete, opGet, opDelete, opDeleteAll:
		resp := d.own(r, op, strings.TrimPrefix(r.URL.Path, "/b/"), lost)
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		return resp, nil
	}
	resp, err := d.fakeS3.Do(r)
	if op == opList && d.onList != nil {
		d.onList()
		d.onList = nil
	}
	return resp, err
}

// works tells whether an object is being made of an upload, or never will be.
func (d *depot) works(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.worked[id] != nil
}

// waits is how much longer a run takes because of fate.
func (d *depot) waits() time.Duration {
	if d.fate.works || len(d.worked) > 0 {
		return appearWithin
	}
	return 0
}

// arrive lets what is worked at be there when its time has come.
func (d *depot) arrive() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, j := range d.worked {
		if !j.due.IsZero() && !time.Now().Before(j.due) {
			d.finish(id, j)
			delete(d.worked, id)
		}
	}
}

// work begins to make an object of an upload, as fate has it. The caller holds mu.
func (d *depot) work(id string, j *joined) {
	if d.fate.after > 0 {
		j.due = time.Now().Add(d.fate.after)
	}
	if d.worked == nil {
		d.worked = map[string]*joined{}
	}
	d.worked[id] = j
}

// finish has the object of an upload. The caller holds mu.
func (d *depot) finish(id string, j *joined) {
	if d.etags == nil {
		d.etags = map[string]string{}
	}
	d.objects[j.key], d.etags[j.key] = j.whole, j.etag
	delete(d.uploads, id)
}

// object is what is stored by now.
func (d *depot) object(key string) []byte {
	d.arrive()
	return d.fakeS3.object(key)
}

func (d *depot) own(r *http.Request, op, key string, lost bool) *http.Response {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch op {
	case opComplete:
		return d.complete(r, key, lost)
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
// ones. Where the answer will be lost, fate decides what comes of it, and whoever
// asks again meanwhile is told that it is done. The caller holds mu.
func (d *depot) complete(r *http.Request, key string, lost bool) *http.Response {
	id := r.URL.Query().Get("uploadId")
	parts, open := d.uploads[id]
	if !open {
		return refusal(r, http.StatusNotFound, "NoSuchUpload")
	}
	var c completion
	if err := xml.NewDecoder(r.Body).Decode(&c); err != nil {
		return refusal(r, http.StatusBadRequest, "MalformedXML")
	}
	var bodies [][]byte
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
		bodies = append(bodies, b)
	}
	made := joinedOf(key, bodies)
	sum := checksum.Encode64(checksum.Sum64(made.whole))
	if want := r.Header.Get("X-Amz-Checksum-Crc64nvme"); want != "" && want != sum {
		return refusal(r, http.StatusBadRequest, "BadDigest")
	}
	switch {
	case d.worked[id] != nil:
	case lost && d.fate.works:
		d.work(id, made)
	default:
		d.finish(id, made)
	}
	return good(r, "<CompleteMultipartUploadResult><ETag>&quot;"+made.etag+"&quot;</ETag><ChecksumCRC64NVME>"+sum+
		"</ChecksumCRC64NVME></CompleteMultipartUploadResult>")
}

// get gives out an object or a range of it. The caller holds mu.
func (d *depot) get(r *http.Request, key string) *http.Response {
	b, ok := d.objects[key]
	etag := `"` + d.etag(key) + `"`
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
	delete(d.etags, key)
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
	d.arrive()
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d.objects)), func(key string) bool { return !strings.HasPrefix(key, prefix) })
}
