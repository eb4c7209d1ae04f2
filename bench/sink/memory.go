package sink

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// memory is what HEAD tells of objects, and what is known of open uploads.
type memory struct {
	mu      sync.Mutex
	objects map[string]object // by the path of their URL
	uploads map[string]object // by their ID
}

type object struct {
	etag string
	size int64
	meta http.Header // X-Amz-Meta-… and Content-Type
	at   time.Time
}

// metaOf is what of a request an object keeps.
func metaOf(h http.Header) http.Header {
	kept := http.Header{}
	for name, v := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") || name == "Content-Type" {
			kept[name] = v
		}
	}
	return kept
}

func (m *memory) put(path string, o object) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[string]object{}
	}
	o.at = time.Now()
	m.objects[path] = o
}

// begin notes an upload by parts, of which grow adds up the sizes.
func (m *memory) begin(id string, meta http.Header) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.uploads == nil {
		m.uploads = map[string]object{}
	}
	m.uploads[id] = object{meta: meta}
}

func (m *memory) grow(id string, size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.uploads[id]; ok {
		o.size += size
		m.uploads[id] = o
	}
}

func (m *memory) complete(path, id, etag string) {
	m.mu.Lock()
	o := m.uploads[id]
	delete(m.uploads, id)
	m.mu.Unlock()
	o.etag = etag
	m.put(path, o)
}

// head answers what is known of an object.
func (m *memory) head(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	o, ok := m.objects[r.URL.Path]
	m.mu.Unlock()
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	h := w.Header()
	for name, v := range o.meta {
		h[name] = v
	}
	h.Set("ETag", o.etag)
	h.Set("Content-Length", strconv.FormatInt(o.size, 10))
	h.Set("Last-Modified", o.at.UTC().Format(http.TimeFormat))
}
