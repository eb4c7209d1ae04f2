//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"agent/bench/platform"
)

// killing is a series of kills of an upload at random instants, the resume
// after each, and the finish.
type killing struct {
	kills int
	over  time.Duration // what the instants are spread over: the time the upload takes
}

// do runs an upload of dir that is killed again and again, and then left to
// finish. It returns when the kills happened.
func (k killing) do(t *testing.T, r *rig, dir string) []kill {
	t.Helper()
	args := []string{"--parallel", "4", "--part-size", "8MiB", "--memory", "32MiB", dir}
	probe := probeStalls(t)
	defer probe.stop()
	var kills []kill
	for _, after := range k.gaps(t) {
		p := r.startUpload(args...)
		select {
		case <-p.done: // it was faster
		case <-time.After(after):
		}
		at := time.Now()
		p.signal(syscall.SIGKILL)
		switch e := p.wait(); {
		case e.code < 0:
			kills = append(kills, probe.kill(at))
			t.Logf("killed; what was acknowledged in the last %v may be lost", kills[len(kills)-1].safe)
		case e.code == 0:
			t.Logf("done before kill %d", len(kills)+1)
		default:
			t.Fatalf("exit %d before kill %d\n%s", e.code, len(kills)+1, e.err)
		}
	}
	r.upload(0, args...)
	return kills
}

// gaps are how long each run lives.
func (k killing) gaps(t *testing.T) []time.Duration {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	at := make([]time.Duration, k.kills)
	for i := range at {
		at[i] = time.Duration(rnd.Int64N(int64(k.over)))
	}
	slices.Sort(at)
	for i := len(at) - 1; i > 0; i-- {
		at[i] -= at[i-1]
	}
	return at
}

// TestKillAndResume proves that a crash costs what was in flight and nothing
// else: no part, and no small file, that the server had acknowledged 100 ms
// before a SIGKILL (longer where the disk is slow) is sent again. aws-cli#1425: a job restarted from zero each
// hour; mc#1560: resume restarts at 0.7 %.
func TestKillAndResume(t *testing.T) {
	t.Parallel()
	files := awkward().with("large.tif", 100<<20+77)
	for i := range 300 {
		files.with(fmt.Sprintf("small/%03d", i), 1000+i)
	}
	dir := files.write(t)
	r := newRig(t, "-role", "platform", "-rate", "20MB").withToken()
	kills := killing{kills: 5, over: 6 * time.Second}.do(t, r, dir)
	checkKills(t, r, files, kills)
}

func checkKills(t *testing.T, r *rig, files tree, kills []kill) float64 {
	t.Helper()
	r.holds(files)
	all := r.requests(0)
	noneTwice(t, all, kills)
	const inFlight = 4 * 8 << 20
	sent, data := sentBytes(all), files.bytes()
	ratio := float64(sent) / float64(data)
	t.Logf("%d kills: %d bytes sent for %d of data: ratio %.3f; the worst kill cost %d bytes", len(kills), sent, data, ratio, worst(all, kills))
	if limit := data + int64(len(kills))*(inFlight+1<<20); sent > limit {
		t.Errorf("%d bytes were sent: more than the data and what was in flight at the kills, %d", sent, limit)
	}
	return ratio
}

// worst is the most bytes that one kill cost: of requests that were under way
// or just answered.
func worst(all []platform.Request, kills []kill) (most int64) {
	again := map[unit]int{}
	for _, q := range all {
		if u, ok := unitOf(q); ok {
			again[u]++
		}
	}
	for _, k := range kills {
		var lost int64
		for _, q := range all {
			if u, ok := unitOf(q); ok && again[u] > 1 && q.Start.Before(k.at) && q.Time.After(k.at.Add(-k.safe)) {
				lost += q.Bytes
			}
		}
		most = max(most, lost)
	}
	return most
}
