//go:build long && unix

package s3store_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

var (
	changesSeed  = flag.Uint64("changes.seed", 0, "seed of TestLongSourceUnderChange (0: another each time)")
	changesPairs = flag.Int("changes.pairs", 200, "cases with two changes in TestLongSourceUnderChange")
)

// TestLongSourceUnderChange is every change at every instant in every way to send a
// file, and some of two changes.
func TestLongSourceUnderChange(t *testing.T) {
	seed := *changesSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-changes.seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	var cases, changed, twice atomic.Int64
	t.Run("one", func(t *testing.T) {
		for _, op := range opNames() {
			for _, at := range allSeams {
				for _, sh := range shapes {
					seed := rnd.Uint64()
					t.Run(fmt.Sprintf("%s/%s/%s", op, at, sh.name), func(t *testing.T) {
						t.Parallel()
						cases.Add(1)
						changed.Add(int64(newChanging(t, seed, sh).play(t, change{at, fileOps[op]})))
					})
				}
			}
		}
	})
	names := opNames()
	t.Run("two", func(t *testing.T) {
		for i := range *changesPairs {
			seed, sh := rnd.Uint64(), shapes[rnd.IntN(len(shapes))]
			first, second := rnd.IntN(len(allSeams)), rnd.IntN(len(allSeams))
			if first > second {
				first, second = second, first
			}
			a, b := names[rnd.IntN(len(names))], names[rnd.IntN(len(names))]
			todo := []change{{allSeams[first], fileOps[a]}, {allSeams[second], fileOps[b]}}
			t.Run(fmt.Sprintf("%d/%s/%s, %s/%s, %s", i, sh.name, todo[0].at, a, todo[1].at, b), func(t *testing.T) {
				t.Parallel()
				cases.Add(1)
				n := newChanging(t, seed, sh).play(t, todo...)
				changed.Add(int64(min(n, 1)))
				twice.Add(int64(n / 2))
			})
		}
	})
	t.Logf("%d cases: %d changed the file while it was sent, %d of them twice", cases.Load(), changed.Load(), twice.Load())
	if changed.Load() < cases.Load()/2 {
		t.Errorf("only %d of %d cases changed the file", changed.Load(), cases.Load())
	}
}
