package main

import (
	"context"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
)

// syncDownOptions are the flags of a sync that only its way down has.
type syncDownOptions struct{}

func (o *syncDownOptions) addFlags(*cobra.Command) {}

// resolveSyncDown turns arguments and flags of a sync to this machine into a
// task, or into a mistake. t.down is set.
func (t *task) resolveSyncDown(_ context.Context, args []string, _ syncOptions) error {
	return &dest.Mistake{Msg: "sync does not fetch yet", Hint: "use: " + t.name + " download " + shellWord(args[0]) + " " + shellWord(args[1])}
}
