package transfer

import (
	"maps"
	"sync"
)

// Counts is what the events of one run add up to. "Now" is this run.
//
// The bytes still to go are BytesFound - BytesDone - BytesFailed, never less
// than 0: a file that grew, or that failed with some of its parts stored,
// makes the difference too small.
type Counts struct {
	FilesFound   int // Found: files the scan has yielded so far
	FilesDone    int // Done: files sent now
	FilesThere   int // There: files that needed nothing
	FilesFailed  int // Failed: files, and directory entries that never were found
	FilesIgnored int // Ignored: entries left out by rule, none of them found
	FilesResumed int // files begun by an earlier run and continued now: those with a Saved event
	FilesPlanned int // Planned to be sent or to be checked, as opposed to skipped
	FilesDeleted int // Deleted, or in a dry run Planned to be

	BytesFound   int64 // sizes of the files found
	BytesDone    int64 // stored or on its way there: There, Saved and Moved; an attempt that failed is taken off again
	BytesSent    int64 // all that went over the wire now, also what had to go twice: the positive Moved
	BytesAgain   int64 // of BytesSent, what was in vain: the negative Moved, as a positive number
	BytesThere   int64 // sizes of the files that needed nothing
	BytesSaved   int64 // not sent, because an earlier run had: the Saved of interrupted files
	BytesFailed  int64 // sizes of the files that failed
	BytesPlanned int64 // sizes of the files planned to be sent or to be checked
	BytesDeleted int64 // sizes of the files deleted, or planned to be

	Retries int    // attempts that failed and were to be made again
	Scanned bool   // the scan has ended: FilesFound and BytesFound are final
	Waiting string // what is waited for, and why: the Text of Waiting; "" while things move

	// Ignored counts FilesIgnored by reason. There are at most MaxReasons
	// reasons; what comes after them is counted under OtherReasons.
	Ignored map[string]int
}

// MaxReasons bounds Counts.Ignored, because a reason may hold a pattern, and
// patterns come from outside.
const MaxReasons = 50

// OtherReasons is the reason in Counts.Ignored that stands for all those that
// found no room.
const OtherReasons = "other reasons"

// Remaining is how many bytes are still to go.
func (c Counts) Remaining() int64 {
	return max(0, c.BytesFound-c.BytesDone-c.BytesFailed)
}

// Tally adds up events. The zero Tally is ready; it may be used by many
// goroutines at once.
type Tally struct {
	mu sync.Mutex
	c  Counts
	// resumed are the open items that had a Saved event, so that an item with
	// several of them counts once. It is as large as the number of open items.
	resumed map[string]struct{}
}

// Add counts e.
func (t *Tally) Add(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.c
	switch e.Kind {
	case Found:
		c.FilesFound++
		c.BytesFound += e.Bytes
	case Scanned:
		c.Scanned = true
	case Ignored:
		t.ignore(e.Text)
	case Planned:
		switch e.Action {
		case Skip:
		case Delete:
			c.FilesDeleted++
			c.BytesDeleted += e.Bytes
		default:
			c.FilesPlanned++
			c.BytesPlanned += e.Bytes
		}
	case Deleted:
		c.FilesDeleted++
		c.BytesDeleted += e.Bytes
	case There:
		c.FilesThere++
		c.BytesThere += e.Bytes
		c.BytesDone += e.Bytes
		t.settle(e.Key)
	case Moved:
		c.BytesDone += e.Bytes
		if e.Bytes > 0 {
			c.BytesSent += e.Bytes
		} else {
			c.BytesAgain -= e.Bytes
		}
	case Saved:
		t.save(e)
	case Done:
		c.FilesDone++
		t.settle(e.Key)
	case Failed:
		c.FilesFailed++
		c.BytesFailed += e.Bytes
		t.settle(e.Key)
	case Retry:
		c.Retries++
	case Waiting:
		c.Waiting = e.Text
	case Going:
		c.Waiting = ""
	}
}

// Snapshot returns the counts so far; they are the caller's own.
func (t *Tally) Snapshot() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.c
	c.Ignored = maps.Clone(t.c.Ignored)
	return c
}

func (t *Tally) ignore(reason string) {
	t.c.FilesIgnored++
	if t.c.Ignored == nil {
		t.c.Ignored = make(map[string]int)
	}
	if _, known := t.c.Ignored[reason]; !known && len(t.c.Ignored) >= MaxReasons-1 {
		reason = OtherReasons
	}
	t.c.Ignored[reason]++
}

func (t *Tally) save(e Event) {
	t.c.BytesSaved += e.Bytes
	t.c.BytesDone += e.Bytes
	if _, known := t.resumed[e.Key]; known {
		return
	}
	if t.resumed == nil {
		t.resumed = make(map[string]struct{})
	}
	t.resumed[e.Key] = struct{}{}
	t.c.FilesResumed++
}

// settle forgets an item that will have no more events.
func (t *Tally) settle(key string) {
	if len(t.resumed) > 0 {
		delete(t.resumed, key)
	}
}
