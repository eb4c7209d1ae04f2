//go:build linux

package main

import "testing"

// TestKilledMidway proves that the parts which were acknowledged before a kill
// are known to the next run. TestKillAndResume kills at random instants; here some
// parts are sure to be old enough.
func TestKilledMidway(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 30<<20).with("small", 10)
	dir := files.write(t)
	r := newRig(t, "-role", "platform", "-rate", "10MB").withToken()
	args := []string{"--parallel", "2", "--part-size", "5MiB"}
	probe := probeStalls(t)
	defer probe.stop()
	at := probe.kill(r.killMidway(dir, args...))
	before := len(sentParts(r, 0))
	r.upload(0, append(args, dir)...)
	noneTwice(t, r.requests(0), []kill{at})
	r.holds(files)
	if again := len(sentParts(r, 0)) - 6; before < 2 || again > 2 {
		t.Errorf("%d parts were there, and %d were sent again: more than the two in flight", before, again)
	}
}
