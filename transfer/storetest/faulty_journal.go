package storetest

import (
	"context"
	"sync"

	"agent/transfer"
)

// FaultyJournal passes the calls of a run to another journal, and asks Hook
// before and after each.
type FaultyJournal struct {
	Next JobJournal
	// Hook is told the call's number (from 1), its method and key, and whether
	// the call was made already. Its error is what the call ends with; before
	// the call, it also keeps it from being made. nil lets everything pass.
	Hook func(n int, method, key string, after bool) error

	mu sync.Mutex
	n  int
}

var _ JobJournal = (*FaultyJournal)(nil)

// Calls says how many calls there were.
func (f *FaultyJournal) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func (f *FaultyJournal) call(method, key string, do func() error) error {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	if f.Hook == nil {
		return do()
	}
	if err := f.Hook(n, method, key, false); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return f.Hook(n, method, key, true)
}

// Upload implements transfer.Journal.
func (f *FaultyJournal) Upload(key string) (u transfer.Upload, ok bool, err error) {
	err = f.call("Upload", key, func() (err error) {
		u, ok, err = f.Next.Upload(key)
		return err
	})
	return u, ok, err
}

// Begin implements transfer.Journal.
func (f *FaultyJournal) Begin(u transfer.Upload) error {
	return f.call("Begin", u.Key, func() error { return f.Next.Begin(u) })
}

// Part implements transfer.Journal.
func (f *FaultyJournal) Part(key, id string, p transfer.Part) error {
	return f.call("Part", key, func() error { return f.Next.Part(key, id, p) })
}

// Done implements transfer.Journal.
func (f *FaultyJournal) Done(r transfer.Record) error {
	return f.call("Done", r.Key, func() error { return f.Next.Done(r) })
}

// Forget implements transfer.Journal.
func (f *FaultyJournal) Forget(key string) error {
	return f.call("Forget", key, func() error { return f.Next.Forget(key) })
}

// Flush implements transfer.Journal.
func (f *FaultyJournal) Flush(ctx context.Context) error {
	return f.call("Flush", "", func() error { return f.Next.Flush(ctx) })
}

// Records implements transfer.Records.
func (f *FaultyJournal) Records(from string, n int) (recs []transfer.Record, err error) {
	err = f.call("Records", from, func() (err error) {
		recs, err = f.Next.Records(from, n)
		return err
	})
	return recs, err
}

// Mark implements transfer.Marker.
func (f *FaultyJournal) Mark() (m transfer.Mark, err error) {
	err = f.call("Mark", "", func() (err error) {
		m, err = f.Next.Mark()
		return err
	})
	return m, err
}

// SetMark implements transfer.Marker.
func (f *FaultyJournal) SetMark(m transfer.Mark) error {
	return f.call("SetMark", m.Merged, func() error { return f.Next.SetMark(m) })
}
