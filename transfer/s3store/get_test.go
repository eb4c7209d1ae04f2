package s3store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// shelf answers GetObject of one object, "b/k", and what turn says instead.
type shelf struct {
	body []byte
	etag string
	turn func(n int, r *http.Request, resp *http.Response) *http.Response // n counts from 1
	asks []string                                                         // the ranges; "" for all
}

func (s *shelf) Do(r *http.Request) (*http.Response, error) {
	rng := r.Header.Get("Range")
	s.asks = append(s.asks, rng)
	b, status := s.body, http.StatusOK
	resp := storetest.Response(r, status, "application/octet-stream", "")
	if rng != "" {
		var from, to int
		if _, err := fmt.Sscanf(rng, "bytes=%d-%d", &from, &to); err != nil {
			return nil, err
		}
		resp.StatusCode, b = http.StatusPartialContent, s.body[from:to+1]
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(s.body)))
	} else if r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
		resp.Header.Set("X-Amz-Checksum-Crc64nvme", checksum.Encode64(checksum.Sum64(s.body)))
	}
	resp.Header.Set("ETag", s.etag)
	resp.Header.Set("X-Amz-Meta-Mtime", "1700000000.25")
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	resp.Header.Set("Content-Length", fmt.Sprint(len(b)))
	if im := r.Header.Get("If-Match"); im != "" && im != s.etag {
		resp = refusal(r, http.StatusPreconditionFailed, "PreconditionFailed")
	}
	if s.turn != nil {
		resp = s.turn(len(s.asks), r, resp)
	}
	return resp, nil
}

// memory takes what Get hands on.
type memory struct{ b []byte }

func (m *memory) WriteAt(p []byte, off int64) (int, error) { return copy(m.b[off:], p), nil }

func (r *rig) get(t *testing.T, in transfer.GetInput) (transfer.GetOutput, []byte, error) {
	m := &memory{make([]byte, in.Off+in.Size)}
	in.Key, in.Event = "k", r.event
	if in.Body == nil {
		in.Body = m
	}
	out, err := r.Get(t.Context(), in)
	return out, m.b[in.Off:], err
}

func newShelf(turn func(int, *http.Request, *http.Response) *http.Response) (*rig, *shelf) {
	s := &shelf{body: []byte(strings.Repeat("0123456789", 1000)), etag: `"e"`, turn: turn}
	return newRig(func(o *Options) { o.HTTP = s }), s
}

// TestGet proves that a range is fetched as it is, and a whole object with its
// checksum and its time.
func TestGet(t *testing.T) {
	r, s := newShelf(nil)
	out, b, err := r.get(t, transfer.GetInput{ETag: s.etag, Size: 10_000, Whole: true})
	if err != nil || !bytes.Equal(b, s.body) || !out.Verified || out.CRC64 != checksum.Sum64(s.body) || !out.MTime.Equal(time.Unix(1700000000, 25e7)) {
		t.Errorf("%+v, %v", out, err)
	}
	out, b, err = r.get(t, transfer.GetInput{ETag: s.etag, Off: 10, Size: 20})
	if err != nil || !bytes.Equal(b, s.body[10:30]) || out.Verified || out.CRC64 != checksum.Sum64(b) {
		t.Errorf("%+v, %v", out, err)
	}
	if n, sum := r.told(transfer.Moved); n < 2 || sum != 10_020 {
		t.Errorf("%d bytes moved", sum)
	}
}

// TestGetGoesOn proves that what had come when an answer broke off, or brought
// nothing more, is not fetched again.
func TestGetGoesOn(t *testing.T) {
	for name, cut := range map[string]func(*http.Response){
		"broken": func(resp *http.Response) {
			resp.Body = io.NopCloser(io.LimitReader(resp.Body, 4000))
		},
		"stalled": func(resp *http.Response) {
			nothing, _ := io.Pipe()
			resp.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(io.LimitReader(resp.Body, 4000), nothing), nothing}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s := newShelf(func(n int, _ *http.Request, resp *http.Response) *http.Response {
					if n == 1 {
						cut(resp)
					}
					return resp
				})
				out, b, err := r.get(t, transfer.GetInput{ETag: s.etag, Size: 10_000, Whole: true})
				if err != nil || !bytes.Equal(b, s.body) || !out.Verified {
					t.Errorf("%+v, %v", out, err)
				}
				if len(s.asks) != 2 || s.asks[1] != "bytes=4000-9999" {
					t.Errorf("it asked for %q", s.asks)
				}
			})
		})
	}
}

// TestGetOfAnotherObject proves that an object which is not the one meant is
// never taken for it, by whichever way the store says so.
func TestGetOfAnotherObject(t *testing.T) {
	for name, c := range map[string]struct {
		turn func(int, *http.Request, *http.Response) *http.Response
		etag string
		want error
	}{
		"412": {etag: `"old"`, want: transfer.ErrReplaced},
		"no If-Match": {etag: `"e"`, want: transfer.ErrReplaced, turn: func(_ int, _ *http.Request, resp *http.Response) *http.Response {
			resp.Header.Set("ETag", `"new"`)
			return resp
		}},
		"404": {etag: `"e"`, want: transfer.ErrNotExist, turn: func(_ int, r *http.Request, _ *http.Response) *http.Response {
			return refusal(r, 404, "NoSuchKey")
		}},
		"damaged each time": {etag: `"e"`, want: transfer.ErrDamaged, turn: func(_ int, _ *http.Request, resp *http.Response) *http.Response {
			resp.Header.Set("X-Amz-Checksum-Crc64nvme", checksum.Encode64(1))
			return resp
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := newShelf(c.turn)
				_, _, err := r.get(t, transfer.GetInput{ETag: c.etag, Size: 10_000, Whole: true})
				if !errors.Is(err, c.want) || transfer.Fatal(err) {
					t.Errorf("%v, want %v", err, c.want)
				}
				if _, sum := r.told(transfer.Moved); errors.Is(c.want, transfer.ErrDamaged) && sum != 0 {
					t.Errorf("%d bytes count as moved", sum)
				}
			})
		})
	}
}

// TestGetOfNoS3 proves that a login page, and a server that knows no ranges, or gives
// others than it was asked for, are trouble that is waited out, and no object.
func TestGetOfNoS3(t *testing.T) {
	for name, turn := range map[string]func(*http.Request, *http.Response) *http.Response{
		"portal": func(r *http.Request, _ *http.Response) *http.Response {
			return storetest.Response(r, 200, "text/html", strings.Repeat("<html>", 100))
		},
		"no ranges": func(_ *http.Request, resp *http.Response) *http.Response {
			resp.StatusCode = 200
			resp.Header.Del("Content-Range")
			return resp
		},
		"another range": func(_ *http.Request, resp *http.Response) *http.Response {
			resp.Header.Set("Content-Range", "bytes 5-604/10000")
			resp.Body = io.NopCloser(strings.NewReader(strings.Repeat("5678901234", 60)))
			return resp
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s := newShelf(func(n int, req *http.Request, resp *http.Response) *http.Response {
					if n < 3 {
						return turn(req, resp)
					}
					return resp
				})
				_, b, err := r.get(t, transfer.GetInput{ETag: s.etag, Off: 600, Size: 600})
				if err != nil || !bytes.Equal(b, s.body[600:1200]) || len(s.asks) != 3 {
					t.Errorf("%d requests, %v", len(s.asks), err)
				}
			})
		})
	}
}

// full is a disk without room.
type full struct{}

func (full) WriteAt([]byte, int64) (int, error) {
	return 0, &transfer.Error{Op: "write", Key: "k", Err: transfer.ErrDisk}
}

// TestGetToAFullDisk proves that a disk's fault is not taken for the network's.
func TestGetToAFullDisk(t *testing.T) {
	r, s := newShelf(nil)
	_, _, err := r.get(t, transfer.GetInput{ETag: s.etag, Size: 10_000, Body: full{}})
	if !errors.Is(err, transfer.ErrDisk) || !transfer.Fatal(err) || len(s.asks) != 1 {
		t.Errorf("%d requests, %v", len(s.asks), err)
	}
}

// TestFileTime proves that the times which other tools write are read, and
// nonsense is not.
func TestFileTime(t *testing.T) {
	for v, want := range map[string]time.Time{
		"1700000000":                     time.Unix(1700000000, 0),
		"1700000000.123456789":           time.Unix(1700000000, 123456789),
		"1700000000.5":                   time.Unix(1700000000, 5e8),
		"-1.5":                           time.Unix(-1, -5e8),
		"":                               {},
		"yesterday":                      {},
		"99999999999999999":              {},
		"1700000000.-5":                  {},
		"2023-11-14T22:13:20.000000000Z": {},
	} {
		if got := fileTime(map[string]string{"mtime": v}); !got.Equal(want) {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
	if got := fileTime(map[string]string{"s3cmd-attrs": "atime:5/ctime:6/gid:0/mtime:1700000000/uid:0"}); got.Unix() != 1700000000 {
		t.Errorf("s3cmd: %v", got)
	}
}
