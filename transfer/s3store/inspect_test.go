package s3store_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/s3store"
	"agent/transfer/storetest"
)

// cutting ends each body of a GET early, n times.
type cutting struct {
	next  storetest.Doer
	n     atomic.Int64
	after int64
	gets  atomic.Int64
}

func (c *cutting) Do(r *http.Request) (*http.Response, error) {
	resp, err := c.next.Do(r)
	if err == nil && r.Method == http.MethodGet && !r.URL.Query().Has("list-type") && resp.StatusCode < 300 {
		c.gets.Add(1)
		if c.n.Add(-1) >= 0 {
			resp.Body = cut{io.LimitReader(resp.Body, c.after), resp.Body}
		}
	}
	return resp, err
}

type cut struct {
	io.Reader
	io.Closer
}

func (c cut) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// TestGetWhole proves that each byte is written once, in order, over a
// connection that breaks, and never those of two objects.
func TestGetWhole(t *testing.T) {
	for _, role := range []string{"full", "platform"} {
		t.Run(role, func(t *testing.T) {
			sb := sandbox(t, role)
			c := &cutting{next: client(t), after: 300_000}
			s := s3store.New(optionsFor(t, sb, c))
			key := storetest.Workspace + "whole/" + role
			body := noise(7, 1_000_000)
			out, err := s.Put(t.Context(), storetest.Input(key, body, nil))
			if err != nil {
				t.Fatal(err)
			}
			c.n.Store(3)
			var got bytes.Buffer
			if err := s.GetWhole(t.Context(), key, out.ETag, int64(len(body)), &got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), body) || c.gets.Load() != 4 {
				t.Errorf("%d bytes in %d requests, the right ones: %v", got.Len(), c.gets.Load(), bytes.Equal(got.Bytes(), body))
			}
			if _, err := s.Put(t.Context(), storetest.Input(key, body[1:], nil)); err != nil {
				t.Fatal(err)
			}
			if err := s.GetWhole(t.Context(), key, out.ETag, int64(len(body)), io.Discard); !errors.Is(err, transfer.ErrChanged) {
				t.Errorf("replaced: %v", err)
			}
			if err := s.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			err = s.GetWhole(t.Context(), key, out.ETag, 1, io.Discard)
			if !errors.Is(err, transfer.ErrNotExist) && !errors.Is(err, transfer.ErrDenied) {
				t.Errorf("gone: %v", err)
			}
		})
	}
}

// TestInspect proves what is told of objects that others stored in their ways.
func TestInspect(t *testing.T) {
	for _, role := range []string{"full", "platform"} {
		t.Run(role, func(t *testing.T) {
			sb := sandbox(t, role)
			s := s3store.New(optionsFor(t, sb, nil))
			w, err := sb.Witness()
			if err != nil {
				t.Fatal(err)
			}
			prefix := storetest.Workspace + "inspect-" + role + "/"
			body := noise(9, 12<<20)
			put := func(name string, b []byte, o minio.PutObjectOptions) transfer.Stored {
				t.Helper()
				if _, err := w.PutObject(t.Context(), sb.Bucket(), prefix+name, bytes.NewReader(b), int64(len(b)), o); err != nil {
					t.Fatal(err)
				}
				st, err := s.Inspect(t.Context(), prefix+name)
				if err != nil {
					t.Fatal(err)
				}
				if st.Size != int64(len(b)) || st.ETag == "" {
					t.Errorf("%s: %+v", name, st)
				}
				return st
			}
			if st := put("own", body[:1000], minio.PutObjectOptions{AutoChecksum: minio.ChecksumCRC64NVME}); !st.Whole() ||
				st.Sums[0] != (transfer.StoredSum{Algorithm: "crc64nvme", Value: checksum.Encode64(checksum.Sum64(body[:1000]))}) {
				t.Errorf("own: %+v", st)
			}
			st := put("parts", body, minio.PutObjectOptions{PartSize: 5 << 20, DisableContentSha256: true, SendContentMd5: true})
			if st.Parts != 3 || !strings.HasSuffix(strings.Trim(st.ETag, `"`), "-3") {
				t.Errorf("parts: %+v", st)
			}
			if st.PartSize != 0 && st.PartSize != 5<<20 {
				t.Errorf("parts of %d bytes", st.PartSize)
			}
			if _, err := s.Inspect(t.Context(), prefix+"missing"); !errors.Is(err, transfer.ErrNotExist) {
				t.Errorf("missing: %v", err)
			}
			var keys []string
			for obj, err := range s.ListDir(t.Context(), prefix) {
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, strings.TrimPrefix(obj.Key, prefix))
			}
			if !slices.Equal(keys, []string{"own", "parts"}) {
				t.Errorf("listed %q", keys)
			}
		})
	}
}
