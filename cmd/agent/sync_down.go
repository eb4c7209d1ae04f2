package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/show"
	"agent/transfer"
)

// resolveSyncDown turns arguments and flags of a sync to this machine into a
// task, or into a mistake. t.down is set.
func (t *task) resolveSyncDown(ctx context.Context, args []string, o syncOptions) error {
	if o.sending != "" {
		return &dest.Mistake{Msg: "--" + o.sending + " is about what is sent, and here files are fetched", Hint: "leave it out where the directory comes last"}
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
// what the store does not have, if it is certain what that is.
func (s *session) sweep(ctx context.Context, o *transfer.DownloadOptions, res transfer.Result, ran error) error {
	var shown *shownError
	switch {
	case !s.sweeps():
		return ran
	case ran != nil && !errors.As(ran, &shown):
		return ran
	case ran != nil || !res.Complete:
		s.notice("nothing was deleted: not everything else is done")
		return ran
	case res.Waiting > 0:
		s.notice("nothing was deleted: something of a Zarr store is left to a later run, which does it")
		return nil
	}
	so := transfer.SweepOptions{
		AllFiles: s.sync.run.allFiles, LeaveOut: s.notOurs(o.Taken.LeaveOut), Later: o.Taken.Later, Allow: s.sync.maxDelete.allows,
		Dir: s.listDir(), DryRun: s.o.dryRun, Prefix: s.down.remotes[0].Key, Event: s.event, Stop: s.stopper.stop,
	}
	if !s.o.dryRun {
		so.Journal = s.db
	}
	failed, err := transfer.Sweep(ctx, o.Target, o.Names, so)
	var many *transfer.TooMany
	switch {
	case errors.As(err, &many):
		return &keptError{
			why: fmt.Sprintf("%s of %s here would go that the store does not have (%s), such as %s, and --max-delete is %s",
				show.Count(int(many.Delete)), files(int(many.Of)), show.Bytes(many.Bytes), o.Target.Path(many.Example), &s.sync.maxDelete),
			advice: fmt.Sprintf("look at them with --dry-run; if that is meant, add --max-delete %d", many.Delete),
		}
	case errors.Is(err, transfer.ErrEmpty):
		return &keptError{why: "the store has nothing there", advice: "is it the right place? To empty a directory, delete its files yourself"}
	case err == nil && failed > 0:
		return &shownError{exitFailures}
	}
	return err
}

// notOurs is leaveOut that protects what this program keeps below the directory,
// too: its state, and the files that it was told to write.
func (s *session) notOurs(leaveOut func(name string) string) func(name string) string {
	ours := map[string]bool{}
	written := []string{s.state, s.o.logFile, s.o.unattended.statusFile}
	if to := s.o.unattended.summary; !isSummaryWord(to) {
		written = append(written, to)
	}
	dir := realPath(s.down.dir)
	for _, path := range written {
		if path == "" {
			continue
		}
		// The name it has, and what that leads to.
		above, base := filepath.Split(absPath(path))
		for _, at := range []string{filepath.Join(realPath(above), base), realPath(path)} {
			if rel, err := filepath.Rel(dir, at); err == nil && filepath.IsLocal(rel) && rel != "." {
				ours[filepath.ToSlash(rel)] = true
			}
		}
	}
	return func(name string) string {
		if ours[strings.TrimSuffix(name, "/")] {
			return "of " + program
		}
		if leaveOut == nil {
			return ""
		}
		return leaveOut(name)
	}
}

// realPath is path, absolute and without symbolic links, as far as that can be told.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(absPath(path)); err == nil {
		return real
	}
	return absPath(path)
}

func absPath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// files writes "1 file", "2 files".
func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return show.Count(n) + " files"
}
