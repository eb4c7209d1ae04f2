package sink

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// checksums are the headers by which a client says what it sends, in canonical
// form, and their names in XML.
var checksums = [...]struct{ header, element string }{
	{"X-Amz-Checksum-Crc64nvme", "ChecksumCRC64NVME"},
	{"X-Amz-Checksum-Crc32c", "ChecksumCRC32C"},
	{"X-Amz-Checksum-Crc32", "ChecksumCRC32"},
	{"X-Amz-Checksum-Sha256", "ChecksumSHA256"},
	{"X-Amz-Checksum-Sha1", "ChecksumSHA1"},
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case CountsPath:
		s.writeCounts(w, r)
		return
	case KeepPath:
		s.writeDigest(w, r)
		return
	}
	s.requests.Add(1)
	switch r.Method {
	case http.MethodPut:
		s.put(w, r)
	case http.MethodPost:
		s.post(w, r)
	case http.MethodDelete:
		if !r.URL.Query().Has("uploadId") { // else it is an upload that is given up
			s.memory.remove(r.URL.Path)
		}
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet:
		s.get(w, r)
	default:
		s.memory.head(w, r)
	}
}

// put takes an object or a part.
func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	if s.firstPut.Load() == 0 {
		s.firstPut.CompareAndSwap(0, time.Now().UnixNano())
	}
	got, err := s.receive(r)
	switch {
	case errors.Is(err, errDigest):
		refuse(w, http.StatusBadRequest, "BadDigest")
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	n := got.n
	s.lasted(time.Since(began))
	if _, key := names(r); key == "" { // some clients make the bucket first
		return
	}
	if framed := r.Header.Get("X-Amz-Decoded-Content-Length"); framed != "" {
		n, _ = strconv.ParseInt(framed, 10, 64) // else the count will not match, which is seen
	}
	s.bytes.Add(n)
	if summed(r.Header) {
		s.summed.Add(1)
	} else {
		s.bare.Add(1)
	}
	etag := s.etag()
	_, summed := s.keeps()
	if strings.Contains(r.URL.RawQuery, "partNumber=") {
		num, ok := partNumber(r)
		if !ok {
			refuse(w, http.StatusBadRequest, "InvalidArgument")
			return
		}
		if !s.memory.grow(r.URL.Query().Get("uploadId"), num, part{size: n, etag: etag, sum: got.sum}) && summed {
			refuse(w, http.StatusNotFound, "NoSuchUpload")
			return
		}
		s.parts.Add(1)
	} else {
		s.objects.Add(1)
		s.memory.put(r.URL.Path, object{etag: etag, size: n, meta: s.memory.metaOf(r.Header), sum: got.sum, summed: summed, body: got.body})
	}
	h := w.Header()
	for _, c := range checksums {
		if v := r.Header[c.header]; v != nil {
			h[c.header] = v
		}
		if v, ok := trailing(r, got.end, c.header); ok {
			h[c.header] = []string{v}
		}
	}
	h.Set("ETag", etag)
	h["Content-Length"] = []string{"0"}
}

// lasted notes how long a body took to come in.
func (s *Server) lasted(d time.Duration) {
	s.busy.Add(int64(d))
	for most := s.longest.Load(); int64(d) > most && !s.longest.CompareAndSwap(most, int64(d)); {
		most = s.longest.Load()
	}
}

// summed tells whether a server could compare what it got with something: a
// checksum before or behind the bytes, or a signature made over them.
func summed(h http.Header) bool {
	for _, c := range checksums {
		if h[c.header] != nil {
			return true
		}
	}
	if h["Content-Md5"] != nil || h["X-Amz-Trailer"] != nil {
		return true
	}
	hash := h.Get("X-Amz-Content-Sha256")
	return len(hash) == 64 || strings.HasPrefix(hash, "STREAMING-AWS4-")
}

// post begins or completes an upload by parts.
func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	bucket, key := names(r)
	q := r.URL.Query()
	_, keeps := s.keeps()
	if !keeps || !q.Has("uploadId") { // else complete reads it
		if _, _, err := s.discard(r); err != nil {
			refuse(w, http.StatusBadRequest, "IncompleteBody")
			return
		}
	}
	switch {
	case q.Has("uploads"):
		for _, name := range []string{"X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Type"} {
			if v := r.Header[name]; v != nil {
				w.Header()[name] = v
			}
		}
		id := fmt.Sprintf("sink-%d", s.ids.Add(1))
		s.memory.begin(id, s.memory.metaOf(r.Header), keeps)
		answer(w, "InitiateMultipartUploadResult", "Bucket", bucket, "Key", key, "UploadId", id)
	case q.Has("uploadId"):
		etag, status, code := s.complete(r, q.Get("uploadId"))
		if code != "" {
			refuse(w, status, code)
			return
		}
		s.objects.Add(1)
		fields := []string{"Location", r.URL.Path, "Bucket", bucket, "Key", key, "ETag", etag}
		for _, c := range checksums {
			if v := r.Header.Get(c.header); v != "" {
				fields = append(fields, c.element, v, "ChecksumType", "FULL_OBJECT")
			}
		}
		answer(w, "CompleteMultipartUploadResult", fields...)
	default:
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	}
}

// get answers listings. One by folders is empty.
func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	bucket, key := names(r)
	q := r.URL.Query()
	switch {
	case key == "" && q.Has("location"):
		answer(w, "LocationConstraint")
	case key == "" && q.Get("list-type") == "2" && q.Get("delimiter") == "":
		s.lists.Add(1)
		s.memory.list(w, bucket, q)
	case key == "" && q.Get("list-type") == "2":
		fields := []string{"Name", bucket, "Prefix", q.Get("prefix"), "KeyCount", "0", "MaxKeys", "1000", "IsTruncated", "false"}
		if e := q.Get("encoding-type"); e != "" {
			fields[3] = url.QueryEscape(fields[3])
			fields = append(fields, "EncodingType", e)
		}
		answer(w, "ListBucketResult", fields...)
	case q.Has("uploadId"):
		s.listParts(w, q)
	default:
		s.fetch(w, r)
	}
}

// discard reads the body through a buffer that is used again, counts it, and
// returns its last bytes where a checksum may be among them.
func (s *Server) discard(r *http.Request) (n int64, end []byte, err error) {
	const last = 128
	b := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(b)
	for {
		m, err := r.Body.Read(*b)
		n += int64(m)
		if m > 0 && r.Header["X-Amz-Trailer"] != nil {
			end = append(end, (*b)[max(0, m-last):m]...)
			end = end[max(0, len(end)-last):]
		}
		if errors.Is(err, io.EOF) {
			return n, end, nil
		}
		if err != nil {
			return n, end, err
		}
	}
}

// trailing is what stands for header behind the bytes of a body.
func trailing(r *http.Request, end []byte, header string) (value string, ok bool) {
	if !strings.EqualFold(r.Header.Get("X-Amz-Trailer"), header) {
		return "", false
	}
	_, value, ok = strings.Cut(string(end), "\r\n"+strings.ToLower(header)+":")
	return strings.TrimRight(value, "\r\n"), ok
}

// etag is new for every answer, and no MD5: nobody may take it for one.
func (s *Server) etag() string { return fmt.Sprintf(`"%032x-1"`, s.ids.Add(1)) }

// names are bucket and key of a path-style request.
func names(r *http.Request) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return bucket, key
}

// answer writes an element with the given children: name, text, name, text, …
func answer(w http.ResponseWriter, element string, fields ...string) {
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(document(element, fields)) // who asked has gone
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write(document("Error", []string{"Code", code, "Message", "this server stores nothing"})) // likewise
}

func document(element string, fields []string) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	b.WriteString("<" + element + ">")
	for i := 0; i+1 < len(fields); i += 2 {
		b.WriteString("<" + fields[i] + ">")
		_ = xml.EscapeText(&b, []byte(fields[i+1])) // a Buffer takes everything
		b.WriteString("</" + fields[i] + ">")
	}
	b.WriteString("</" + element + ">")
	return b.Bytes()
}
