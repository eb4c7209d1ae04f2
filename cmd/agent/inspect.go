package main

import (
	"context"
	"errors"
	"iter"

	"golang.org/x/sync/errgroup"

	"agent/transfer"
)

// inspectAll asks about each object, several at once, and hands them on in the
// order in which they came. Prefixes are handed on as they are, and so is what
// may not be asked about or has just gone.
func inspectAll(ctx context.Context, store listStore, all iter.Seq2[transfer.Object, error], take func(transfer.Stored) error) error {
	g, ctx := errgroup.WithContext(ctx)
	type answer struct {
		st  transfer.Stored
		err error
	}
	asked := make(chan (<-chan answer), inspectors)
	g.Go(func() error {
		defer close(asked)
		for obj, err := range all {
			if err != nil {
				return err
			}
			one := make(chan answer, 1)
			select {
			case asked <- one: // full: as many as that are under way
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if isPrefix(obj) {
				one <- answer{st: transfer.Stored{Object: obj}}
				continue
			}
			g.Go(func() error {
				st, err := store.Inspect(ctx, obj.Key)
				if errors.Is(err, transfer.ErrDenied) || errors.Is(err, transfer.ErrNotExist) {
					st, err = transfer.Stored{}, nil
				}
				st.Object = obj // as it was listed
				one <- answer{st, err}
				return err
			})
		}
		return nil
	})
	g.Go(func() error {
		for one := range asked {
			select {
			case a := <-one:
				if a.err != nil {
					return a.err
				}
				if err := take(a.st); err != nil {
					return err
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	return g.Wait()
}
