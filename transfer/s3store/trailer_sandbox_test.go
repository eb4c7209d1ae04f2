package s3store_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/s3store"
	"agent/transfer/storetest"
)

// trailing counts the parts whose checksum comes behind their bytes, and damages
// the n-th of them.
type trailing struct {
	storetest.Doer
	count, damage int
}

func (d *trailing) Do(req *http.Request) (*http.Response, error) {
	if req.Header.Get("X-Amz-Trailer") != "" {
		d.count++
		if d.count == d.damage {
			again := req.Clone(req.Context())
			again.Body = io.NopCloser(&flipped{r: req.Body})
			req = again
		}
	}
	return d.Doer.Do(req)
}

// flipped changes one byte in the middle of the first large piece.
type flipped struct {
	r    io.Reader
	done bool
}

func (f *flipped) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if n > 1000 && !f.done {
		b[n/2] ^= 1
		f.done = true
	}
	return n, err
}

// TestSandboxComparesTrailers proves that a real store takes checksums behind
// the bytes, and refuses bytes that were damaged on the way.
func TestSandboxComparesTrailers(t *testing.T) {
	s := sandbox(t, "platform")
	body := noise(3, 5*partSize+1000)
	d := &trailing{Doer: client(t), damage: 2}
	o := optionsFor(t, s, d)
	o.Parallel = 1
	var retries []string
	o.Event = func(e transfer.Event) {
		if e.Kind == transfer.Retry {
			retries = append(retries, e.Err.Error())
		}
	}
	key := storetest.Workspace + t.Name()
	out, err := s3store.New(o).Put(t.Context(), storetest.Input(key, body, &storetest.Journal{}))
	if err != nil {
		t.Fatal(err)
	}
	if !out.Verified || out.CRC64 != checksum.Sum64(body) {
		t.Errorf("%+v", out)
	}
	if d.count != 5 { // the first shows that the store compares; one of the others goes twice
		t.Errorf("%d parts had their checksum behind them, want 5", d.count)
	}
	if len(retries) != 1 || !strings.Contains(retries[0], "BadDigest") {
		t.Errorf("retried for %q, want one BadDigest", retries)
	}
	wantStored(t, s, key, bytes.Clone(body))
}
