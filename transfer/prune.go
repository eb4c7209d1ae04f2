package transfer

import (
	"context"
	"errors"
	"strings"
)

// Deleter removes objects.
type Deleter interface {
	// DeleteAll removes objects; those that are not there are no error. failed
	// holds why each of the others is still there, err what ended the work for all.
	DeleteAll(ctx context.Context, keys []string) (failed map[string]error, err error)
}

// PruneOptions configure Prune.
type PruneOptions struct {
	Event func(Event)     // never blocks
	Stop  <-chan struct{} // closed: delete no more
	Batch int             // keys that go by one request; default 1000
	// DryRun only tells, by Planned events.
	DryRun bool
}

// Pruned is what Prune has done.
type Pruned struct {
	Deleted, Failed int64
	Came            int64 // have come into the source since, and stay
	Left            int64 // were not tried, because Zarr metadata stay
}

// notInSource is why something is deleted.
const notInSource = "not in the source"

// Prune deletes what is surplus, and the journal's records of it. Whether it
// may is decided before, by Doubt and by whoever counts.
//
// Zarr metadata goes first, that of outer groups before that of inner ones, and
// all else only when all of it is gone: where some stays, so does the rest. A
// reader takes a store that has metadata and lacks chunks for one that is full of
// fill values. Just before a key is deleted the source is looked at once more.
func Prune(ctx context.Context, u *Surplus, store Deleter, j Journal, o PruneOptions) (Pruned, error) {
	if o.Batch <= 0 {
		o.Batch = 1000
	}
	p := pruner{o: o, u: u, store: store, journal: j}
	for depth := u.depths[0]; depth <= u.depths[1]; depth++ {
		if err := p.all(ctx, u.meta, depth); err != nil {
			return p.res, err
		}
	}
	if p.res.Failed > 0 || p.res.Came > 0 {
		p.res.Left = u.rest.Len()
		return p.res, nil
	}
	err := p.all(ctx, u.rest, anyDepth)
	return p.res, err
}

const anyDepth = -1

type pruner struct {
	o       PruneOptions
	u       *Surplus
	store   Deleter
	journal Journal
	batch   []string
	sizes   []int64
	res     Pruned
}

// all deletes the keys of a list that lie so deep.
func (p *pruner) all(ctx context.Context, list *NameList, depth int) error {
	for n, err := range list.all() {
		if err == nil && (depth == anyDepth || strings.Count(n.name, "/") == depth) {
			err = p.take(ctx, n.name, int64(n.number)) //nolint:gosec // it was a size
		}
		if err != nil {
			return err
		}
	}
	return p.flush(ctx)
}

// take deletes key, as soon as there are enough of them for a request.
func (p *pruner) take(ctx context.Context, key string, size int64) error {
	if p.o.DryRun {
		p.o.Event(Event{Kind: Planned, Action: Delete, Key: key, Bytes: size, Text: notInSource})
		return ctx.Err()
	}
	p.batch, p.sizes = append(p.batch, key), append(p.sizes, size)
	if len(p.batch) < p.o.Batch {
		return nil
	}
	return p.flush(ctx)
}

func (p *pruner) flush(ctx context.Context) error {
	keys, sizes := p.batch[:0], p.sizes[:0]
	for i, key := range p.batch {
		rel := strings.TrimPrefix(key, p.u.o.Source.Prefix)
		here, err := p.u.here(strings.TrimSuffix(rel, "/"), strings.HasSuffix(rel, "/"))
		switch {
		case err != nil:
			p.failed(key, &Error{Op: "look", Key: key, Err: err})
		case here:
			p.res.Came++
			p.o.Event(Event{Kind: Notice, Key: key, Text: "has come into the source meanwhile, and is kept"})
		default:
			keys, sizes = append(keys, key), append(sizes, p.sizes[i])
		}
	}
	p.batch, p.sizes = p.batch[:0], p.sizes[:0]
	if len(keys) == 0 {
		return nil
	}
	select {
	case <-p.o.Stop:
		return ErrStopped
	default:
	}
	failed, err := p.store.DeleteAll(ctx, keys)
	if err != nil {
		return err
	}
	for i, key := range keys {
		if err := failed[key]; err != nil {
			p.failed(key, err)
			continue
		}
		if err := p.forget(key); err != nil {
			return &Error{Op: "journal", Key: key, Err: errors.Join(ErrLocal, err)}
		}
		p.res.Deleted++
		p.o.Event(Event{Kind: Deleted, Key: key, Bytes: sizes[i], Text: notInSource})
	}
	return nil
}

func (p *pruner) failed(key string, err error) {
	p.res.Failed++
	p.o.Event(Event{Kind: Failed, Key: key, Err: err})
}

// forget removes the record of what is deleted. An upload that is open has
// none, and is somebody's to end.
func (p *pruner) forget(key string) error {
	if _, open, err := p.journal.Upload(key); err != nil || open {
		return err
	}
	return p.journal.Forget(key)
}
