package sink

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// listPage is how many objects a page of a listing has.
const listPage = 1000

// list answers one page of a listing without folders.
func (m *memory) list(w http.ResponseWriter, bucket string, q url.Values) {
	prefix, after := q.Get("prefix"), max(q.Get("start-after"), q.Get("continuation-token"))
	encode := func(s string) string { return s }
	if q.Get("encoding-type") == "url" {
		encode = url.QueryEscape
	}
	var b bytes.Buffer
	text := func(element, s string) {
		b.WriteString("<" + element + ">")
		_ = xml.EscapeText(&b, []byte(s)) // a Buffer takes everything
		b.WriteString("</" + element + ">")
	}
	b.WriteString(xml.Header + "<ListBucketResult>")
	text("Name", bucket)
	text("Prefix", encode(prefix))
	n, last, more := 0, "", false
	m.page(bucket, prefix, after, func(key string, o object) bool {
		if more = n == listPage; more {
			return false
		}
		n, last = n+1, key
		b.WriteString("<Contents>")
		text("Key", encode(key))
		text("LastModified", time.Unix(o.at, 0).UTC().Format(time.RFC3339))
		text("ETag", o.etag)
		fmt.Fprintf(&b, "<Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>", o.size)
		return true
	})
	fmt.Fprintf(&b, "<KeyCount>%d</KeyCount><MaxKeys>%d</MaxKeys><IsTruncated>%t</IsTruncated>", n, listPage, more)
	if more {
		text("NextContinuationToken", last)
	}
	if e := q.Get("encoding-type"); e != "" {
		text("EncodingType", e)
	}
	b.WriteString("</ListBucketResult>")
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(b.Bytes()) // who asked has gone
}

// page gives the objects of a bucket that begin with prefix and lie behind after,
// in the order of their keys, until it is told that they are enough.
func (m *memory) page(bucket, prefix, after string, take func(key string, o object) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sort()
	root := "/" + bucket + "/"
	from := root + prefix
	if after != "" {
		from = max(from, root+after+"\x00")
	}
	at, _ := slices.BinarySearch(m.sorted, from)
	for _, path := range m.sorted[at:] {
		if !strings.HasPrefix(path, root+prefix) {
			return
		}
		if o, ok := m.objects[path]; ok && !take(path[len(root):], o) {
			return
		}
	}
}

// sort brings in what is new. Sorting all again for each page of a million would
// be what the listing costs.
func (m *memory) sort() {
	if len(m.fresh) == 0 {
		return
	}
	slices.Sort(m.fresh)
	all := make([]string, 0, len(m.sorted)+len(m.fresh))
	old := m.sorted
	for _, path := range m.fresh {
		n, there := slices.BinarySearch(old, path)
		all, old = append(all, old[:n]...), old[n:]
		if !there { // else it was removed, and came again
			all = append(all, path)
		}
	}
	all = append(all, old...)
	m.sorted, m.fresh = all, nil
}
