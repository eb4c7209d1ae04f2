package sink

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"agent/transfer/checksum"
)

// Keep makes the server look at the bytes from now on, for tests that ask whether
// what came is what was sent. It sums what comes in and refuses what has another
// CRC64NVME than its sender says. It tells the sum in the answer to HEAD and GET.
// It knows the parts of open uploads, and their rules. Of objects of at most most
// bytes it keeps the bytes, and these can be fetched.
func (s *Server) Keep(most int64) { s.keeping.Store(most + 1) }

// keeps reports whether the bytes are looked at, and up to which size they are kept.
func (s *Server) keeps() (most int64, on bool) {
	n := s.keeping.Load()
	return n - 1, n > 0
}

// Kept is an object as a server that keeps knows it.
type Kept struct {
	Bucket, Key string
	Size        int64
	CRC64       uint64 // of the bytes that came in
	Body        []byte // nil where it is too large to be kept
}

// Objects are those that are stored, by bucket and in order of their keys.
func (s *Server) Objects() iter.Seq[Kept] {
	return func(yield func(Kept) bool) {
		s.memory.mu.Lock()
		s.memory.sort()
		paths := s.memory.sorted
		s.memory.mu.Unlock()
		for _, path := range paths {
			s.memory.mu.Lock()
			o, ok := s.memory.objects[path]
			s.memory.mu.Unlock()
			bucket, key, _ := strings.Cut(path[1:], "/")
			if ok && !yield(Kept{bucket, key, o.size, o.sum, o.body}) {
				return
			}
		}
	}
}

// Store stores an object as somebody else would.
func (s *Server) Store(bucket, key string, body []byte) {
	s.memory.put("/"+bucket+"/"+key, object{etag: s.etag(), size: int64(len(body)), sum: checksum.Sum64(body), summed: true, body: body})
}

// KeepPath is for a server in another process: a POST makes it Keep, of no object the
// bytes, and a GET answers with its Digest.
const KeepPath = "/-/keep"

// Digest stands for keys, sizes and checksums of all objects of a bucket, in order of
// their keys.
type Digest struct {
	hash uint64
}

// Add takes the next object.
func (d *Digest) Add(key string, size int64, crc64 uint64) {
	d.hash = checksum.Update64(d.hash, fmt.Appendf(nil, "%s\n%d %016x\n", key, size, crc64))
}

// String is what tells it from others.
func (d *Digest) String() string { return fmt.Sprintf("%016x", d.hash) }

func (s *Server) writeDigest(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		s.Keep(0)
		return
	}
	var d Digest
	for o := range s.Objects() {
		d.Add(o.Key, o.Size, o.CRC64)
	}
	_, _ = io.WriteString(w, d.String()) // who asked has gone
}

// Forget removes all objects and uploads.
func (s *Server) Forget() {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.memory.objects, s.memory.uploads, s.memory.sorted, s.memory.fresh = nil, nil, nil, nil
}

// received is a body that came in.
type received struct {
	n    int64
	end  []byte // its last bytes, where a checksum may be among them
	sum  uint64 // where the server keeps, as is all that follows
	body []byte
}

// errDigest is a body that is not what its sender says.
var errDigest = errors.New("the bytes have another checksum")

// receive takes a body.
func (s *Server) receive(r *http.Request) (got received, err error) {
	most, on := s.keeps()
	if !on {
		got.n, got.end, err = s.discard(r)
		return got, err
	}
	var from io.Reader = r.Body
	var f *unframer
	if r.Header.Get("X-Amz-Decoded-Content-Length") != "" {
		f = &unframer{r: bufio.NewReaderSize(r.Body, 64<<10)}
		from = f
	}
	b := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(b)
	for err == nil {
		var m int
		m, err = from.Read(*b)
		got.sum = checksum.Update64(got.sum, (*b)[:m])
		if got.n += int64(m); got.n <= most {
			got.body = append(got.body, (*b)[:m]...)
		}
	}
	if !errors.Is(err, io.EOF) {
		return got, err
	}
	if got.n > most {
		got.body = nil
	} else if got.body == nil {
		got.body = []byte{}
	}
	if f != nil {
		got.end = f.trailer
	}
	return got, digest(r, &got)
}

// digest compares a body with the checksum that came before or behind it.
func digest(r *http.Request, got *received) error {
	said := r.Header.Get(checksums[0].header)
	if v, ok := trailing(r, got.end, checksums[0].header); ok {
		said = v
	}
	if said != "" && said != checksum.Encode64(got.sum) {
		return errDigest
	}
	return nil
}

// unframer is the body in aws-chunked form: what is in its chunks.
type unframer struct {
	r       *bufio.Reader
	left    int64 // of this chunk
	trailer []byte
	over    bool
}

func (u *unframer) Read(p []byte) (int, error) {
	if u.over {
		return 0, io.EOF
	}
	if u.left == 0 {
		line, err := u.r.ReadString('\n')
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		size, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ";")
		if u.left, err = strconv.ParseInt(size, 16, 64); err != nil {
			return 0, fmt.Errorf("the size of a chunk: %w", err)
		}
		if u.left == 0 {
			u.over = true
			rest, err := io.ReadAll(io.LimitReader(u.r, 4096))
			u.trailer = append([]byte("\r\n"), rest...)
			if err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
	}
	n, err := u.r.Read(p[:min(int64(len(p)), u.left)])
	if u.left -= int64(n); u.left == 0 && err == nil {
		_, err = u.r.Discard(len("\r\n"))
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// fetch answers a GET of an object, or of a range of it.
func (s *Server) fetch(w http.ResponseWriter, r *http.Request) {
	o, ok := s.memory.object(r.URL.Path)
	if !ok || o.body == nil {
		refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	if want := r.Header.Get("If-Match"); want != "" && want != o.etag {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	body, status := o.body, http.StatusOK
	h := w.Header()
	if asked := r.Header.Get("Range"); asked != "" {
		var from, to int
		if n, err := fmt.Sscanf(asked, "bytes=%d-%d", &from, &to); n < 2 || err != nil || from > to || from >= len(body) {
			refuse(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		to = min(to, len(body)-1)
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(body)))
		body, status = body[from:to+1], http.StatusPartialContent
	}
	o.describe(h)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // who asked has gone
}

// listParts answers one page of the parts of an open upload.
func (s *Server) listParts(w http.ResponseWriter, q url.Values) {
	parts, ok := s.memory.parts(q.Get("uploadId"))
	if !ok {
		refuse(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	after, _ := strconv.Atoi(q.Get("part-number-marker")) // "" is none
	fields := []string{"UploadId", q.Get("uploadId")}
	var list strings.Builder
	n, last, more := 0, 0, false
	for num := after + 1; num <= maxParts; num++ {
		p, ok := parts[num]
		if !ok {
			continue
		}
		if more = n == listPage; more {
			break
		}
		n, last = n+1, num
		fmt.Fprintf(&list, "<Part><PartNumber>%d</PartNumber><Size>%d</Size><ETag>%s</ETag><ChecksumCRC64NVME>%s</ChecksumCRC64NVME></Part>",
			num, p.size, strings.ReplaceAll(p.etag, `"`, "&quot;"), checksum.Encode64(p.sum))
	}
	fields = append(fields, "NextPartNumberMarker", strconv.Itoa(last), "IsTruncated", strconv.FormatBool(more))
	text := document("ListPartsResult", fields)
	end := len(text) - len("</ListPartsResult>")
	w.Header().Set("Content-Type", "application/xml")
	for _, b := range [][]byte{text[:end], []byte(list.String()), text[end:]} {
		_, _ = w.Write(b) // who asked has gone
	}
}
