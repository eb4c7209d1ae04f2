package sink

import (
	"encoding/xml"
	"io"
	"net/http"
	"strconv"

	"agent/transfer/checksum"
)

// What S3 takes of parts, by its documentation of November 2026.
const (
	maxParts = 10_000
	minPart  = 5 << 20 // bytes, but for the last
)

// part is one of an open upload, where the server keeps.
type part struct {
	size int64
	etag string
	sum  uint64
}

// open is an upload by parts.
type open struct {
	object
	parts map[int]part // nil where the server does not keep
}

// completion is what a client completes an upload by.
type completion struct {
	Parts []struct {
		PartNumber int
		ETag       string
	} `xml:"Part"`
}

// partNumber is that of a request; false where S3 takes none such.
func partNumber(r *http.Request) (int, bool) {
	n, err := strconv.Atoi(r.URL.Query().Get("partNumber"))
	return n, err == nil && n >= 1 && n <= maxParts
}

// complete makes an object of the parts of an upload, if they are what the client
// says: code is how S3 refuses others.
func (s *Server) complete(r *http.Request, id string) (etag string, status int, code string) {
	o, ok := s.memory.upload(id)
	if !ok {
		return "", http.StatusNotFound, "NoSuchUpload"
	}
	if o.parts != nil {
		var c completion
		if b, err := io.ReadAll(r.Body); err != nil || xml.Unmarshal(b, &c) != nil {
			return "", http.StatusBadRequest, "MalformedXML"
		}
		if code := o.join(c); code != "" {
			return "", http.StatusBadRequest, code
		}
		if said := r.Header.Get(checksums[0].header); said != "" && said != checksum.Encode64(o.sum) {
			return "", http.StatusBadRequest, "BadDigest"
		}
	}
	o.etag = s.etag()
	s.memory.close(r.URL.Path, id, o.object)
	return o.etag, http.StatusOK, ""
}

// join makes size and checksum of the whole of those of the parts that c names.
func (o *open) join(c completion) (code string) {
	if len(c.Parts) == 0 {
		return "MalformedXML"
	}
	o.size, o.sum, o.summed = 0, 0, true
	for i, named := range c.Parts {
		p, ok := o.parts[named.PartNumber]
		switch {
		case !ok || p.etag != named.ETag:
			return "InvalidPart"
		case i+1 < len(c.Parts) && named.PartNumber >= c.Parts[i+1].PartNumber:
			return "InvalidPartOrder"
		case p.size < minPart && i < len(c.Parts)-1:
			return "EntityTooSmall"
		}
		o.sum = checksum.Combine64(o.sum, p.sum, p.size)
		o.size += p.size
	}
	return ""
}
