package s3store

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// gather makes t write all TLS records of a piece at once: crypto/tls makes a
// system call of every record of 16 KiB, which is two fifths of the CPU of large
// bodies over https. Through a proxy the transport makes its own TLS, and a call for each record.
func gather(t *http.Transport, handshake time.Duration) {
	dial := t.DialContext
	t.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		cfg := t.TLSClientConfig.Clone()
		cfg.ServerName = host
		g := &gatherConn{Conn: raw}
		c := tls.Client(g, cfg)
		ctx, cancel := context.WithTimeout(ctx, handshake)
		defer cancel()
		if err := c.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		return gatheredTLS{c, g}, nil
	}
}

// gatherConn lies below a tls.Conn and keeps what it writes, between begin and
// flush, to write it at once. Records stay in the order they were made.
type gatherConn struct {
	net.Conn
	mu  sync.Mutex
	buf *[]byte // of pieces; nil where nothing is kept
	n   int     // bytes in it
}

func (g *gatherConn) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.buf == nil {
		return g.Conn.Write(b)
	}
	if g.n+len(b) > len(*g.buf) {
		if err := g.out(); err != nil {
			return 0, err
		}
		if len(b) > len(*g.buf) {
			return g.Conn.Write(b)
		}
	}
	g.n += copy((*g.buf)[g.n:], b)
	return len(b), nil
}

// out writes what was kept. The caller holds mu.
func (g *gatherConn) out() error {
	n := g.n
	if g.n = 0; n == 0 {
		return nil
	}
	_, err := g.Conn.Write((*g.buf)[:n])
	return err
}

func (g *gatherConn) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.buf = takePiece()
}

func (g *gatherConn) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.buf == nil {
		return nil
	}
	err := g.out()
	pieces.Put(g.buf)
	g.buf = nil
	return err
}

// gatheredTLS is a tls.Conn over a gatherConn.
type gatheredTLS struct {
	*tls.Conn
	g *gatherConn
}

const recordSize = 16 << 10 // the most that TLS puts into one record

func (c gatheredTLS) Write(b []byte) (int, error) {
	if len(b) <= recordSize {
		return c.Conn.Write(b)
	}
	c.g.begin()
	n, err := c.Conn.Write(b)
	// What was encrypted has to go, also before an error.
	if ferr := c.g.flush(); ferr != nil {
		return 0, errors.Join(ferr, err)
	}
	return n, err
}

// ReadFrom takes a body in pieces of pieceSize; net/http's own are of 32 KiB.
func (c gatheredTLS) ReadFrom(r io.Reader) (int64, error) { return inPieces(c, r) }
