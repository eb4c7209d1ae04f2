package transfer

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	scanSlow  = 50 * time.Microsecond // a look that takes as long waits for something
	scanWorth = 64                    // looks that are worth sharing among cores even if fast
)

// scanEach calls do for 0 to n-1 and returns when all calls have. It takes
// several goroutines, at most readers, where the first call shows that the
// file system is slow, or where there is much to do. After ctx has ended, it
// leaves calls out.
func scanEach(ctx context.Context, n, readers int, do func(int)) {
	if n == 0 {
		return
	}
	start := time.Now()
	do(0)
	if n > 1 && time.Since(start) < scanSlow {
		readers = min(readers, runtime.GOMAXPROCS(0))
		if n < scanWorth {
			readers = 1
		}
	}
	var next atomic.Int64
	work := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1))
			if i >= n {
				return
			}
			do(i)
		}
	}
	var others sync.WaitGroup
	for range min(readers, n-1) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}
