package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"agent/cmd/internal/show"
	"agent/transfer"
	"agent/transfer/s3store"
)

// collectSurplus begins to collect what --delete is about. end is to be called.
func (s *session) collectSurplus() (end func()) {
	if !s.sweeps() || s.down != nil {
		return func() {}
	}
	o := transfer.SurplusOptions{Source: s.files[0], AllFiles: s.o.allFiles, LeaveOut: s.take.taken().LeaveOut, Dir: s.listDir()}
	s.surplus = transfer.NewSurplus(o)
	return s.surplus.Close
}

// keptError is a --delete that deletes nothing.
type keptError struct{ why, advice string }

func (e *keptError) Error() string { return "nothing was deleted: " + e.why }
func (e *keptError) hint() string  { return e.advice }

// deleteSurplus deletes, after all else, what the source does not have. ran is
// how the rest went; complete: all of it was seen and is done.
func (s *session) deleteSurplus(ctx context.Context, complete bool, ran error) error {
	u := s.surplus
	if u == nil {
		return ran
	}
	var shown *shownError
	if ran != nil && !errors.As(ran, &shown) {
		return ran
	}
	if ran != nil || !complete {
		s.notice("nothing was deleted: not everything else is done")
		return ran
	}
	s.tellKept()
	if err := s.mayDelete(); err != nil || u.Objects() == 0 && u.Doubt() == "" {
		return err
	}
	if u.Later() {
		s.notice("deleting is left to a later run, as something of a Zarr store is: " + surplusObjects(u))
		return nil
	}
	if !s.o.dryRun {
		// Before the first is gone: who is killed meanwhile can tell nobody.
		s.distrust(ctx, s.prefix, s.job.ID, func(string, ...any) {})
	}
	res, err := transfer.Prune(ctx, u, s.store, s.records(), transfer.PruneOptions{
		Event: s.event, Stop: s.stopper.stop, Batch: s3store.MaxDelete, DryRun: s.o.dryRun,
	})
	if res.Deleted > 0 || err != nil {
		s.distrust(context.WithoutCancel(ctx), s.prefix, s.job.ID, func(format string, a ...any) {
			s.notice(strings.TrimPrefix(fmt.Sprintf(format, a...), "note: "))
		})
	}
	if res.Left > 0 {
		s.notice(fmt.Sprintf("%d more objects were left: they go when the metadata of their Zarr store are gone", res.Left))
	}
	if err == nil && res.Failed > 0 {
		return &shownError{exitFailures}
	}
	return err
}

func surplusObjects(u *transfer.Surplus) string {
	return fmt.Sprintf("%s that the source does not have (%s)", objects(int(u.Objects())), show.Bytes(u.Bytes()))
}

// mayDelete says why nothing may be deleted.
func (s *session) mayDelete() error {
	u, most := s.surplus, &s.sync.maxDelete
	if u.Files() == 0 {
		return &keptError{why: u.Doubt(), advice: "is it mounted? To empty the destination, use the rm command"}
	}
	if why := u.Doubt(); why != "" {
		return &keptError{why: why, advice: "run it again when that is mended"}
	}
	if u.Objects() == 0 || most.allows(u.Objects(), u.Listed()) {
		return nil
	}
	if s.o.dryRun { // so that people see what it is about
		_, _ = transfer.Prune(context.Background(), u, nil, nil, transfer.PruneOptions{Event: s.event, DryRun: true})
	}
	return &keptError{
		why: fmt.Sprintf("%s of %s listed would go, such as %s, and --max-delete is %s", surplusObjects(u), show.Count(int(u.Listed())),
			u.Examples()[0], most),
		advice: fmt.Sprintf("look at them with --dry-run; if that is meant, add --max-delete %d", u.Objects()),
	}
}

// tellKept says what is not deleted although the source does not have it.
func (s *session) tellKept() {
	kept := s.surplus.Kept()
	n := 0
	var why []string
	for _, reason := range slices.Sorted(maps.Keys(kept)) {
		n += kept[reason]
		why = append(why, fmt.Sprintf("%s %s", show.Count(kept[reason]), reason))
	}
	if n > 0 {
		s.notice(fmt.Sprintf("kept %s that the source does not send: %s", objects(n), strings.Join(why, ", ")))
	}
}

// records is the journal to delete records from; nil in a dry run without one.
func (s *session) records() transfer.Journal {
	if s.db == nil {
		return nil
	}
	return s.db
}
