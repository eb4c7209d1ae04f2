package sink

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// memory is what HEAD and listings tell of objects, and what is known of open
// uploads. An object takes some 300 bytes.
type memory struct {
	mu      sync.Mutex
	objects map[string]object // by the path of their URL
	uploads map[string]object // by their ID
	plain   map[string]http.Header
	sorted  []string // paths in order, also of some that are gone
	fresh   []string // paths that are to be sorted in
}

type object struct {
	etag string
	size int64
	meta http.Header // X-Amz-Meta-… and Content-Type
	at   int64       // seconds since 1970
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
	h.Set("Last-Modified", time.Unix(o.at, 0).UTC().Format(http.TimeFormat))
}
