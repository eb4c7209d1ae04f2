package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/show"
	"agent/journal"
	"agent/transfer"
)

func jobsRemoveCommand(name string, s std) *cobra.Command {
	var force bool
	cmd := onJob(name, &cobra.Command{
		Use:   "remove ID",
		Short: "Forget a job: its journal, log and all in its folder",
		Long: `Removes the folder of a job that nobody runs. Nothing is removed from the store;
the same command later compares its files with what is stored. Of a download, the
unfinished files (.NAME.….agent-part) are removed too: without the journal nobody
can go on with them.

A job with open uploads is not removed: what of them is stored would be lost, and
still be in the bucket. End them first (abort), or use --force, which names them.`,
		Example: fmt.Sprintf("  %[1]s jobs remove 6kuw", name),
	}, func(ctx context.Context, _ shelf, v *jobView) error {
		if v.busy {
			return v.heldError()
		}
		if n := len(v.uploads()); n > 0 && !force {
			return &dest.Mistake{Msg: fmt.Sprintf("job %s has %s", v.id, begunUploads(n)),
				Hint: fmt.Sprintf("finish it (%[1]s jobs resume %[2]s), end them (%[1]s jobs abort %[2]s), or leave them in the bucket with --force", name, v.id)}
		}
		if v.fault != nil && !force {
			return &dest.Mistake{Msg: fmt.Sprintf("whether job %s has open uploads can't be read: %v", v.id, v.fault), Hint: "--force removes it all the same"}
		}
		left := v.leftovers()
		if err := journal.Erase(ctx, v.dir); err != nil {
			return err
		}
		for _, u := range v.uploads() {
			fmt.Fprintf(s.err, "left in the bucket: %s, upload %s\n", show.Clean(u.Key), show.Clean(u.ID))
		}
		err := removeLeftovers(left, func(path string) { fmt.Fprintf(s.err, "removed %s\n", show.Clean(path)) })
		fmt.Fprintf(s.err, "removed job %s: %s\n", v.id, show.Clean(v.what()))
		return err
	})
	cmd.Flags().BoolVar(&force, "force", false, "also with open uploads, which stay in the bucket")
	return cmd
}

func jobsPruneCommand(name string, s std) *cobra.Command {
	var dry bool
	older := span(90 * 24 * time.Hour)
	cmd := onShelf(name, &cobra.Command{
		Use:   "prune",
		Short: "Forget finished jobs that have not been run for long",
		Long: `Removes the folders of finished jobs whose last run was longer ago than
--older-than. Unfinished and running jobs stay, and nothing is removed from the
store.`,
		Example: fmt.Sprintf("  %[1]s jobs prune --older-than 90d --dry-run", name),
		Args:    none,
	}, func(ctx context.Context, sh shelf, _ []string) error {
		jobs, err := sh.all(ctx)
		if err != nil {
			return err
		}
		verb, n, sum := "removed", 0, int64(0)
		if dry {
			verb = "would remove"
		}
		for _, v := range jobs {
			if state, _ := v.state(); state != jobFinished || time.Since(v.seen()) < time.Duration(older) || len(v.glance.Uploads) > 0 {
				continue
			}
			if !dry {
				if err := journal.Erase(ctx, v.dir); errors.Is(err, journal.ErrBusy) {
					continue // it was started just now
				} else if err != nil {
					return err
				}
			}
			n++
			sum += v.disk
			fmt.Fprintf(s.err, "%s job %s, %s: %s\n", verb, v.id, ago(v.seen(), time.Now()), show.Clean(v.what()))
		}
		fmt.Fprintf(s.err, "%s %s, %s\n", verb, jobCount(n), show.Bytes(sum))
		return nil
	})
	cmd.Flags().Var(&older, "older-than", "how long ago the last run must be, e.g. 90d, 12h")
	cmd.Flags().BoolVarP(&dry, "dry-run", "n", false, "print what would be removed; remove nothing")
	return cmd
}

func jobCount(n int) string {
	if n == 1 {
		return "1 job"
	}
	return show.Count(n) + " jobs"
}

// leftovers are the unfinished files of a download that its journal knows of
// and that are there; none while it runs.
func (v *jobView) leftovers() []transfer.Leftover {
	if v.job.Dir == "" {
		return nil
	}
	names := make([]string, len(v.glance.Uploads))
	for i, u := range v.glance.Uploads {
		names[i] = u.Key
	}
	return transfer.Leftovers(v.job.Dir, v.job.ID, names)
}

// removeLeftovers removes them, and tells of each that is gone.
func removeLeftovers(left []transfer.Leftover, gone func(path string)) error {
	var errs []error
	for _, l := range left {
		if err := l.Remove(); err != nil {
			errs = append(errs, fmt.Errorf("%w: %w", transfer.ErrLocal, err))
			continue
		}
		gone(l.Path)
	}
	return errors.Join(errs...)
}

// begunUploads is how many are open.
func begunUploads(n int) string {
	if n == 1 {
		return "1 open upload"
	}
	return show.Count(n) + " open uploads"
}
