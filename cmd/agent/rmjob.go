package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"agent/cmd/internal/dest"
	"agent/journal"
	"agent/transfer"
	"agent/transfer/s3store"
)

// undoJob deletes what one job has stored.
func undoJob(ctx context.Context, name string, o rmOptions, s std) error {
	state, err := stateDir(o.remote.connection.stateDir)
	if err != nil {
		return err
	}
	if o.job, err = (shelf{name: name, state: state}).whole(o.job); err != nil {
		return err
	}
	dir := filepath.Join(state, "jobs", o.job)
	job, err := journal.JobIn(ctx, dir)
	if errors.Is(err, journal.ErrNoJournal) {
		return &dest.Mistake{Msg: fmt.Sprintf("there is no job %s in %s", o.job, filepath.Join(state, "jobs")),
			Hint: "each run shows its job's ID in its first line; is --state-dir the same?"}
	}
	if err != nil {
		return err
	}
	if job.ID != o.job || job.Direction == "download" {
		return &dest.Mistake{Msg: fmt.Sprintf("job %s is no upload", o.job)}
	}
	c, err := connectJob(ctx, o.remote.connection, job)
	if err != nil {
		return err
	}
	db, err := journal.Open(ctx, dir, job, journal.Options{})
	if err != nil {
		return err
	}
	r, ctx := openRemote(ctx, name, o.remote, s, c, job.Prefix, 8)
	defer r.close()
	what := fmt.Sprintf("stored by job %s at %s", job.ID, dest.Dest{Bucket: job.Bucket, Prefix: job.Prefix})
	u := &undoer{remover: &remover{remote: r, o: o, what: what}, db: db, job: job}
	err = u.run(ctx)
	return r.ended(errors.Join(err, db.Close()))
}

// connectJob connects to where a job stores. The job's own prefix may be no
// destination that somebody could write: what credentials are for is told by
// its first part.
func connectJob(ctx context.Context, o connectionOptions, job journal.Job) (*connection, error) {
	at := dest.Dest{Bucket: job.Bucket}
	if first, _, deeper := strings.Cut(job.Prefix, "/"); deeper && dest.IsWorkspace(first) {
		at.Prefix = first + "/"
	}
	o.endpoint = firstOf(o.endpoint, job.Endpoint)
	c, err := connect(ctx, o, at.String(), 32)
	if err != nil {
		return nil, err
	}
	if c.endpoint != job.Endpoint {
		return nil, &dest.Mistake{Msg: fmt.Sprintf("job %s stores at %s, not at %s", job.ID, firstOf(job.Endpoint, "AWS"), firstOf(c.endpoint, "AWS")),
			Hint: "leave --endpoint and AWS_ENDPOINT_URL out, or use those of the upload"}
	}
	return c, nil
}

// undoer is a remover of what a job has stored.
type undoer struct {
	*remover
	db  *journal.DB
	job journal.Job

	vanished          []string // keys of a batch whose objects are gone already
	replaced, unknown int
	counting          bool
}

func (u *undoer) run(ctx context.Context) error {
	u.pick, u.gone = u.stored, u.forget
	u.counting = true
	if err := u.count(ctx); err != nil {
		return err
	}
	u.counting = false
	u.tell()
	if u.objects == 0 {
		u.say("job %s: nothing of what it stored is still there", u.job.ID)
		if u.o.dryRun {
			return nil
		}
	} else if done, err := u.agree(ctx); done || err != nil {
		return err
	}
	u.distrust(ctx, u.job.Prefix, u.job.ID, func(string, ...any) {}) // who is killed meanwhile can tell nobody
	err := u.remove(ctx)
	if err == nil {
		err = u.forget(nil)
	}
	u.distrust(context.WithoutCancel(ctx), u.job.Prefix, u.job.ID, u.say)
	if ferr := u.db.Flush(context.WithoutCancel(ctx)); err == nil {
		err = ferr
	}
	return u.report(err)
}

// tell says what is not deleted although the job stored it.
func (u *undoer) tell() {
	if u.replaced > 0 {
		u.say("note: %s replaced since: left alone", objects(u.replaced))
	}
	if u.unknown > 0 {
		u.say("note: %s the store tells nothing of: left alone", objects(u.unknown))
	}
	if n := len(u.db.Uploads()); n > 0 {
		u.say("note: the job has %d unfinished uploads; they stay", n)
	}
}

// stored yields what the job stored and is still the same.
func (u *undoer) stored(ctx context.Context) iter.Seq2[transfer.Object, error] {
	return func(yield func(transfer.Object, error) bool) {
		for k, err := range transfer.WhatBecame(ctx, u.db, u.store, u.job.Prefix) {
			switch {
			case err != nil:
				yield(transfer.Object{}, err)
				return
			case k.Fate == transfer.StillThere:
				if !yield(k.Object, nil) {
					return
				}
			case u.counting:
				u.passed(k.Fate)
			case k.Fate == transfer.Gone:
				u.vanished = append(u.vanished, k.Record.Key)
				if len(u.vanished) >= s3store.MaxDelete {
					if err := u.forget(nil); err != nil {
						yield(transfer.Object{}, err)
						return
					}
				}
			}
		}
	}
}

func (u *undoer) passed(f transfer.Fate) {
	switch f {
	case transfer.Replaced:
		u.replaced++
	case transfer.Unknown:
		u.unknown++
	default:
	}
}

// forget removes the records of what was deleted, and of what was gone before.
func (u *undoer) forget(keys []string) error {
	for _, list := range [][]string{u.vanished, keys} {
		for _, key := range list {
			if _, open, err := u.db.Upload(key); err != nil {
				return err
			} else if open {
				continue // it is being sent anew, and has no record
			}
			if err := u.db.Forget(key); err != nil {
				return err
			}
		}
	}
	u.vanished = u.vanished[:0]
	return nil
}

// distrust has the journals of idle jobs below prefix, but one's, held against
// the store when they are run next: an unfinished one would else believe that what was
// deleted is there.
func (c *connection) distrust(ctx context.Context, prefix, but string, say func(format string, a ...any)) {
	entries, _ := os.ReadDir(filepath.Join(c.state, "jobs"))
	for _, e := range entries {
		dir := filepath.Join(c.state, "jobs", e.Name())
		job, err := journal.JobIn(ctx, dir)
		var busy *journal.BusyError
		if errors.As(err, &busy) && e.Name() != but && busy.Holder.Place.Bucket == c.dest.Bucket && overlap(busy.Holder.Place.Prefix, prefix) {
			say("note: job %s runs there at this moment: run it again when it has ended", e.Name())
		}
		if err != nil || job.ID == but || job.ID != e.Name() || job.Bucket != c.dest.Bucket || job.Endpoint != c.endpoint || !overlap(job.Prefix, prefix) {
			continue
		}
		if err := unmark(ctx, dir, job); err != nil {
			say("note: job %s may believe that what was deleted is there (%v)", job.ID, err)
		}
	}
}

// overlap reports whether there can be keys below both.
func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

func unmark(ctx context.Context, dir string, job journal.Job) error {
	db, err := journal.Open(ctx, dir, job, journal.Options{})
	if err != nil {
		return err
	}
	mark, err := db.Mark()
	// A finished job trusts nothing when it is run again, and it stays finished.
	if err == nil && !mark.Finished && mark != (transfer.Mark{}) {
		err = db.SetMark(transfer.Mark{})
	}
	return errors.Join(err, db.Close())
}
