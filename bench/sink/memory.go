package sink

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"agent/transfer/checksum"
)

// memory is what HEAD and listings tell of objects, and what is known of open
// uploads. An object takes some 300 bytes.
type memory struct {
	mu      sync.Mutex
	objects map[string]object // by the path of their URL
	uploads map[string]open   // by their ID
	plain   map[string]http.Header
	sorted  []string // paths in order, also of some that are gone
	fresh   []string // paths that are to be sorted in
}

type object struct {
	etag string
	size int64
	meta http.Header // X-Amz-Meta-… and Content-Type
	at   int64       // seconds since 1970

	sum    uint64 // CRC64NVME of its bytes, where summed
	summed bool
	body   []byte // nil where it is not kept
}

// metaOf is what of a request an object keeps. A type alone is kept once for all.
func (m *memory) metaOf(h http.Header) http.Header {
	kept := http.Header{}
	for name, v := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") || name == "Content-Type" {
			kept[name] = v
		}
	}
	if len(kept) > 1 {
		return kept
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.plain == nil {
		m.plain = map[string]http.Header{}
	}
	kind := kept.Get("Content-Type")
	if kind == "" && len(kept) > 0 {
		return kept
	}
	if m.plain[kind] == nil {
		m.plain[kind] = kept
	}
	return m.plain[kind]
}

func (m *memory) put(path string, o object) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[string]object{}
	}
	o.at = time.Now().Unix()
	if _, known := m.objects[path]; !known {
		m.fresh = append(m.fresh, path)
	}
	m.objects[path] = o
}

func (m *memory) remove(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, path)
}

// begin notes an upload by parts, of which grow adds up the sizes.
func (m *memory) begin(id string, meta http.Header, keeps bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.uploads == nil {
		m.uploads = map[string]open{}
	}
	o := open{object: object{meta: meta}}
	if keeps {
		o.parts = map[int]part{}
	}
	m.uploads[id] = o
}

// grow takes a part; false where there is no such upload.
func (m *memory) grow(id string, num int, p part) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.uploads[id]
	if !ok {
		return false
	}
	o.size += p.size
	if o.parts != nil {
		o.parts[num] = p
	}
	m.uploads[id] = o
	return true
}

// upload is one that is open.
func (m *memory) upload(id string) (open, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.uploads[id]
	return o, ok
}

// parts are those of an open upload, as they are now.
func (m *memory) parts(id string) (map[int]part, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.uploads[id]
	return maps.Clone(o.parts), ok && o.parts != nil
}

// close puts what an upload has become.
func (m *memory) close(path, id string, o object) {
	m.mu.Lock()
	delete(m.uploads, id)
	m.mu.Unlock()
	m.put(path, o)
}

func (m *memory) object(path string) (object, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[path]
	return o, ok
}

// head answers what is known of an object.
func (m *memory) head(w http.ResponseWriter, r *http.Request) {
	o, ok := m.object(r.URL.Path)
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	o.describe(w.Header())
	w.Header().Set("Content-Length", strconv.FormatInt(o.size, 10))
}

// describe says in h what is known of an object, but for its size.
func (o *object) describe(h http.Header) {
	for name, v := range o.meta {
		h[name] = v
	}
	h.Set("ETag", o.etag)
	h.Set("Last-Modified", time.Unix(o.at, 0).UTC().Format(http.TimeFormat))
	if o.summed {
		h.Set(checksums[0].header, checksum.Encode64(o.sum))
		h.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
}
