package transfer_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
)

// ticking is a file on a file system whose times move every ten milliseconds
// only, and are set when a write begins, as those of Linux are.
type ticking struct {
	mu        sync.Mutex
	old, body string
	began     time.Time // of the last write
	takes     time.Duration
	reads     int
	onRead    func(n int) // before the n-th reading of a byte
}

func (f *ticking) write(body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.old, f.body, f.began = f.body, body, time.Now()
}

// now is what a reader finds: while a write is under way its first half is there.
func (f *ticking) now() string {
	if half := len(f.body) / 2; time.Since(f.began) < f.takes {
		return f.body[:half] + f.old[half:]
	}
	return f.body
}

func (f *ticking) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		f.mu.Lock()
		f.reads++
		n := f.reads
		f.mu.Unlock()
		if f.onRead != nil {
			f.onRead(n)
		}
		f.mu.Lock()
		body := f.now()
		f.mu.Unlock()
		if off+int64(i) >= int64(len(body)) {
			return i, io.EOF
		}
		p[i] = body[off+int64(i)]
	}
	return len(p), nil
}

func (f *ticking) Stat() (transfer.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.began.Truncate(10 * time.Millisecond).Add(1).UnixNano()
	return transfer.Stat{Size: int64(len(f.body)), MTime: at, CTime: at, Inode: 1}, nil
}

func (f *ticking) Now() (transfer.Stat, error) { return f.Stat() }
func (f *ticking) Close() error                { return nil }

// sendTicking uploads f, and returns what is stored then.
func sendTicking(t *testing.T, f *ticking) (stored string, failed error) {
	t.Helper()
	jb := newJob(t, map[string]string{"k": f.body})
	jb.o.Open = func(string) (transfer.File, error) { return f, nil }
	if res, err := jb.run(jb.entries()...); err != nil || res.Complete == (res.Failed > 0) {
		t.Fatalf("%+v, %v", res, err)
	}
	body, _ := jb.store.Body("k")
	return string(body), jb.failure()
}

// failure is what the last item that failed failed of.
func (jb *job) failure() (err error) {
	jb.mu.Lock()
	defer jb.mu.Unlock()
	for _, e := range jb.events {
		if e.Kind == transfer.Failed {
			err = e.Err
		}
	}
	return err
}

// TestRewrittenWithinOneTick proves that a file which is written twice within one
// tick of the clock of its times, and read meanwhile, is not stored half of each.
func TestRewrittenWithinOneTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &ticking{}
		f.write("first.first.")
		f.onRead = func(n int) {
			if n == 7 {
				f.write("other.other.")
			}
		}
		if got, err := sendTicking(t, f); got != "other.other." || err != nil {
			t.Errorf("%q is stored, %v", got, err)
		}
	})
}

// TestReadDuringAWrite proves that a file is not read while one write to it is
// under way that has set its times already.
func TestReadDuringAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &ticking{body: "first.first.", takes: 15 * time.Millisecond}
		f.write("other.other.")
		time.Sleep(5 * time.Millisecond)
		if got, err := sendTicking(t, f); got != "other.other." || err != nil {
			t.Errorf("%q is stored, %v", got, err)
		}
	})
}

// TestNeverAtRest proves that a file which is written all the time is named and is
// not waited for without end.
func TestNeverAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &ticking{}
		f.write(strings.Repeat("x", 10))
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			tick := time.NewTicker(3 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					f.write(strings.Repeat("y", 10))
				case <-stop:
					return
				}
			}
		}()
		got, err := sendTicking(t, f)
		close(stop)
		<-done
		if got != "" || !errors.Is(err, transfer.ErrChanged) || !strings.Contains(err.Error(), "it is being written") {
			t.Errorf("%q is stored, %v", got, err)
		}
	})
}
