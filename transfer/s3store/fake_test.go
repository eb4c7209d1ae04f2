package s3store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// fakeS3 answers requests in memory, without a network, so that time can be
// faked. It believes every signature.
type fakeS3 struct {
	mu      sync.Mutex
	objects map[string][]byte
	etags   map[string]string            // of objects that came in parts, by key
	uploads map[string]map[string][]byte // parts by number, by upload id
	began   int
	ops     []string
	clock   time.Duration // ahead of ours
	noSums  bool          // answers carry no checksums
	frames  frames        // what it does with a checksum behind the bytes
}

func (f *fakeS3) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops = append(f.ops, storetest.OpOf(r))
	if f.objects == nil {
		f.objects, f.uploads = map[string][]byte{}, map[string]map[string][]byte{}
	}
	resp := f.answer(r, strings.TrimPrefix(r.URL.Path, "/b/"), body)
	resp.Header.Set("Date", time.Now().Add(f.clock).UTC().Format(http.TimeFormat))
	return resp, nil
}

func (f *fakeS3) answer(r *http.Request, key string, body []byte) *http.Response {
	q := r.URL.Query()
	parts, open := f.uploads[q.Get("uploadId")]
	if q.Has("uploadId") && !open {
		return refusal(r, 404, "NoSuchUpload")
	}
	switch storetest.OpOf(r) {
	case "PutObject":
		f.objects[key] = body
		delete(f.etags, key)
		return f.sums(r, good(r, ""), body)
	case "CreateMultipartUpload":
		f.began++
		id := fmt.Sprintf("upload-%d", f.began)
		f.uploads[id] = map[string][]byte{}
		return good(r, "<InitiateMultipartUploadResult><UploadId>"+id+"</UploadId></InitiateMultipartUploadResult>")
	case "UploadPart":
		if r.Header.Get("X-Amz-Trailer") != "" {
			return f.framed(r, parts, body)
		}
		parts[q.Get("partNumber")] = body
		return f.sums(r, good(r, ""), body)
	case "CompleteMultipartUpload":
		var whole []byte
		for n := range len(parts) {
			whole = append(whole, parts[fmt.Sprint(n+1)]...)
		}
		f.objects[key] = whole
		delete(f.uploads, q.Get("uploadId"))
		return good(r, fmt.Sprintf("<CompleteMultipartUploadResult><ETag>&quot;%x&quot;</ETag><ChecksumCRC64NVME>", md5.Sum(whole))+
			checksum.Encode64(checksum.Sum64(whole))+"</ChecksumCRC64NVME></CompleteMultipartUploadResult>")
	case "AbortMultipartUpload":
		delete(f.uploads, q.Get("uploadId"))
		return good(r, "")
	case "ListParts":
		return good(r, f.partList(q.Get("uploadId"), parts))
	case "HeadObject":
		whole, ok := f.objects[key]
		if !ok {
			return refusal(r, 404, "NoSuchKey")
		}
		resp := f.sums(r, good(r, ""), whole)
		resp.Header.Set("ETag", `"`+f.etag(key)+`"`)
		resp.ContentLength = int64(len(whole))
		resp.Header.Set("Content-Length", fmt.Sprint(len(whole)))
		return resp
	case "ListObjectsV2":
		return good(r, f.list(q))
	}
	return refusal(r, 400, "InvalidRequest")
}

func (f *fakeS3) partList(id string, parts map[string][]byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<ListPartsResult><UploadId>%s</UploadId>", id)
	for n, body := range parts {
		fmt.Fprintf(&b, "<Part><PartNumber>%s</PartNumber><Size>%d</Size><ETag>%s</ETag><ChecksumCRC64NVME>%s</ChecksumCRC64NVME></Part>",
			n, len(body), etagOf(body), checksum.Encode64(checksum.Sum64(body)))
	}
	return b.String() + "</ListPartsResult>"
}

func (f *fakeS3) list(q url.Values) string {
	var b strings.Builder
	b.WriteString("<ListBucketResult><Name>b</Name><EncodingType>url</EncodingType>")
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		if strings.HasPrefix(key, q.Get("prefix")) && key > q.Get("start-after") {
			fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>%d</Size><ETag>&quot;%s&quot;</ETag></Contents>",
				url.QueryEscape(key), len(f.objects[key]), f.etag(key))
		}
	}
	return b.String() + "</ListBucketResult>"
}

// etag is that of a stored object, without quotes.
func (f *fakeS3) etag(key string) string {
	return cmp.Or(f.etags[key], fmt.Sprintf("%x", md5.Sum(f.objects[key])))
}

func etagOf(body []byte) string { return fmt.Sprintf("&quot;%x&quot;", md5.Sum(body)) }

// sums adds what S3 says of bytes: an ETag and the checksum that was asked for.
func (f *fakeS3) sums(r *http.Request, resp *http.Response, body []byte) *http.Response {
	resp.Header.Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(body)))
	switch {
	case f.noSums:
	case r.Header.Get("x-amz-checksum-crc32c") != "":
		resp.Header.Set("x-amz-checksum-crc32c", checksum.Encode32(checksum.Sum32C(body)))
	case r.Header.Get("x-amz-checksum-crc64nvme") != "" || r.Method == http.MethodHead:
		resp.Header.Set("x-amz-checksum-crc64nvme", checksum.Encode64(checksum.Sum64(body)))
	}
	return resp
}

func good(r *http.Request, xml string) *http.Response {
	return storetest.Response(r, 200, "application/xml", xml)
}

func refusal(r *http.Request, status int, code string) *http.Response {
	resp, _ := storetest.Refuse(status, code).Answer(r, nil)
	return resp
}

// count says how many requests of op were answered.
func (f *fakeS3) count(op string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range f.ops {
		if o == op {
			n++
		}
	}
	return n
}

func (f *fakeS3) object(key string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.objects[key]
}

const (
	fakeSecret = "wJalrXUtnFEMI"
	fakeToken  = "FQoGZXIvYXdz"
)

// keys is a Credentials: one key after another.
type keys struct {
	mu      sync.Mutex
	live    *aws.Credentials
	dead    map[string]int // how often each was given back
	whys    []string       // and why, in turn
	waits   int
	changed chan struct{}
	times   []time.Time

	renew     func()   // what Refresh does; nil where the sources have nothing new
	refreshed []string // for which keys it was called
}

func newKeys(id string) *keys {
	k := &keys{dead: map[string]int{}, changed: make(chan struct{})}
	k.swap(id, time.Time{})
	return k
}

func (k *keys) swap(id string, expires time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.live = &aws.Credentials{AccessKeyID: id, SecretAccessKey: fakeSecret, SessionToken: fakeToken, CanExpire: !expires.IsZero(), Expires: expires, Source: "test"}
	close(k.changed)
	k.changed = make(chan struct{})
}

func (k *keys) Retrieve(context.Context) (aws.Credentials, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.live == nil {
		return aws.Credentials{}, errors.New("none")
	}
	return *k.live, nil
}

func (k *keys) Wait(ctx context.Context) (aws.Credentials, error) {
	k.mu.Lock()
	k.waits++
	k.mu.Unlock()
	for {
		k.mu.Lock()
		live, changed := k.live, k.changed
		k.mu.Unlock()
		if live != nil {
			return *live, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return aws.Credentials{}, ctx.Err()
		}
	}
}

// Another takes the set that renew makes, if any.
func (k *keys) Another(_ context.Context, id string, _ bool) (aws.Credentials, error) {
	k.mu.Lock()
	k.refreshed = append(k.refreshed, id)
	renew := k.renew
	k.mu.Unlock()
	if renew != nil {
		renew()
	}
	return k.Retrieve(context.Background())
}

func (k *keys) Invalidate(c aws.Credentials, why string) {
	id := c.AccessKeyID
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dead[id]++
	k.whys = append(k.whys, why)
	if k.live != nil && k.live.AccessKeyID == id {
		k.live = nil
	}
}

func (k *keys) ServerTime(t time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.times = append(k.times, t)
}

func (k *keys) given(id string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dead[id]
}

// rig is a store over a fake S3 behind faults, and what it told.
type rig struct {
	*Store
	s3     *fakeS3
	faults *storetest.Faulty
	keys   *keys
	stop   chan struct{}
	begun  time.Time

	mu     sync.Mutex
	events []transfer.Event
}

func newRig(change func(*Options)) *rig {
	r := &rig{s3: &fakeS3{}, keys: newKeys("key-1"), stop: make(chan struct{}), begun: time.Now()}
	r.faults = &storetest.Faulty{Next: r.s3}
	o := Options{
		Bucket: "b", Region: "r", Endpoint: "http://s3.test", Credentials: r.keys, HTTP: r.faults, Stop: r.stop,
		PartSize: MinPartSize, Event: r.event, Seed: func() float64 { return 0.5 },
	}
	if change != nil {
		change(&o)
	}
	r.Store = New(o)
	return r
}

// latency makes every request take a moment, so that many are in flight at once.
func latency(o *Options) {
	next := o.HTTP
	o.HTTP = doer(func(req *http.Request) (*http.Response, error) {
		time.Sleep(100 * time.Millisecond)
		return next.Do(req)
	})
}

// open opens all lanes, which otherwise open as requests succeed.
func (r *rig) open() {
	for range r.o.Parallel {
		r.lanes.succeeded()
	}
}

func (r *rig) event(e transfer.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// told counts events, and adds up their bytes.
func (r *rig) told(kind transfer.Kind) (n int, sum int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind {
			n++
			sum += e.Bytes
		}
	}
	return n, sum
}

// texts are those of the events of one kind.
func (r *rig) texts(kind transfer.Kind) (texts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// in is what Put takes, with its events in the rig.
func (r *rig) in(key string, body []byte, j transfer.Journal) transfer.PutInput {
	in := storetest.Input(key, body, j)
	in.Event = r.event
	return in
}

func (r *rig) put(t *testing.T, key string, body []byte) (transfer.PutOutput, error) {
	t.Helper()
	return r.Put(t.Context(), r.in(key, body, nil))
}

func (r *rig) mustPut(t *testing.T, key string, body []byte) transfer.PutOutput {
	t.Helper()
	out, err := r.put(t, key, body)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	if !bytes.Equal(r.s3.object(key), body) {
		t.Fatalf("put %s: other bytes are stored", key)
	}
	return out
}

func TestFakeKeepsTheContract(t *testing.T) {
	r := newRig(nil)
	storetest.TestStore(t, func(*testing.T) transfer.Store { return headed{r.Store} })
}

// headed fills in the Modified that the fake does not keep, and has none of what
// the fake can't do.
type headed struct{ transfer.Store }

func (h headed) Stat(ctx context.Context, key string) (transfer.Object, error) {
	obj, err := h.Store.Stat(ctx, key)
	obj.Modified = time.Now()
	return obj, err
}

func (h headed) List(ctx context.Context, prefix, after string) iter.Seq2[transfer.Object, error] {
	return func(yield func(transfer.Object, error) bool) {
		for obj, err := range h.Store.List(ctx, prefix, after) {
			obj.Modified = time.Now()
			if !yield(obj, err) {
				return
			}
		}
	}
}
