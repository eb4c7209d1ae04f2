//go:build linux

package main

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// kill is one end of an agent, and how long before it a part had to be
// acknowledged to be safe.
type kill struct {
	at   time.Time
	safe time.Duration
}

// durable is how long after its acknowledgement a part is safe from a crash,
// where the disk answers at once.
const durable = 100 * time.Millisecond

// aKill is one where the disk was at rest.
func aKill(at time.Time) kill { return kill{at, durable} }

// stallProbe watches how long the disk keeps a writer waiting. The journal promises a
// bound in syncs, not in seconds: up to 50 ms until a commit begins, behind the one under
// way, with two syncs each.
type stallProbe struct {
	mu     sync.Mutex
	stalls []stall
	due    time.Time // of the write that is under way, or waited for
	quit   chan struct{}
	wg     sync.WaitGroup
}

// stall is one write and sync, from when it was due.
type stall struct {
	due  time.Time
	took time.Duration
}

const (
	probeEvery = 20 * time.Millisecond
	// Each probeGrows-th write takes a new block, as those of a journal that grows do: its
	// sync waits for the file system's own journal, and with that for what others write.
	// Syncs of both kinds side by side, beside three writers of 3 GB: at most 0.14 and
	// 0.31 s of 90.
	probeGrows = 4
	probeMost  = 1 << 20 // bytes of its file
	probeBlock = 4096
)

func probeStalls(t *testing.T) *stallProbe {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "probe"))
	if err != nil {
		t.Fatal(err)
	}
	p := &stallProbe{quit: make(chan struct{})}
	p.wg.Go(func() {
		defer f.Close()
		tick := time.NewTicker(probeEvery)
		defer tick.Stop()
		off := int64(0)
		for n := 0; ; n++ {
			due := time.Now().Add(probeEvery)
			p.mu.Lock()
			p.due = due
			p.mu.Unlock()
			select {
			case <-tick.C:
			case <-p.quit:
				return
			}
			var err error
			if n%probeGrows == 0 {
				if off += probeBlock; off == probeMost {
					off, err = 0, f.Truncate(0)
				}
			}
			if err == nil {
				_, err = f.WriteAt(make([]byte, probeBlock), off)
			}
			if err == nil {
				err = syscall.Fdatasync(int(f.Fd()))
			}
			if err != nil {
				t.Errorf("probe of the disk: %v", err)
				return
			}
			p.mu.Lock()
			p.stalls = append(p.stalls, stall{due, time.Since(due)})
			p.mu.Unlock()
		}
	})
	return p
}

func (p *stallProbe) stop() {
	close(p.quit)
	p.wg.Wait()
}

// kill is one at this instant, by how the disk was in the second before.
func (p *stallProbe) kill(at time.Time) kill {
	p.mu.Lock()
	defer p.mu.Unlock()
	worst := at.Sub(p.due) // of one under way: what was so long is what was at risk
	for i := len(p.stalls) - 1; i >= 0 && at.Sub(p.stalls[i].due) < time.Second+p.stalls[i].took; i-- {
		worst = max(worst, p.stalls[i].took)
	}
	return kill{at, max(durable, durable/2+4*worst)}
}
