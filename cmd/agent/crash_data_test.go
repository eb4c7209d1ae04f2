//go:build long && linux

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// change makes the directory another one, and tells whether a file is gone from it.
func (c *crasher) change(round int) (deleted bool) {
	for i := range 40 {
		name := fmt.Sprintf("small/%02d", i)
		if i%10 == 9 {
			name = fmt.Sprintf("other %d/é %02d", i/10, i)
		}
		switch dice := c.rnd.IntN(100); {
		case round > 0 && dice < 5:
			deleted = c.remove(name) || deleted
		case round == 0 || dice < 60:
			c.write(round, name, 1+c.rnd.IntN(40_000))
		}
	}
	c.write(round, "one request", 1<<20+c.rnd.IntN(2<<20))
	for _, name := range []string{"large.tif", "sub/large.nc"} {
		if round == 0 || c.rnd.IntN(3) > 0 {
			c.write(round, name, crashPart+1+c.rnd.IntN(2*crashPart))
		}
	}
	return deleted
}

// write gives a file other bytes. Some keep its size and get an older time, as cp -p and
// rsync -t leave it; not at first, while a second is as fine as the store's time tells
// what is older than the job.
func (c *crasher) write(round int, name string, size int) {
	path := filepath.Join(c.src, filepath.FromSlash(name))
	was, exists := c.files[name]
	old := round > 1 && exists && c.rnd.IntN(3) == 0
	if old {
		size = len(was)
	}
	c.version++
	c.files = tree{}.and(c.files).and(tree{name: noise(fmt.Sprintf("%s %d %d", name, c.version, c.rnd.Uint64()), size)})
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, c.files[name], 0o644)
	}
	if err == nil && old {
		at := time.Now().Add(-time.Hour)
		err = os.Chtimes(path, at, at)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *crasher) remove(name string) bool {
	if _, ok := c.files[name]; !ok {
		return false
	}
	c.files = maps.Clone(c.files)
	delete(c.files, name)
	if err := os.Remove(filepath.Join(c.src, filepath.FromSlash(name))); err != nil {
		c.t.Fatal(err)
	}
	return true
}

// crashSum is what was seen.
type crashSum struct {
	kills, sleeps, platforms, rounds int
	objects, files                   int // compared, byte for byte
	records, parts                   int // of journals, held against the store after a kill
	up, down                         crashCost
}

// crashCost is what kills made go again.
type crashCost struct {
	units, bytes int64
	gone         int64 // bytes of uploads that the platform lost when it was killed
	worst        crashLoss
	fullest      float64       // of what may be in flight, the share that was at worst
	late         int           // kills that lost what was acknowledged more than 50 ms before
	oldest       time.Duration // before its kill, of what was acknowledged and went again
}

// crashLoss is what one kill made go again, in bytes.
type crashLoss struct {
	flying   int64    // under way
	quarters int      // of lanes that they took
	texts    []string // for people
	cut      int64    // by kills of the platform before
	fresh    int64    // acknowledged in the last 50 ms
	late     int64    // and before
}

func (l *crashLoss) all() int64 { return l.flying + l.cut + l.fresh + l.late }

func (s *crashSum) add(o *crashSum) {
	s.kills += o.kills
	s.sleeps += o.sleeps
	s.platforms += o.platforms
	s.rounds += o.rounds
	s.objects += o.objects
	s.files += o.files
	s.records += o.records
	s.parts += o.parts
	s.up.add(&o.up)
	s.down.add(&o.down)
}

func (c *crashCost) add(o *crashCost) {
	c.units += o.units
	c.bytes += o.bytes
	c.gone += o.gone
	c.late += o.late
	c.oldest = max(c.oldest, o.oldest)
	c.fullest = max(c.fullest, o.fullest)
	if o.worst.all() > c.worst.all() {
		c.worst = o.worst
	}
}

func (s *crashSum) report() string {
	return fmt.Sprintf(`%d kills, %d stops for longer than a token lives, %d kills of the platform, %d rounds
%d objects and %d files compared byte for byte; %d records and %d parts of journals held against the store after a kill
sent again:    %s
fetched again: %s`, s.kills, s.sleeps, s.platforms, s.rounds, s.objects, s.files, s.records, s.parts, s.up.report(), s.down.report())
}

func (c *crashCost) report() string {
	return fmt.Sprintf(`%d requests, %d bytes; at worst by one kill %d bytes: %d in flight, %d acknowledged in the last 50 ms, %d before, %d cut by the platform's kills.
               At worst %.0f %% of what may be in flight at one instant was.
               %d kills lost what was acknowledged more than 50 ms before, at most %v; the platform lost %d bytes by its own`, c.units, c.bytes, c.worst.all(), c.worst.flying, c.worst.fresh, c.worst.late, c.worst.cut,
		100*c.fullest, c.late, c.oldest.Round(time.Millisecond), c.gone)
}
