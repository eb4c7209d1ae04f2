package s3store

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"agent/bench/sink"
	"agent/transfer"
	"agent/transfer/storetest"
)

// The hot paths, for benchstat: go test -run - -bench . -count 10 ./transfer/s3store
// The time is that of client and server together; allocations are, too.

// discarding is a store over a server on this machine that keeps nothing.
func discarding(b *testing.B, https bool) *Store {
	b.Helper()
	ca := filepath.Join(b.TempDir(), "ca.pem")
	s, err := sink.Start(ca)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	c, err := NewHTTPClient(HTTPOptions{CABundle: ca, Getenv: func(string) string { return "" }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.CloseIdle)
	o := Options{Bucket: "bench", Region: "eu-west-2", Credentials: newKeys("key-1"), HTTP: c}
	if o.Endpoint, _ = s.URL(); https {
		_, o.Endpoint = s.URL()
	}
	return New(o)
}

func random(b *testing.B, size int) []byte {
	b.Helper()
	data := make([]byte, size)
	if _, err := rand.Read(data); err != nil {
		b.Fatal(err)
	}
	return data
}

func protocol(https bool) string {
	if https {
		return "https"
	}
	return "http"
}

// BenchmarkSmallPut is a whole Put of a small object.
func BenchmarkSmallPut(b *testing.B) {
	for _, https := range []bool{false, true} {
		for _, size := range []int{10 << 10, 256 << 10} {
			b.Run(fmt.Sprintf("protocol=%s/size=%dKiB", protocol(https), size>>10), func(b *testing.B) {
				s := discarding(b, https)
				in := storetest.Input("small/object.tif", random(b, size), nil)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Put(b.Context(), in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkPartSend is one part of 16 MiB, with its checksum before the bytes,
// which are read once more for it, or behind them.
func BenchmarkPartSend(b *testing.B) {
	const size = 16 << 20
	for _, https := range []bool{false, true} {
		for _, checksum := range []string{"header", "trailer"} {
			b.Run(fmt.Sprintf("protocol=%s/checksum=%s", protocol(https), checksum), func(b *testing.B) {
				s := discarding(b, https)
				in := storetest.Input("large/object.tif", random(b, size), nil)
				c := &partClient{s: s, in: &in, cancel: func(error) {},
					up: transfer.Upload{Key: in.Item.Key, ID: "upload", PartSize: size}}
				s.partVerifies.Store(true)
				s.noTrailers.Store(checksum == "header")
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := c.sendPart(b.Context(), 1, 0, size, transfer.Part{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSign is the signature of one request, with what leads to it.
func BenchmarkSign(b *testing.B) {
	s := discarding(b, false)
	key, err := s.o.Credentials.Retrieve(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	res := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	s.o.HTTP = doer(func(*http.Request) (*http.Response, error) { return res, nil })
	body := bytes.NewReader(make([]byte, 10))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.do(b.Context(), key, s.direct.put("small/object.tif", body, 10), unsigned); err != nil {
			b.Fatal(err)
		}
	}
}
