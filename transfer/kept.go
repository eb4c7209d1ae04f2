package transfer

import (
	"context"
	"errors"
	"iter"
)

// Fate is what became of an object that a job has stored.
type Fate uint8

// The fates.
const (
	StillThere Fate = iota + 1 // with the size and ETag of the record
	Replaced                   // another object has the key
	Gone
	Unknown // the store does not say
)

// Kept is a record of a job, and what became of its object.
type Kept struct {
	Record Record
	Object Object // as the store has it; empty where it is Gone or Unknown
	Fate   Fate
}

// WhatBecame holds the records of a journal against the listing of the store,
// as a merge in key order; where the listing is denied or can't speak for a key
// it asks for the object itself. It ends with the first error.
func WhatBecame(ctx context.Context, recs Records, store Store, prefix string) iter.Seq2[Kept, error] {
	return func(yield func(Kept, error) bool) {
		objs := newListing(ctx, PlanOptions{Store: store, Prefix: prefix, Event: func(Event) {}})
		defer objs.close()
		for from := ""; ; {
			batch, err := recs.Records(from, recordBatch)
			if err != nil {
				yield(Kept{}, &Error{Op: "journal", Err: errors.Join(ErrLocal, err)})
				return
			}
			for _, rec := range batch {
				if rec.Doubtful() {
					from = rec.Key + "\x00"
					continue // nothing is known to have been stored
				}
				k, err := whatBecame(ctx, rec, store, objs)
				if !yield(k, err) || err != nil {
					return
				}
				from = rec.Key + "\x00"
			}
			if len(batch) < recordBatch {
				return
			}
		}
	}
}

func whatBecame(ctx context.Context, rec Record, store Store, objs *listing) (Kept, error) {
	k := Kept{Record: rec, Fate: Gone}
	obj, stored, listed, err := objs.find(rec.Key)
	if err != nil {
		return k, err
	}
	if !listed {
		obj, err = store.Stat(ctx, rec.Key)
		switch {
		case errors.Is(err, ErrNotExist):
			return k, nil
		case errors.Is(err, ErrDenied):
			k.Fate = Unknown
			return k, nil
		case err != nil:
			return k, err
		}
		stored = true
	}
	if !stored {
		return k, nil
	}
	k.Object, k.Fate = obj, Replaced
	if obj.Size == rec.Stat.Size && sameETag(obj.ETag, rec.ETag) {
		k.Fate = StillThere
	}
	return k, nil
}
