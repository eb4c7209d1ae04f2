package main

import (
	"context"

	"agent/cmd/internal/dest"
)

// resolveSyncUp turns arguments and flags of a sync to the store into a task,
// or into a mistake.
func (t *task) resolveSyncUp(ctx context.Context, args []string, o syncOptions) error {
	if o.delete || o.contents || o.sizeOnly {
		return &dest.Mistake{Msg: "--delete, --checksum and --size-only are not there yet on the way up"}
	}
	return t.resolve(ctx, args)
}
