package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/joblog"
	"agent/cmd/internal/prompt"
	"agent/cmd/internal/show"
	"agent/creds"
	"agent/transfer"
	"agent/transfer/s3store"
)

// remoteOptions are the flags of commands that ask a store and keep no job.
type remoteOptions struct {
	connection          connectionOptions
	patience, waitCreds time.Duration
}

func (o *remoteOptions) addFlags(cmd *cobra.Command) {
	o.connection.addFlags(cmd)
	f := cmd.Flags()
	f.DurationVar(&o.patience, "patience", time.Minute, "how long the store may be away")
	f.DurationVar(&o.waitCreds, "wait-credentials", time.Minute, "how long to wait for new credentials")
}

// remote is a connection with a store to ask, for commands that keep no job.
type remote struct {
	*connection
	name    string
	std     std
	store   *s3store.Store
	stopper *stopper
	redact  *joblog.Redactor
	unwatch func()
	told    sync.Map // notices, by their text
}

// open makes c's store ready for what lies below prefix. The returned context
// ends with the second signal; close ends all that was begun.
func openRemote(ctx context.Context, name string, o remoteOptions, s std, c *connection, prefix string, parallel int) (*remote, context.Context) {
	r := &remote{connection: c, name: name, std: s, redact: &joblog.Redactor{}}
	r.stopper, ctx, r.unwatch = watch(ctx, func() {})
	c.start(r.credentials)
	r.store = s3store.New(r.options(o, prefix, parallel))
	return r, ctx
}

// options are those of a store on the connection that is stopped by signals.
func (r *remote) options(o remoteOptions, prefix string, parallel int) s3store.Options {
	return s3store.Options{
		Bucket: r.dest.Bucket, Prefix: prefix, Region: r.region, Endpoint: r.endpoint,
		Credentials: &hushed{Provider: r.provider, redact: r.redact}, HTTP: r.http, Parallel: parallel,
		Patience: o.patience, FirstPatience: firstPatience(o.patience), KeyPatience: o.waitCreds,
		Event: r.event, Stop: r.stopper.stop,
	}
}

func firstPatience(patience time.Duration) time.Duration {
	if patience > 0 {
		return min(patience, time.Minute)
	}
	return time.Minute
}

func (r *remote) close() {
	r.unwatch()
	r.Close()
}

// say writes a line about what goes on, beside the output proper.
func (r *remote) say(format string, a ...any) {
	fmt.Fprintln(r.std.err, show.Clean(r.redact.String(fmt.Sprintf(format, a...))))
}

// event tells of what people should know while they wait.
func (r *remote) event(e transfer.Event) {
	switch e.Kind {
	case transfer.Notice:
		if _, told := r.told.LoadOrStore(e.Text, true); !told { // a command may have several stores
			r.say("note: %s", e.Text)
		}
	case transfer.Waiting:
		r.say("waiting for %s", e.Text)
		if e.Hint != "" {
			r.say("  %s", e.Hint)
		}
	case transfer.Going:
		r.say("going on")
	default:
	}
}

// credentials tells of those that are waited for.
func (r *remote) credentials(e creds.Event) {
	switch e.Kind {
	case creds.Waiting:
		r.event(transfer.Event{Kind: transfer.Waiting, Text: "credentials: " + e.Asked.String(), Hint: wayOut{c: r.connection, name: r.name}.of(e.Asked)})
	case creds.Going:
		r.event(transfer.Event{Kind: transfer.Going})
	}
}

// ended turns what ended a command into its error: that of the signal, if one
// came, and the platform's rule where a listing was denied.
func (r *remote) ended(err error) error {
	if sig := r.stopper.code(); sig != 0 && err != nil {
		return &shownError{sig}
	}
	return r.explained(err)
}

func (r *remote) explained(err error) error {
	var e *transfer.Error
	if errors.Is(err, transfer.ErrDenied) && errors.As(err, &e) && e.Op == "ListObjectsV2" {
		return &unlistable{name: r.name, c: r.connection, err: err}
	}
	return err
}

// unlistable is a listing that was denied.
type unlistable struct {
	name string
	c    *connection
	err  error
}

func (e *unlistable) Error() string {
	code := "AccessDenied"
	var f *s3store.Fault
	if errors.As(e.err, &f) && f.Code != "" {
		code = f.Code
	}
	return fmt.Sprintf("these credentials may not list %s (%s)", e.c.dest, code)
}

func (e *unlistable) Unwrap() []error { return []error{transfer.ErrRefused, e.err} }

func (e *unlistable) hint() string {
	if e.c.dest.Prefix == "" {
		return "the platform lets nobody list its whole bucket, only what begins with the name of the own workspace: write workspace/path"
	}
	return "the platform lets credentials list only what begins with the name of the workspace they were made for; '" + e.name + " creds show' tells which are used"
}

// whole reports whether all of a bucket or a workspace is meant, and its name.
func (c *connection) whole() (name string, all bool) {
	switch at := strings.TrimSuffix(c.dest.Prefix, "/"); {
	case at == "":
		return c.dest.Bucket, true
	case at == c.scope, c.login.Place.Prefix != "" && at == strings.TrimSuffix(c.login.Place.Prefix, "/"), c.dest.Workspace != "" && c.dest.Prefix == c.dest.Workspace+"/":
		return at, true
	}
	return "", false
}

// asker is the terminal to ask on; nil where there is none.
func (s std) asker() *prompt.Terminal {
	in, ok := s.in.(*os.File)
	if !ok || !isTerminal(s.err) {
		return nil
	}
	t, ok := prompt.New(in, s.err)
	if !ok {
		return nil
	}
	return t
}

// objects writes "1 object", "2 objects".
func objects(n int) string {
	if n == 1 {
		return "1 object"
	}
	return show.Count(n) + " objects"
}
