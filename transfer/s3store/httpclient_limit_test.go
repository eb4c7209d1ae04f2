package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func steady(rate int64) func(time.Time) int64 { return func(time.Time) int64 { return rate } }

// endless is a body without end, read in whatever pieces are asked for.
type endless struct{ piece int }

func (z endless) Read(b []byte) (int, error) { return min(len(b), z.piece), nil }
func (endless) Close() error                 { return nil }

// moved is how much n bodies move in d.
func moved(t *testing.T, l *Limiter, n, piece int, d time.Duration) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var total atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			body := &limitedBody{ReadCloser: endless{piece}, ctx: ctx, limit: l}
			buf := make([]byte, 128<<10)
			for {
				m, err := body.Read(buf)
				if err != nil {
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					return
				}
				total.Add(int64(m))
			}
		})
	}
	all.Wait()
	return total.Load()
}

// within reports a figure that is more than 5 % off.
func within(t *testing.T, what string, got, want int64) {
	t.Helper()
	if diff := float64(got-want) / float64(want); diff > 0.05 || diff < -0.05 {
		t.Errorf("%s: %d bytes, want %d: %.1f %% off", what, got, want, diff*100)
	}
}

func TestLimitHolds(t *testing.T) {
	for _, rate := range []int64{1 << 10, 10_000, 300 << 10, 10 << 20, 40 << 20, 1 << 30} {
		for _, bodies := range []int{1, 36} {
			for _, piece := range []int{700, 16 << 10, 128 << 10} {
				if rate > 1<<28 && piece < 128<<10 {
					continue // half a million reads
				}
				t.Run(fmt.Sprintf("%d/%d/%d", rate, bodies, piece), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						within(t, "10 s", moved(t, NewLimiter(steady(rate)), bodies, piece, 10*time.Second), 10*rate)
					})
				})
			}
		}
	}
}

// What was not used a while ago is not made up for later.
func TestLimitAfterIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(steady(1 << 20))
		moved(t, l, 4, 32<<10, time.Second)
		time.Sleep(time.Hour)
		within(t, "10 s after an hour", moved(t, l, 4, 32<<10, 10*time.Second), 10<<20)
	})
}

// An edge of the timetable counts while bodies are on their way, in both
// directions, and also on to and off from no limit at all.
func TestLimitChangesWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now().Truncate(time.Minute)
		var slow int64 = 100 << 10
		l := NewLimiter(func(now time.Time) int64 {
			if now.Sub(begin) < time.Minute {
				return slow
			}
			return 10 << 20
		})
		time.Sleep(time.Until(begin.Add(50 * time.Second)))
		within(t, "across the edge upwards", moved(t, l, 8, 32<<10, 20*time.Second), 10*slow+10*(10<<20))

		begin = time.Now().Truncate(time.Minute).Add(time.Minute)
		slow = 20 << 20
		time.Sleep(time.Until(begin.Add(50 * time.Second)))
		within(t, "across the edge downwards", moved(t, l, 8, 32<<10, 20*time.Second), 10*slow+10*(10<<20))
	})
}

func TestLimitOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(steady(0))
		began := time.Now()
		body := &limitedBody{ReadCloser: endless{1 << 20}, ctx: t.Context(), limit: l}
		for range 1000 {
			if n, err := body.Read(make([]byte, 1<<20)); n != 1<<20 || err != nil {
				t.Fatal(n, err)
			}
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("waited %v", d)
		}
	})
}

// Everybody keeps moving: a connection that is silent for long is closed by
// the other side.
func TestLimitStarvesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(steady(32 << 10))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var all sync.WaitGroup
		for range 36 {
			all.Go(func() {
				body := &limitedBody{ReadCloser: endless{128 << 10}, ctx: ctx, limit: l}
				buf := make([]byte, 128<<10)
				for last := time.Now(); ; last = time.Now() {
					if _, err := body.Read(buf); err != nil {
						return
					}
					if d := time.Since(last); d > 5*time.Second {
						t.Errorf("silent for %v", d)
					}
				}
			})
		}
		all.Wait()
	})
}

// A request over a slow limit fails neither by the stall detector nor by the
// time allowed for an answer, however long it takes; what it gets is limited, too.
func TestLimitFiresNoStallDetector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, rate = 512 << 10, 2 << 10 // more than four minutes
		far, near := net.Pipe()
		h, err := NewHTTPClient(HTTPOptions{Limit: NewLimiter(steady(rate)), WriteTimeout: 4 * time.Second, HeaderTimeout: 4 * time.Second, Getenv: quiet(nil)})
		if err != nil {
			t.Fatal(err)
		}
		g, ok := h.client.Transport.(guarded)
		if !ok {
			t.Fatalf("%T", h.client.Transport)
		}
		g.DialContext = func(context.Context, string, string) (net.Conn, error) { return newStallConn(near, 4*time.Second), nil }
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			if n != size || err != nil {
				t.Errorf("%d bytes arrived: %v", n, err)
			}
			_, _ = w.Write(make([]byte, size))
		})}
		l := &oneConn{conn: far, done: make(chan struct{})}
		go func() { _ = srv.Serve(l) }()
		began := time.Now()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://store.test/key", bytes.NewReader(make([]byte, size)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := h.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		within(t, "up", int64(time.Since(began).Seconds()*rate), size)
		n, err := io.Copy(io.Discard, resp.Body)
		if n != size || err != nil {
			t.Errorf("%d bytes came back: %v", n, err)
		}
		_ = resp.Body.Close()
		within(t, "both ways", int64(time.Since(began).Seconds()*rate), 2*size)
		h.CloseIdle()
		close(l.done)
		_ = srv.Close()
	})
}

// A request that is given up does not wait for its turn.
func TestLimitGivesUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(steady(1))
		if _, err := l.take(t.Context(), limitLeast); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 3 { // one sleeps, two queue
			all.Go(func() {
				if _, err := l.take(ctx, 1); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		cancel()
		all.Wait()
		if d := time.Since(began); d != 0 {
			t.Errorf("waited %v", d)
		}
	})
}

func TestNoLimitWrapsNothing(t *testing.T) {
	var got io.Reader
	h := newTestHTTP(t, HTTPOptions{})
	if h.limit != nil {
		t.Error("there is a limiter")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://store.test/key", bytes.NewReader(make([]byte, 10)))
	if err != nil {
		t.Fatal(err)
	}
	got = req.Body
	NewLimiter(steady(1)).request(req)
	if req.Body == got {
		t.Error("a limiter wraps the body")
	}
	if b, err := req.GetBody(); err != nil {
		t.Error(err)
	} else if _, ok := b.(*limitedBody); !ok {
		t.Errorf("the body of a repetition is %T", b)
	}
}

// oneConn is a listener with one connection.
type oneConn struct {
	mu   sync.Mutex
	conn net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	l.mu.Lock()
	c := l.conn
	l.conn = nil
	l.mu.Unlock()
	if c != nil {
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
