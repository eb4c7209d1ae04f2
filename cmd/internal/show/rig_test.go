package show

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"agent/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a sink with everything around it under control. It lives in a
// synctest bubble, so time passes only when it sleeps.
type rig struct {
	*Sink
	out, err safeBuffer
	width    atomic.Int64
}

type safeBuffer struct {
	mu     sync.Mutex
	b      bytes.Buffer
	writes int
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newRig(o Options) *rig {
	r := new(rig)
	r.width.Store(100)
	o.Out, o.Err = &r.out, &r.err
	o.Width = func() int { return int(r.width.Load()) }
	if o.Env == nil {
		o.Env = func(string) string { return "xterm" }
	}
	r.Sink = New(o)
	return r
}

// screen is what a terminal of that width shows after s: the lines, and the
// column the cursor is in. It knows \r and \n; whatever else controls a
// terminal is an error.
func screen(t *testing.T, s string, width int) (lines []string, column int) {
	t.Helper()
	rows := [][]rune{nil}
	for _, r := range s {
		row := &rows[len(rows)-1]
		switch {
		case r == '\r':
			column = 0
			continue
		case r == '\n':
			rows, column = append(rows, nil), 0
			continue
		case r < ' ' || r >= 0x7f && r < 0xa0:
			t.Fatalf("control character %q in %q", r, s)
		case column >= width:
			rows, column = append(rows, nil), 0
			row = &rows[len(rows)-1]
		}
		for len(*row) <= column {
			*row = append(*row, ' ')
		}
		(*row)[column] = r
		column++
	}
	for _, r := range rows {
		lines = append(lines, strings.TrimRight(string(r), " "))
	}
	return lines, column
}

func (r *rig) screen(t *testing.T) []string {
	t.Helper()
	lines, _ := screen(t, r.err.String(), int(r.width.Load()))
	return lines
}

func (r *rig) last(t *testing.T) string {
	t.Helper()
	l := r.screen(t)
	return l[len(l)-1]
}

func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}

const mib = 1 << 20

func (r *rig) events(events ...transfer.Event) {
	for _, e := range events {
		r.Event(e)
	}
}
