package main

import (
	"context"
	"fmt"
	"os"
	"time"

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

// opens is how a file that the scan found is opened; nil as usual.
func (t *task) opens() func(path string) (transfer.File, error) {
	if t.o.noFollow {
		return transfer.OpenStraight(t.files)
	}
	return nil
}

// sinceSlack is how much earlier than it did a job is taken to have begun: stores and file
// systems tell times by the second or two.
const sinceSlack = 2 * time.Second

// since is when the first run of the job began, if this is not the first: a run that was
// cut off may have done since what the journal does not know.
func (s *session) since() time.Time {
	if s.db == nil || s.db.New() {
		return time.Time{}
	}
	return s.db.Job().Started.Add(-sinceSlack)
}

// storedSince is the same by the store's clock, where that is behind ours.
func (s *session) storedSince() func() time.Time {
	since := s.since()
	if since.IsZero() {
		return nil
	}
	return func() time.Time { return since.Add(min(0, s.store.Skew())) }
}
