package transfer

import "context"

// Journal remembers, across crashes, what the store has acknowledged. All
// methods may be called by many goroutines at once.
//
// What is queued becomes durable within 50 ms, in the order of the calls.
type Journal interface {
	// Upload returns the upload that is open for key, and whether there is one.
	Upload(key string) (Upload, bool, error)
	// Begin records u with its Parts, replacing what was open for u.Key, and
	// removes the record of u.Key: it is not stored as it was any more. It is
	// durable when Begin returns. No part may be sent before that.
	Begin(u Upload) error
	// Part queues one acknowledged part of the upload that Begin recorded for
	// key under id. A part with a number that is already there replaces it.
	Part(key, id string, p Part) error
	// Done queues r and, in the same transaction, removes the upload that is
	// open for r.Key.
	Done(r Record) error
	// Forget queues the removal of the record and of the open upload of key.
	Forget(key string) error
	// Flush returns when all that was queued before it is durable.
	Flush(ctx context.Context) error
}

// Records is what Plan reads of a journal.
type Records interface {
	// Records returns at most n records with keys >= from, in byte order of
	// their keys. No transaction is open when it returns.
	Records(from string, n int) ([]Record, error)
	// Upload returns what is known of an unfinished upload of key.
	Upload(key string) (up Upload, open bool, err error)
}

// Mark says how far a job's plan has been held against the listing of the
// store. Up to and including Merged the journal is trusted as it is; after it,
// the listing is asked. The zero Mark trusts nothing.
type Mark struct {
	Merged   string
	All      bool // everything was held against the listing: Merged does not count
	Finished bool // the last run left nothing to do
}

// Marker keeps the Mark.
type Marker interface {
	Mark() (Mark, error)
	// SetMark queues m, behind everything queued before it.
	SetMark(m Mark) error
}
