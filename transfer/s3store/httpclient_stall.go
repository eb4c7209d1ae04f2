package s3store

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// stallConn fails a write of which not one byte leaves for a while. net/http
// bounds the wait for an answer, but a body that the other side stops reading
// blocks for as long as TCP keeps the connection.
type stallConn struct {
	net.Conn
	stall time.Duration
	every time.Duration // how often the deadline is set anew: it costs a lock and a timer each time
	armed atomic.Int64  // when it was, in ns since base
	given atomic.Bool   // somebody else set a deadline, which is left alone
	base  time.Time
}

func newStallConn(c net.Conn, stall time.Duration) *stallConn {
	every := min(time.Second, stall/4)
	s := &stallConn{Conn: c, stall: stall, every: every, base: time.Now()}
	s.armed.Store(-int64(every)) // the first write sets it
	return s
}

func (c *stallConn) Write(b []byte) (int, error) {
	written := 0
	for {
		c.arm()
		n, err := c.Conn.Write(b[written:])
		written += n
		if n == 0 || written == len(b) || c.given.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		c.armed.Store(-int64(c.every)) // slow, but it moves: on with the rest
	}
}

// ReadFrom takes a body in pieces of pieceSize; net/http would make a buffer for each.
func (c *stallConn) ReadFrom(r io.Reader) (int64, error) { return inPieces(c, r) }

func (c *stallConn) arm() {
	if c.given.Load() {
		return
	}
	if since := time.Since(c.base); int64(since)-c.armed.Load() >= int64(c.every) {
		c.armed.Store(int64(since))
		// A connection that is closed already says so when it is written to.
		_ = c.Conn.SetWriteDeadline(time.Now().Add(c.stall))
	}
}

// SetWriteDeadline keeps the shorter time that crypto/tls gives its last words.
func (c *stallConn) SetWriteDeadline(t time.Time) error {
	c.given.Store(!t.IsZero())
	c.armed.Store(-int64(c.every))
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline is both SetReadDeadline and SetWriteDeadline.
func (c *stallConn) SetDeadline(t time.Time) error {
	c.given.Store(!t.IsZero())
	c.armed.Store(-int64(c.every))
	return c.Conn.SetDeadline(t)
}
