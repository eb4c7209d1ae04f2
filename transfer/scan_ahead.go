package transfer

import (
	"context"
	"errors"
	"sync"
)

// scanAhead reads the directories that come next while the walk is busy with
// those before them: where a scan waits for a network, it waits for many at
// once. It takes them in key order, as far as they are known, and holds at most
// scanHeld times as many as it reads at once: where nearer ones turn up, it lets
// go of the farthest, which is read again later.
//
// The walk finds its way without it. What leads through a link, or is too large
// to be held, is left to the walk.
type scanAhead struct {
	s      *scanner
	ctx    context.Context // of one walk, which is part of one call of Scan
	cancel context.CancelFunc

	mu      sync.Mutex
	parents []*scanBelow
	held    map[string]*scanRead // by key: begun, and not taken yet
	reading int
	passed  string      // the key of the directory that the walk came to last
	spare   []scanNames // of directories that were left, for their memory
	readers sync.WaitGroup
}

const (
	scanHeld  = 2
	scanSmall = 1024 // names; directories with more are not held
)

// scanBelow are the sub-directories of one that was read.
type scanBelow struct {
	dir    *scanDir
	at     int    // the name behind next, or the one to begin with
	key    string // that of next, "" when it is not known
	next   *scanDir
	held   int
	listed bool // among the parents
}

// scanRead is a directory that is being read, or was.
type scanRead struct {
	dir  *scanDir
	from *scanBelow
	at   int // of from, before it went on to dir
	err  error
	over bool          // it was
	done chan struct{} // closed then
}

func newScanAhead(ctx context.Context, s *scanner) *scanAhead {
	a := &scanAhead{s: s, held: map[string]*scanRead{}}
	a.ctx, a.cancel = context.WithCancel(ctx)
	return a
}

// close stops all reading, and waits for it.
func (a *scanAhead) close() {
	if a == nil {
		return
	}
	a.mu.Lock() // nobody is in fill any more
	a.cancel()
	a.mu.Unlock()
	a.readers.Wait()
}

// names are empty ones, in memory that was used before where there is some.
func (a *scanAhead) names() scanNames {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.namesLocked()
}

func (a *scanAhead) namesLocked() (n scanNames) {
	if last := len(a.spare) - 1; last >= 0 {
		n, a.spare = a.spare[last], a.spare[:last]
	}
	return n
}

// add has what lies below d read ahead.
func (a *scanAhead) add(d *scanDir) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addLocked(d)
	a.fill()
}

func (a *scanAhead) addLocked(d *scanDir) {
	if !d.jumped {
		d.below = &scanBelow{dir: d, listed: true}
		a.parents = append(a.parents, d.below)
	}
}

// leave ends what add began: the walk goes back up from d.
func (a *scanAhead) leave(d *scanDir) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(d.below)
	if d.names.reset(); len(a.spare) < scanHeld*a.s.o.Readers {
		a.spare = append(a.spare, d.names)
	}
	d.names = scanNames{}
}

func (a *scanAhead) drop(b *scanBelow) {
	for i, p := range a.parents {
		if p == b {
			last := len(a.parents) - 1
			a.parents[i], a.parents[last] = a.parents[last], nil
			a.parents = a.parents[:last]
			b.listed = false
			return
		}
	}
}

// take returns the directory at key if it is read ahead, once it is read.
func (a *scanAhead) take(key string) (d *scanDir, err error, ok bool) {
	a.mu.Lock()
	a.passed = key
	r := a.held[key]
	if r == nil {
		a.mu.Unlock()
		return nil, nil, false
	}
	a.mu.Unlock()
	<-r.done
	a.mu.Lock()
	delete(a.held, key)
	r.from.held--
	a.fill()
	a.mu.Unlock()
	if errors.Is(r.err, errScanMany) {
		return nil, nil, false
	}
	return r.dir, r.err, true
}

// fill begins to read as many directories as may be. The caller holds mu.
func (a *scanAhead) fill() {
	for a.reading < a.s.o.Readers && a.ctx.Err() == nil {
		b := a.least()
		if b == nil || len(a.held) >= scanHeld*a.s.o.Readers && !a.evict(b.key) {
			return
		}
		b.next.names = a.namesLocked()
		r := &scanRead{dir: b.next, from: b, at: b.at - 1, done: make(chan struct{})}
		a.held[b.key] = r
		b.key, b.next = "", nil
		b.held++
		a.reading++
		a.readers.Go(func() { a.read(r) })
	}
}

// evict makes room for the directory at key, if one behind it can go. The
// caller holds mu.
func (a *scanAhead) evict(key string) bool {
	for k := range a.held {
		key = max(key, k)
	}
	r := a.held[key]
	if r == nil || !r.over {
		return false
	}
	delete(a.held, key)
	a.drop(r.dir.below)
	r.from.held--
	// Nothing behind it is held, so its parent can go back to it.
	if r.from.at = r.at; !r.from.listed {
		a.parents = append(a.parents, r.from)
		r.from.listed = true
	}
	r.from.key, r.from.next = "", nil
	return true
}

// least finds the sub-directory that comes first. Of one directory at most as
// many are held as are read at once: what lies below those comes before more.
func (a *scanAhead) least() *scanBelow {
	var first *scanBelow
	for i := 0; i < len(a.parents); {
		b := a.parents[i]
		if b.key == "" || b.key <= a.passed {
			if !b.advance(a.s, a.passed) {
				a.drop(b)
				continue
			}
		}
		if b.held < a.s.o.Readers && (first == nil || b.key < first.key) {
			first = b
		}
		i++
	}
	return first
}

// advance goes to the next sub-directory behind passed, and reports whether
// there is one.
func (b *scanBelow) advance(s *scanner, passed string) bool {
	for d := b.dir; b.at < d.names.len(); {
		i := b.at
		b.at++
		if d.names.kind(i) != scanSubdir {
			continue
		}
		if e := s.below(d, i); e.Err == nil && e.Ignored == "" && e.Item.Key > passed {
			b.key, b.next = e.Item.Key, &scanDir{path: e.Item.Path, key: e.Item.Key, zarr: d.zarr}
			return true
		}
	}
	return false
}

// read reads one directory, and looks at what is in it, if that is little.
func (a *scanAhead) read(r *scanRead) {
	d := r.dir
	if r.err = a.s.read(a.ctx, d, scanSmall); r.err == nil && d.names.len() <= scanRun {
		d.looked = make([]Entry, d.names.len())
		lstat, done := a.s.lookIn(d.path, len(d.looked))
		for i := range d.looked {
			if !d.names.kind(i).dir() && a.ctx.Err() == nil {
				a.s.file(d, i, lstat, &d.looked[i])
			}
		}
		done()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r.over = true
	close(r.done)
	a.reading--
	if !errors.Is(r.err, errScanMany) {
		a.addLocked(d)
	}
	a.fill()
}
