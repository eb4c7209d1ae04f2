package s3store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"agent/transfer"
	"agent/transfer/checksum"
)

// tallied counts the writes of all connections.
type tallied struct {
	net.Conn
	writes *atomic.Int64
}

func (c tallied) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// TestSmallObjectIsOneWrite proves that header and body of a small object leave
// together: apart they cost a fifth more CPU.
func TestSmallObjectIsOneWrite(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(http.Handler) *httptest.Server
		size int
		want int64
	}{
		{"http, 10 KiB", httptest.NewServer, 10 << 10, 1},
		{"https, 10 KiB", httptest.NewTLSServer, 10 << 10, 1},
		{"http, the most", httptest.NewServer, atOnceSize, 1},
		{"https, the most", httptest.NewTLSServer, atOnceSize, 1},
		{"http, empty", httptest.NewServer, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := c.make(http.HandlerFunc(takeObject))
			defer server.Close()
			var writes atomic.Int64
			r := newRig(func(o *Options) { o.Endpoint, o.HTTP = server.URL, tallying(t, server, &writes) })
			body := make([]byte, c.size)
			for i := range int64(3) {
				before := writes.Load()
				if _, err := r.put(t, "k", body); err != nil {
					t.Fatal(err)
				}
				if n := writes.Load() - before; i > 0 && n != c.want { // the first one makes the connection
					t.Errorf("%d writes, want %d", n, c.want)
				}
			}
			if _, moved := r.told(transfer.Moved); moved != int64(3*c.size) {
				t.Errorf("%d bytes told as moved, want %d", moved, 3*c.size)
			}
		})
	}
}

// takeObject answers a PutObject like a store that compares checksums.
func takeObject(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Etag", etagOf(body))
	w.Header().Set("X-Amz-Checksum-Crc64nvme", checksum.Encode64(checksum.Sum64(body)))
}

// tallying is a client of s with this package's way of TLS, and its write buffer.
func tallying(t *testing.T, s *httptest.Server, writes *atomic.Int64) *http.Client {
	t.Helper()
	var d net.Dialer
	tr := &http.Transport{WriteBufferSize: writeBuffer, TLSClientConfig: &tls.Config{DynamicRecordSizingDisabled: true}}
	if s.TLS != nil {
		tr.TLSClientConfig.RootCAs = x509.NewCertPool()
		tr.TLSClientConfig.RootCAs.AddCert(s.Certificate())
	}
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return tallied{c, writes}, nil
	}
	gather(tr, 10*time.Second)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// TestAtOnceFailed proves that the buffer of an attempt that failed is not used
// again: the transport may still read from it. What was sent of it did not move.
func TestAtOnceFailed(t *testing.T) {
	var moved int64
	for _, failed := range []bool{false, true} {
		b := &buffers{share: smallSize}
		p, err := b.load(storedZeros(10<<10), 0, 10<<10, false)
		if err != nil {
			t.Fatal(err)
		}
		moved = 0
		p.moved = func(n int64) { moved += n }
		p.begin(false)
		if n, err := io.Copy(io.Discard, atOnce(p)); n != p.size || err != nil {
			t.Fatal(n, err)
		}
		p.end(failed)
		if want := map[bool]int64{false: p.size, true: 0}[failed]; moved != want {
			t.Errorf("failed %v: %d bytes moved, want %d", failed, moved, want)
		}
		if p.lost != failed {
			t.Errorf("failed %v: the buffer is used again: %v", failed, !p.lost)
		}
		p.done()
		if n := b.out.Load(); n != 0 {
			t.Errorf("failed %v: %d bytes stay held", failed, n)
		}
	}
}

// storedZeros is a file of zeros.
type storedZeros int64

func (n storedZeros) ReadAt(b []byte, off int64) (int, error) {
	if off >= int64(n) {
		return 0, io.EOF
	}
	clear(b)
	return min(len(b), int(int64(n)-off)), nil
}
