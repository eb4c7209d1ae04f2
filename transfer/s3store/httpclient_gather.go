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

// gatherSize is how many bytes of a body are encrypted before they are written.
// crypto/tls makes a system call of every record of 16 KiB, which is two fifths
// of the CPU of large bodies over https.
const gatherSize = 128 << 10

// gather makes t write several TLS records at once. Through a proxy the
// transport makes its own TLS, and a call for each record.
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
	mu   sync.Mutex
	hold bool
	buf  []byte
}

func (g *gatherConn) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.hold {
		return g.Conn.Write(b)
	}
	g.buf = append(g.buf, b...)
	return len(b), nil
}

func (g *gatherConn) begin() {
	g.mu.Lock()
	g.hold = true
	g.mu.Unlock()
}

func (g *gatherConn) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = false
	if len(g.buf) == 0 {
		return nil
	}
	_, err := g.Conn.Write(g.buf)
	g.buf = g.buf[:0]
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

var gatherBufs = sync.Pool{New: func() any { b := make([]byte, gatherSize); return &b }}

// ReadFrom takes a body in pieces of gatherSize; net/http's own are of 32 KiB.
func (c gatheredTLS) ReadFrom(r io.Reader) (n int64, err error) {
	p, _ := gatherBufs.Get().(*[]byte)
	defer gatherBufs.Put(p)
	for {
		m, rerr := r.Read(*p)
		if m > 0 {
			w, werr := c.Write((*p)[:m])
			n += int64(w)
			if werr != nil {
				return n, werr
			}
		}
		switch {
		case errors.Is(rerr, io.EOF):
			return n, nil
		case rerr != nil:
			return n, rerr
		}
	}
}
