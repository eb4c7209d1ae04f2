package gauge

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shaped is a link of which each lane gets at most lane bytes a second, all
// together at most all, and where each object waits for an answer.
type shaped struct {
	lane, all float64
	answer    time.Duration
	lanes     int // that are busy
}

func (l *shaped) move(ctx context.Context, _ int, size int64, moved func(int64)) error {
	const piece = 64 << 10
	for size > 0 {
		n := min(piece, size)
		rate := min(l.lane, l.all/float64(l.lanes))
		if err := pause(ctx, time.Duration(float64(n)/rate*1e9)); err != nil {
			return err
		}
		moved(n)
		size -= n
	}
	return pause(ctx, l.answer)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestRun: a link's rate is found from steps in which no object is finished, and
// from those in which many are; and the knee is where all lanes fill it.
func TestRun(t *testing.T) {
	for name, size := range map[string]int64{"nothing is finished": 1 << 30, "many are": 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			l := &shaped{lane: 10e6, all: 35e6}
			ps, err := Sweep(t.Context(), []int64{1, 2, 4, 8, 16, 32}, nil, func(ctx context.Context, n int64) (float64, error) {
				l.lanes = int(n)
				got, err := Run(ctx, Step{Lanes: int(n), Size: size, Time: 3 * time.Second}, l.move)
				if got.Took < 3*time.Second || got.Took > 3*time.Second+2*tick {
					t.Errorf("%s: it took %v", name, got.Took)
				}
				return got.Rate(), err
			})
			if err != nil || len(ps) != 5 || ps[Knee(ps)].N != 4 {
				t.Errorf("%s: %v, %v", name, ps, err)
			}
			for i, want := range []float64{10e6, 20e6, 35e6, 35e6, 35e6} {
				if got := ps[i].Rate(); math.Abs(got-want) > 0.1*want {
					t.Errorf("%s: %d lanes: %.0f, want about %.0f", name, ps[i].N, got, want)
				}
			}
		})
	}
}

func TestRunCountsObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shaped{lane: 1e9, all: 1e9, lanes: 1, answer: 100 * time.Millisecond}
		got, err := Run(t.Context(), Step{Lanes: 4, Size: 10, Time: 3 * time.Second}, l.move)
		if err != nil || math.Abs(got.ObjectRate()-40) > 3 {
			t.Errorf("%.1f objects a second, want about 40; %v", got.ObjectRate(), err)
		}
	})
}

// TestRunWaitsForSomething: a step in which nothing was done yet takes longer, but
// not for ever.
func TestRunWaitsForSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &shaped{lane: 1e9, all: 1e9, lanes: 1, answer: 1500 * time.Millisecond}
		got, err := Run(t.Context(), Step{Lanes: 1, Size: 10, Time: time.Second, Least: 1}, slow.move)
		if err != nil || got.Objects != 1 || got.Took < 1500*time.Millisecond || got.Took > 2*time.Second {
			t.Errorf("%+v, %v", got, err)
		}
		hangs := func(ctx context.Context, _ int, _ int64, _ func(int64)) error { return pause(ctx, time.Hour) }
		got, err = Run(t.Context(), Step{Lanes: 1, Size: 10, Time: time.Second}, hangs)
		if err != nil || got.Rate() != 0 || got.Took < 4*time.Second || got.Took > 4*time.Second+2*tick {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestRunEndsByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shaped{lane: 10e6, all: 10e6, lanes: 1}
		var seen Sample
		got, err := Run(t.Context(), Step{Lanes: 1, Size: 1 << 30, Time: time.Hour, MaxBytes: 10e6, Progress: func(s Sample) { seen = s }}, l.move)
		if err != nil || got.Sent < 10e6 || got.Sent > 11e6 || got.Took > 2*time.Second {
			t.Errorf("%+v, %v", got, err)
		}
		if math.Abs(seen.Rate()-10e6) > 1e6 {
			t.Errorf("progress told %.0f bytes a second", seen.Rate())
		}
	})
}

// TestRunEndsAtOnce: where a bound on bytes leaves a step hardly any time, its rate
// is still one.
func TestRunEndsAtOnce(t *testing.T) {
	for _, most := range []int64{1, 10e6, 30e6} {
		synctest.Test(t, func(t *testing.T) {
			l := &shaped{lane: 500e6, all: 500e6, lanes: 1}
			got, err := Run(t.Context(), Step{Lanes: 1, Size: 1 << 20, Time: time.Second, MaxBytes: most}, l.move)
			if err != nil || math.Abs(got.Rate()-500e6) > 50e6 {
				t.Errorf("at most %d bytes: %.0f a second, %+v, %v", most, got.Rate(), got, err)
			}
		})
	}
}

// TestRunWithoutRampUp: what is slow at the beginning does not count.
func TestRunWithoutRampUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		move := func(ctx context.Context, _ int, _ int64, moved func(int64)) error {
			for {
				if err := pause(ctx, 10*time.Millisecond); err != nil {
					return err
				}
				if time.Since(begun) > time.Second {
					moved(1e5)
				}
			}
		}
		got, err := Run(t.Context(), Step{Lanes: 1, Size: 1, Time: 4 * time.Second, Skip: 0.5}, move)
		if err != nil || math.Abs(got.Rate()-1e7) > 5e5 {
			t.Errorf("%.0f bytes a second, %v", got.Rate(), err)
		}
	})
}

func TestRunTakesBackWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		move := func(ctx context.Context, _ int, _ int64, moved func(int64)) error {
			moved(1000)
			if err := pause(ctx, 10*time.Millisecond); err != nil {
				return err
			}
			moved(-1000)
			return nil
		}
		got, err := Run(t.Context(), Step{Lanes: 1, Size: 1, Time: time.Second}, move)
		if err != nil || got.Rate() > 5000 || got.Sent < 50_000 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestRunEndsWithTheFirstError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("no")
		move := func(ctx context.Context, lane int, _ int64, _ func(int64)) error {
			if lane == 1 {
				return failed
			}
			return pause(ctx, time.Hour)
		}
		if got, err := Run(t.Context(), Step{Lanes: 3, Size: 1, Time: time.Minute}, move); !errors.Is(err, failed) || got.Took > time.Second {
			t.Errorf("%+v, %v", got, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := Run(ctx, Step{Lanes: 1, Size: 1, Time: time.Minute}, (&shaped{lane: 1, all: 1, lanes: 1}).move); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// FuzzData: the made-up file reads the same however it is read, and its
// repetitions differ.
func FuzzData(f *testing.F) {
	d := NewData()
	f.Add(int64(0), 10, 3)
	f.Add(int64(blockSize-5), 100, 7)
	f.Add(int64(5*blockSize-1), 3*blockSize, blockSize)
	f.Add(int64(1)<<44, 4096, 1)
	f.Fuzz(func(t *testing.T, off int64, size, cut int) {
		if off < 0 || off > 1<<50 || size < 1 || size > 4*blockSize {
			t.Skip("not a range of the file")
		}
		whole, parts := make([]byte, size), make([]byte, size)
		if n, err := d.ReadAt(whole, off); n != size || err != nil {
			t.Fatal(n, err)
		}
		cut = min(max(cut, -cut, 0), size)
		if _, err := d.From(off).ReadAt(parts[:cut], 0); err != nil {
			t.Fatal(err)
		}
		if _, err := d.ReadAt(parts[cut:], off+int64(cut)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(whole, parts) {
			t.Fatal("read in two parts it is another file")
		}
		if size >= 64 {
			next := make([]byte, size)
			if _, err := d.ReadAt(next, off+blockSize); err != nil || bytes.Equal(whole, next) {
				t.Fatal("a repetition is the same", err)
			}
		}
	})
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		value, full float64
		width       int
		want        int
	}{
		{100, 100, 40, 40}, {50, 100, 40, 20}, {0, 100, 40, 0}, {0.001, 100, 40, 1}, {200, 100, 40, 40},
		{1, 0, 40, 0}, {1, 1, 0, 0}, {1, 1, -3, 0}, {math.NaN(), 1, 10, 0}, {1, math.NaN(), 10, 0},
	} {
		if got := Bar(tt.value, tt.full, tt.width); got != strings.Repeat("#", tt.want) {
			t.Errorf("%v of %v in %d: %q", tt.value, tt.full, tt.width, got)
		}
	}
}
