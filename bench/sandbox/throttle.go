package main

import (
	"context"
	"io"
	"net"

	"golang.org/x/time/rate"
)

const (
	// throttleBurst is what may pass at once after a pause.
	throttleBurst = 128 << 10
	// throttleBuffer is the receive buffer asked for per connection, so that
	// the kernel does not take megabytes ahead of the throttle.
	throttleBuffer = 64 << 10
)

// limiter is one token bucket for all request bodies.
type limiter struct {
	bucket *rate.Limiter
	piece  int // largest read, bytes
}

// newLimiter makes the bucket for a rate; none for rate zero.
func newLimiter(r byteRate) *limiter {
	if r == 0 {
		return nil
	}
	// Reads of about 1 ms each are smooth at any rate.
	piece := min(max(int(r/1000), 1<<10), 32<<10)
	return &limiter{bucket: rate.NewLimiter(rate.Limit(r), throttleBurst), piece: piece}
}

// reader throttles src until ctx ends. A nil limiter does not throttle.
func (l *limiter) reader(ctx context.Context, src io.Reader) io.Reader {
	if l == nil {
		return src
	}
	return &throttled{ctx: ctx, limiter: l, src: src}
}

// throttled is one body under a limiter. It lives as long as its request, so
// it may keep the request's context.
type throttled struct {
	ctx     context.Context
	limiter *limiter
	src     io.Reader
}

func (t *throttled) Read(p []byte) (int, error) {
	n, err := t.src.Read(p[:min(len(p), t.limiter.piece)])
	if n > 0 {
		if werr := t.limiter.bucket.WaitN(t.ctx, n); werr != nil {
			return n, werr
		}
	}
	return n, err
}

// listener bounds the receive buffers of the connections it accepts.
func (l *limiter) listener(inner net.Listener) net.Listener {
	if l == nil {
		return inner
	}
	return boundedListener{inner}
}

type boundedListener struct{ net.Listener }

func (l boundedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(throttleBuffer) // a hint
	}
	return conn, err
}
