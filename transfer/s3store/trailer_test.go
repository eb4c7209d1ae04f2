package s3store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// frames is what a store does with a body in S3's chunked form.
type frames uint8

const (
	framesTaken  frames = iota
	framesUnread        // it takes the bytes and does not look at the checksum
	framesStored        // it takes the frame for bytes
)

// framed is UploadPart with the checksum behind the bytes.
func (f *fakeS3) framed(r *http.Request, parts map[string][]byte, body []byte) *http.Response {
	number := r.URL.Query().Get("partNumber")
	if f.frames == framesStored {
		parts[number] = body
		return f.sums(r, good(r, ""), body)
	}
	var size int
	if _, err := fmt.Sscanf(string(body), "%x\r\n", &size); err != nil || r.ContentLength != int64(len(body)) {
		return refusal(r, 400, "IncompleteBody")
	}
	start := bytes.Index(body, []byte("\r\n")) + 2
	data, rest := body[start:start+size], string(body[start+size:])
	sum, ok := strings.CutPrefix(rest, "\r\n0\r\nx-amz-checksum-crc64nvme:")
	want := checksum.Encode64(checksum.Sum64(data))
	if !ok || sum != want+"\r\n\r\n" || r.Header.Get("X-Amz-Decoded-Content-Length") != fmt.Sprint(size) {
		return refusal(r, 400, "BadDigest")
	}
	parts[number] = data
	resp := f.sums(r, good(r, ""), data)
	if f.frames == framesTaken {
		resp.Header.Set("X-Amz-Checksum-Crc64nvme", want)
	}
	return resp
}

// trailedPart is a request with the checksum behind the bytes.
func trailedPart(r *http.Request) bool { return r.Header.Get("X-Amz-Trailer") != "" }

// putSeveral stores an object of many parts, and says how many of them were
// sent with the checksum behind the bytes, and how many parts were sent at all.
func putSeveral(t *testing.T, r *rig, parts int) (behind, all int) {
	t.Helper()
	body := bytes.Repeat([]byte("0123456789abcdef"), parts*MinPartSize/16)
	body = append(body, "the end"...)
	r.faults.On(0, func(req *http.Request) bool {
		if storetest.OpOf(req) == opPart {
			all++
			if trailedPart(req) {
				behind++
			}
		}
		return false
	}, storetest.Refuse(500, "never"))
	r.mustPut(t, "large", body)
	if !bytes.Equal(r.s3.object("large"), body) {
		t.Error("other bytes are stored")
	}
	return behind, all
}

// TestChecksumBehindTheBytes proves that parts are read once where the store
// shows that it compares such checksums, and that nowhere else anything but one
// part is sent in vain.
func TestChecksumBehindTheBytes(t *testing.T) {
	const parts = 5
	serial := func(o *Options) { o.Parallel = 1 }
	for name, tt := range map[string]struct {
		setUp       func(*rig)
		behind, all int
	}{
		"taken":                 {func(*rig) {}, parts - 1, parts + 1},
		"not looked at":         {func(r *rig) { r.s3.frames = framesUnread }, 1, parts + 2},
		"stored with the frame": {func(r *rig) { r.s3.frames = framesStored }, 1, parts + 2},
		"refused":               {func(r *rig) { r.faults.On(0, trailedPart, storetest.Refuse(400, "InvalidRequest")) }, 1, parts + 2},
		"not known":             {func(r *rig) { r.faults.On(0, trailedPart, storetest.Refuse(501, "NotImplemented")) }, 1, parts + 2},
		"no checksums at all":   {func(r *rig) { r.s3.noSums = true }, 0, parts + 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(serial)
				tt.setUp(r)
				behind, all := putSeveral(t, r, parts)
				// What is left at the end is too small for it.
				if behind != tt.behind || all != tt.all {
					t.Errorf("%d of %d parts had their checksum behind them, want %d of %d", behind, all, tt.behind, tt.all)
				}
				if moved, want := sum(r, transfer.Moved), int64(parts*MinPartSize+7); moved != want {
					t.Errorf("told of %d bytes moved, want %d", moved, want)
				}
			})
		})
	}
}

// TestNoTrailerWherePartsAreNotSummed proves that a store which compares the
// checksums of objects, but not those of parts, is sent no part in vain.
func TestNoTrailerWherePartsAreNotSummed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) { o.Parallel = 1 })
		if out := r.mustPut(t, "small", []byte("of one request")); !out.Verified {
			t.Fatal("the object's checksum is not named")
		}
		r.s3.noSums = true
		const parts = 3
		if behind, all := putSeveral(t, r, parts); behind != 0 || all != parts+1 {
			t.Errorf("%d of %d parts had their checksum behind them, want 0 of %d", behind, all, parts+1)
		}
	})
}

func sum(r *rig, kind transfer.Kind) int64 {
	_, n := r.told(kind)
	return n
}

// TestTrailedPartAgain proves that a part whose connection breaks, or whose
// bytes are damaged on the way, goes again as a whole.
func TestTrailedPartAgain(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{
		"reset": storetest.Reset(false), "lost reply": storetest.Reset(true),
		"away": storetest.Refuse(503, "SlowDown"), "damaged": storetest.Refuse(400, "BadDigest"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(func(o *Options) { o.Parallel = 2 })
				n := 0
				r.faults.On(0, func(req *http.Request) bool {
					n++
					return trailedPart(req) && n%3 == 0
				}, fault)
				if behind, _ := putSeveral(t, r, 6); behind < 4 {
					t.Errorf("%d parts had their checksum behind them", behind)
				}
			})
		})
	}
}

// TestTrailedBody proves that the frame is right however it is read.
func TestTrailedBody(t *testing.T) {
	data := []byte("some bytes")
	for _, n := range []int{1, 3, 1000} {
		b := &buffers{share: 1}
		p := b.unread(bytes.NewReader(data), 0, int64(len(data)))
		p.begin(false)
		body := newTrailedBody(p)
		want := fmt.Sprintf("a\r\n%s\r\n0\r\nx-amz-checksum-crc64nvme:%s\r\n\r\n", data, checksum.Encode64(checksum.Sum64(data)))
		if body.length() != int64(len(want)) {
			t.Errorf("it says %d bytes, want %d", body.length(), len(want))
		}
		var got []byte
		buf := make([]byte, n)
		for {
			m, err := body.Read(buf)
			got = append(got, buf[:m]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, []byte(want)) {
			t.Errorf("read by %d: %q, want %q", n, got, want)
		}
	}
}
