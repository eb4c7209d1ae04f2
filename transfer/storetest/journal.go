package storetest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"agent/transfer"
)

// JobJournal is all that a journal does for transfer.
type JobJournal interface {
	transfer.RunJournal
	transfer.Records
}

// Journal is a JobJournal in memory. The zero value is empty and ready. It
// remembers every change in order, so that At can tell what a crash behind any
// of them would have left.
type Journal struct {
	mu      sync.Mutex
	changes []func(*contents)
	now     contents
	sorted  []string // the keys of now.records; nil when it is not known
}

type contents struct {
	records map[string]transfer.Record
	uploads map[string]transfer.Upload
	mark    transfer.Mark
}

var _ JobJournal = (*Journal)(nil)

func (j *Journal) change(f func(*contents)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.changes = append(j.changes, f)
	j.now.apply(f)
	j.sorted = nil
	return nil
}

func (c *contents) apply(f func(*contents)) {
	if c.records == nil {
		c.records, c.uploads = map[string]transfer.Record{}, map[string]transfer.Upload{}
	}
	f(c)
}

// Changes says how many changes there were.
func (j *Journal) Changes() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.changes)
}

// At returns the journal as it was after the first n changes.
func (j *Journal) At(n int) *Journal {
	j.mu.Lock()
	defer j.mu.Unlock()
	old := &Journal{changes: slices.Clone(j.changes[:n])}
	for _, f := range old.changes {
		old.now.apply(f)
	}
	return old
}

// Upload implements transfer.Journal.
func (j *Journal) Upload(key string) (transfer.Upload, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	u, ok := j.now.uploads[key]
	u.Parts = slices.Clone(u.Parts)
	return u, ok, nil
}

// Begin implements transfer.Journal.
func (j *Journal) Begin(u transfer.Upload) error {
	parts := slices.Clone(u.Parts)
	return j.change(func(c *contents) {
		u.Parts = slices.Clone(parts)
		c.uploads[u.Key] = u
		delete(c.records, u.Key)
	})
}

// Part implements transfer.Journal.
func (j *Journal) Part(key, id string, p transfer.Part) error {
	return j.change(func(c *contents) {
		u, ok := c.uploads[key]
		if !ok || u.ID != id {
			return
		}
		at, found := slices.BinarySearchFunc(u.Parts, p.Number, func(p transfer.Part, n int32) int { return int(p.Number - n) })
		u.Parts = slices.Clone(u.Parts)
		if found {
			u.Parts[at] = p
		} else {
			u.Parts = slices.Insert(u.Parts, at, p)
		}
		c.uploads[key] = u
	})
}

// Done implements transfer.Journal.
func (j *Journal) Done(r transfer.Record) error {
	return j.change(func(c *contents) {
		c.records[r.Key] = r
		delete(c.uploads, r.Key)
	})
}

// Forget implements transfer.Journal.
func (j *Journal) Forget(key string) error {
	return j.change(func(c *contents) {
		delete(c.records, key)
		delete(c.uploads, key)
	})
}

// Flush implements transfer.Journal.
func (j *Journal) Flush(ctx context.Context) error { return ctx.Err() }

// Records implements transfer.Records.
func (j *Journal) Records(from string, n int) ([]transfer.Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.sorted == nil {
		j.sorted = slices.Sorted(maps.Keys(j.now.records))
	}
	var recs []transfer.Record
	at, _ := slices.BinarySearch(j.sorted, from)
	for _, key := range j.sorted[at:] {
		if len(recs) >= n {
			break
		}
		recs = append(recs, j.now.records[key])
	}
	return recs, nil
}

// Mark implements transfer.Marker.
func (j *Journal) Mark() (transfer.Mark, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.now.mark, nil
}

// SetMark implements transfer.Marker.
func (j *Journal) SetMark(m transfer.Mark) error {
	return j.change(func(c *contents) { c.mark = m })
}
