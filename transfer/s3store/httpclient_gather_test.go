package s3store

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"encoding/pem"
)

// trustingClient is a client of NewHTTPClient that trusts the server.
func trustingClient(t *testing.T, s *httptest.Server) *HTTPClient {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := NewHTTPClient(HTTPOptions{CABundle: file, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// TestHTTPGatheredBodies proves that bodies of every size around a record and a
// gathered write arrive as they were.
func TestHTTPGatheredBodies(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := crc32.NewIEEE()
		n, err := io.Copy(h, r.Body)
		if err != nil || n != r.ContentLength {
			t.Errorf("%d of %d bytes: %v", n, r.ContentLength, err)
		}
		_, _ = io.WriteString(w, strconv.FormatUint(uint64(h.Sum32()), 10))
	}))
	defer s.Close()
	c := trustingClient(t, s)
	data := make([]byte, 3*pieceSize+1)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	for _, size := range []int{1, recordSize - 1, recordSize, recordSize + 1, pieceSize - 1, pieceSize, pieceSize + 1, len(data)} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL, bytes.NewReader(data[:size]))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if want := strconv.FormatUint(uint64(crc32.ChecksumIEEE(data[:size])), 10); string(got) != want {
			t.Errorf("%d bytes arrived as something else", size)
		}
	}
}

// countingConn counts writes and fails from a given one on.
type countingConn struct {
	net.Conn
	writes, fail int
}

var errBroken = errors.New("broken")

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes++
	if c.fail > 0 && c.writes >= c.fail {
		return 0, errBroken
	}
	return len(b), nil
}

func TestGatherConn(t *testing.T) {
	under := &countingConn{}
	g := &gatherConn{Conn: under}
	g.begin()
	for range 8 {
		if n, err := g.Write(make([]byte, recordSize)); n != recordSize || err != nil {
			t.Fatal(n, err)
		}
	}
	if under.writes != 0 {
		t.Errorf("%d writes before the flush", under.writes)
	}
	if err := g.flush(); err != nil || under.writes != 1 {
		t.Errorf("flush: %v after %d writes, want one", err, under.writes)
	}
	if err := g.flush(); err != nil || under.writes != 1 {
		t.Errorf("an empty flush: %v after %d writes", err, under.writes)
	}
	g.begin()
	for range 2 {
		if n, err := g.Write(make([]byte, pieceSize)); n != pieceSize || err != nil {
			t.Fatal(n, err)
		}
	}
	if n, err := g.Write(make([]byte, 2*pieceSize)); n != 2*pieceSize || err != nil || under.writes != 4 {
		t.Errorf("more than is kept: %d, %v after %d writes, want 4", n, err, under.writes)
	}
	if err := g.flush(); err != nil || under.writes != 4 {
		t.Errorf("all was out already: %v after %d writes", err, under.writes)
	}
	under.fail = 1
	g.begin()
	_, _ = g.Write([]byte("x"))
	if err := g.flush(); !errors.Is(err, errBroken) {
		t.Errorf("a flush that fails says %v", err)
	}
}
