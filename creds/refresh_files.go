package creds

import (
	"os"
	"slices"
	"time"
)

const (
	filePause   = 2 * time.Second // between looks at the watched files
	longestSkip = 30              // looks left out while files change at every look and nothing comes of it
)

// watch keeps an eye on the files of the sources. It looks at them by name,
// which works on network file systems too, where the system tells of no change.
type watch struct {
	seen    [][]stamp    // of each source, as they were before it was asked
	changed map[int]bool // the sources whose files are others since; not asked yet
	vain    int          // looks in a row that found a change
	skip    int          // looks to leave out
}

// stamp is what a file looks like from outside.
type stamp struct {
	path string
	time time.Time
	size int64 // -1 when there is no such file
}

// look takes all files to be known as they are now.
func (w *watch) look(sources []Source) {
	w.seen = make([][]stamp, len(sources))
	for place, src := range sources {
		w.seen[place] = stamps(src)
	}
}

// settle does so for the files of one source. It gave a set, and what it wrote
// itself meanwhile is no news: else it would be asked again without end.
func (w *watch) settle(place int, src Source) { w.seen[place] = stamps(src) }

// ticker ticks when it is time to look; never where there are no files.
func (w *watch) ticker() (c <-chan time.Time, stop func()) {
	if !slices.ContainsFunc(w.seen, func(s []stamp) bool { return len(s) > 0 }) {
		return nil, func() {}
	}
	t := time.NewTicker(filePause)
	return t.C, t.Stop
}

// tick looks, and reports whether some file has changed. Files that are never
// the same twice are looked at ever more rarely: a source that fails may be
// writing them itself.
func (w *watch) tick(sources []Source) bool {
	if w.skip > 0 {
		w.skip--
		return false
	}
	w.changed = map[int]bool{}
	for place, src := range sources {
		if now := stamps(src); !sameStamps(now, w.seen[place]) {
			w.seen[place], w.changed[place] = now, true
		}
	}
	if len(w.changed) == 0 {
		w.vain = 0
		return false
	}
	w.skip = min(1<<min(w.vain, 10)-1, longestSkip)
	w.vain++
	return true
}

func stamps(src Source) []stamp {
	w, ok := src.(interface{ Files() []string })
	if !ok {
		return nil
	}
	var all []stamp
	for _, path := range w.Files() {
		s := stamp{path: path, size: -1}
		if fi, err := os.Stat(path); err == nil {
			s.time, s.size = fi.ModTime(), fi.Size()
		}
		all = append(all, s)
	}
	return all
}

func sameStamps(a, b []stamp) bool {
	return slices.EqualFunc(a, b, func(a, b stamp) bool {
		return a.path == b.path && a.size == b.size && a.time.Equal(b.time)
	})
}
