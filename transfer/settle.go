package transfer

import (
	"context"
	"fmt"
	"time"
)

// The times of a file tell of a write when it begins, and only to the tick of the
// clock that they are taken from. So what was written an instant ago may be
// half of a write whose bytes are still to come, or be written once more without
// a difference in its times. It is read when that instant is past: every write from
// then on shows in the times, and is noticed by unchanged and by later runs.
const (
	// clockTick is longer than that of any system, which is a hundredth of a second.
	clockTick = 20 * time.Millisecond
	// copyRate is the bytes that one call of write moves into memory a second, at least.
	copyRate = 200 << 20
	// longestWrite is that of the largest call, of 2 GiB, as memory is fast; and the
	// tick of file systems that keep every other second only.
	longestWrite = 2 * time.Second
)

// unsettled is how long yet the times of a file may fail to tell of a write.
func unsettled(st Stat, now time.Time) time.Duration {
	at := st.CTime
	if at == 0 {
		at = st.MTime
	}
	if at == 0 {
		return 0
	}
	quiet := min(clockTick+time.Duration(min(st.Size, copyRate*2)*int64(time.Second)/copyRate), longestWrite)
	if at%int64(time.Second) == 0 {
		quiet = longestWrite
	}
	age := now.Sub(time.Unix(0, at))
	if age < -quiet {
		return 0 // another machine's clock, or a time that somebody set: it tells nothing
	}
	return max(0, quiet-age)
}

// settle waits until the times of an open file tell of every write to come, and
// returns them. A file that does not come to rest is ErrChanged.
func settle(ctx context.Context, f File, st Stat) (Stat, error) {
	for n := 1; ; n++ {
		wait := unsettled(st, time.Now())
		if wait == 0 {
			return st, nil
		}
		if n > changes {
			return st, fmt.Errorf("%w: it is being written", ErrChanged)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return st, context.Cause(ctx)
		}
		var err error
		if st, err = f.Stat(); err != nil {
			return st, err
		}
	}
}
