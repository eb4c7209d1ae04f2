package main

import (
	"context"
	"fmt"
	"os"

	"agent/cmd/internal/dest"
	"agent/transfer"
)

// resolveSyncUp turns arguments and flags of a sync to the store into a task,
// or into a mistake.
func (t *task) resolveSyncUp(ctx context.Context, args []string) error {
	if fi, err := os.Stat(args[0]); err == nil && !fi.IsDir() {
		return &dest.Mistake{Msg: fmt.Sprintf("the source %q is no directory", args[0]), Hint: "to send a single file, use the upload command"}
	}
	return t.resolve(ctx, args)
}

// compares is what tells that a file is stored as it is.
func (t *task) compares() transfer.Compare {
	switch o := t.sync; {
	case o == nil:
		return transfer.ByJournal
	case o.contents:
		return transfer.ByContent
	case o.sizeOnly:
		return transfer.BySize
	case o.run.manifest != "":
		return transfer.ByJournal // it has the checksum of every file, and nobody has told those
	}
	return transfer.ByTime
}
