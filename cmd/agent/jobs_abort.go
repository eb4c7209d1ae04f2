package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/joblog"
	"agent/cmd/internal/show"
	"agent/creds"
	"agent/journal"
	"agent/transfer"
	"agent/transfer/s3store"
)

func jobsAbortCommand(name string, s std) *cobra.Command {
	var o jobsOptions
	cmd := &cobra.Command{
		Use:   "abort ID",
		Short: "End a job's unfinished uploads in the store",
		Long: `Ends the uploads that this job has begun and not finished: those in its journal,
no others. What of these files is stored already is lost; finished files stay, and
so does the job. Where the credentials may not end uploads, each is named with its
id, for whoever looks after the bucket, and forgotten.`,
		Example: fmt.Sprintf("  %[1]s jobs abort 6kuw", name),
		Args:    one,
		RunE: func(cmd *cobra.Command, args []string) error {
			sh, err := o.shelf(name)
			if err != nil {
				return err
			}
			v, err := sh.find(cmd.Context(), args[0])
			switch {
			case err != nil:
				return err
			case v.busy:
				return v.heldError()
			case v.fault != nil:
				return v.fault
			case len(v.uploads()) == 0:
				fmt.Fprintf(s.err, "job %s has no open uploads\n", v.id)
				return nil
			}
			if err := v.resumable(name); err != nil {
				return err
			}
			leave, err := v.enter(sh)
			if err != nil {
				return err
			}
			defer leave()
			return v.abort(cmd.Context(), sh, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// What is waited for when uploads are to be ended: somebody is looking.
const (
	abortPatience    = time.Minute
	abortKeyPatience = 20 * time.Second
)

// abort ends the open uploads, with the connection that the job's command makes.
func (v *jobView) abort(ctx context.Context, sh shelf, s std) error {
	c, err := connectAs(ctx, sh, s, v.command.Args)
	if err != nil {
		return err
	}
	if c == nil {
		return &dest.Mistake{Msg: "the command of job " + v.id + " has no destination", Hint: "see: " + sh.name + " jobs show " + v.id}
	}
	if c.endpoint != v.job.Endpoint || c.dest.Bucket != v.job.Bucket {
		return &dest.Mistake{Msg: fmt.Sprintf("job %s is of bucket %s at %s; here its command leads to %s at %s",
			v.id, v.job.Bucket, firstOf(v.job.Endpoint, "AWS"), c.dest.Bucket, firstOf(c.endpoint, "AWS")),
			Hint: "check the environment (AWS_ENDPOINT_URL, " + variable("BUCKET") + ") and the AWS files"}
	}
	redact := &joblog.Redactor{}
	c.start(func(e creds.Event) {
		if e.Kind == creds.Waiting {
			fmt.Fprintf(s.err, "waiting for credentials: %s\n", show.Clean(redact.String(e.Asked.String())))
		}
	})
	defer c.Close()
	db, err := journal.Open(ctx, v.dir, v.job, journal.Options{})
	if err != nil {
		return err
	}
	left := 0
	stopper, ctx, unwatch := watch(ctx, func() { fmt.Fprintln(s.err, "stopping") })
	defer unwatch()
	store := s3store.New(s3store.Options{
		Bucket: v.job.Bucket, Region: c.region, Endpoint: v.job.Endpoint, Prefix: v.job.Prefix,
		Credentials: &hushed{Provider: c.provider, redact: redact}, HTTP: c.http, Parallel: 1,
		Patience: abortPatience, KeyPatience: abortKeyPatience, Stop: stopper.stop,
		Event: func(e transfer.Event) {
			if e.Kind == transfer.Notice {
				left++
				fmt.Fprintf(s.err, "note: %s: %s\n", show.Clean(e.Key), show.Clean(redact.String(e.Text)))
			}
		},
	})
	ended, err := discardAll(ctx, store, db)
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	fmt.Fprintf(s.err, "ended %d of %d open uploads of job %s", ended-left, len(v.glance.Uploads), v.id)
	if left > 0 {
		fmt.Fprintf(s.err, "; %d are left in the bucket", left)
	}
	fmt.Fprintln(s.err)
	if code := stopper.code(); code != 0 && err != nil {
		return &shownError{code}
	}
	return err
}

// discardAll ends every upload that db knows to be open; n is how many were
// ended, or named and forgotten.
func discardAll(ctx context.Context, store *s3store.Store, db *journal.DB) (n int, err error) {
	for _, key := range db.Uploads() {
		up, open, err := db.Upload(key)
		if err != nil {
			return n, err
		}
		if !open {
			continue
		}
		if err := store.Discard(ctx, db, up); err != nil {
			return n, err
		}
		n++
	}
	return n, db.Flush(ctx)
}

// connectAs makes the connection that a command makes; nil where it has no
// destination.
func connectAs(ctx context.Context, sh shelf, s std, command []string) (*connection, error) {
	cmd, rest, err := rootCommand(sh.name, s).Find(command)
	if err != nil {
		return nil, err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return nil, err
	}
	flag := func(name string) string {
		if f := cmd.Flag(name); f != nil {
			return f.Value.String()
		}
		return ""
	}
	o := connectionOptions{
		bucket: flag("bucket"), endpoint: flag("endpoint"), region: flag("region"), profile: flag("profile"),
		credentials: flag("credentials"), envFile: flag("env-file"), process: flag("credential-process"), issuer: flag("issuer"),
		stateDir: sh.state,
	}
	args := cmd.Flags().Args()
	if len(args) == 0 || cmd.Flag("endpoint") == nil {
		return nil, nil
	}
	return connect(ctx, o, args[remoteArg(cmd, args)], 4)
}
