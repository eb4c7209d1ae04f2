package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/transfer"
)

// syncDownOptions are the flags of a sync that only its way down has.
type syncDownOptions struct{}

func (o *syncDownOptions) addFlags(*cobra.Command) {}

// resolveSyncDown turns arguments and flags of a sync to this machine into a
// task, or into a mistake. t.down is set.
func (t *task) resolveSyncDown(ctx context.Context, args []string, o syncOptions) error {
	for flag, given := range map[string]bool{
		"content-type": o.run.contentType != "", "dir-markers": o.run.dirMarkers != "", "manifest": o.run.manifest != "",
	} {
		if given {
			return &dest.Mistake{Msg: "--" + flag + " is about what is sent, and here files are fetched", Hint: "leave it out where the directory comes last"}
		}
	}
	d := t.down
	d.existing = transfer.Replace
	switch {
	case o.contents:
		d.compare = transfer.ByContent
	case o.sizeOnly:
		d.compare = transfer.BySize
	}
	if err := t.resolveDownload(ctx, args, o.run.runOptions); err != nil {
		return err
	}
	d.remotes[0].AsDir()
	return nil
}

// sweeps reports whether what the store does not have is to be deleted here.
func (t *task) sweeps() bool { return t.sync != nil && t.sync.delete }

// listNames has a download list the names of all objects, for sweep.
func (s *session) listNames(o *transfer.DownloadOptions) (done func(), _ error) {
	if !s.sweeps() {
		return func() {}, nil
	}
	names, err := transfer.NewNameList(s.listDir())
	if err != nil {
		return nil, err
	}
	o.Names, o.Straight = names, true
	return func() { _ = names.Close() }, nil // it is a temporary file
}

// listDir is where lists of names are kept: a dry run leaves no folder.
func (s *session) listDir() string {
	if s.o.dryRun {
		return os.TempDir()
	}
	return s.dir
}

// sweep ends a sync to this machine whose download ended with ran: it deletes
// what the store does not have, if it is certain what that is. complete says
// that every object was seen and is here.
func (s *session) sweep(ctx context.Context, o *transfer.DownloadOptions, complete bool, ran error) error {
	switch {
	case !s.sweeps():
		return ran
	case ran != nil || !complete:
		s.notice("nothing is deleted: that is done only after everything was fetched and nothing has failed")
		return ran
	}
	so := transfer.SweepOptions{
		AllFiles: s.sync.run.allFiles, LeaveOut: o.Taken.LeaveOut, Later: o.Taken.Later, Allow: s.sync.maxDelete.allows,
		Dir: s.listDir(), DryRun: s.o.dryRun, Prefix: s.down.remotes[0].Key, Event: s.event, Stop: s.stopper.stop,
	}
	if !s.o.dryRun {
		so.Journal = s.db
	}
	failed, err := transfer.Sweep(ctx, o.Target, o.Names, so)
	var many *transfer.TooMany
	switch {
	case errors.As(err, &many):
		return &guarded{many: many, allowed: s.sync.maxDelete.String()}
	case err == nil && failed > 0:
		return &shownError{exitFailures}
	}
	return err
}

// guarded is a deletion that --max-delete does not allow.
type guarded struct {
	many    *transfer.TooMany
	allowed string
}

func (e *guarded) Error() string {
	return fmt.Sprintf("nothing is deleted: %d of %d files would be, and --max-delete allows %s", e.many.Delete, e.many.Of, e.allowed)
}
func (e *guarded) Unwrap() error { return e.many }
func (e *guarded) hint() string {
	return fmt.Sprintf("--dry-run names them; if they are to go: --max-delete %d", e.many.Delete)
}
