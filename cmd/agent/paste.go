package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/prompt"
	"agent/cmd/internal/show"
	"agent/creds"
	"agent/journal"
	"agent/transfer"
	"agent/transfer/s3store"
)

func pasteCommand(name string, s std) *cobra.Command {
	p := &paster{name: name, std: s}
	cmd := &cobra.Command{
		Use:   "paste [DEST]",
		Short: "Take credentials that were copied from a page, for runs that wait and for later ones",
		Long: `Takes what the platform's page shows or copies, in any of its spellings, from a
prompt that shows nothing of it, or from standard input. Tries it with one
harmless request, and hands it to the runs that are under way and to later ones.

Without DEST it is for the run that waits for credentials; if none does, for the
workspace of the only login, or of ` + variable("WORKSPACE") + `.`,
		Example: fmt.Sprintf(`  %[1]s creds paste my-workspace
  wl-paste | %[1]s creds paste my-workspace`, name),
		Args: atMostOne("destination"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd.Context(), args) },
	}
	p.o.addFlags(cmd)
	cmd.Flags().BoolVar(&p.noCheck, "no-check", false, "do not try them")
	return cmd
}

// paster takes a paste and hands it over.
type paster struct {
	name    string
	std     std
	o       connectionOptions
	noCheck bool
	c       *connection
	waits   int // runs that wait for credentials of the same scope
}

func (p *paster) run(ctx context.Context, args []string) error {
	if err := p.target(ctx, args); err != nil {
		return err
	}
	defer p.c.Close()
	set, err := p.take(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	fmt.Fprintf(p.std.err, "%s%s\n", lengths(set), pastedEnd(set, now))
	if set.CanExpire && !set.Assumed && p.noCheck && !now.Before(set.Expires) {
		return &pasteError{fmt.Errorf("these expired at %s", set.Expires.UTC().Format(time.RFC3339))}
	}
	if !p.noCheck {
		if err := p.check(ctx, set.Credentials); err != nil {
			return err
		}
	}
	h := p.c.handover()
	if err := h.Put(set); err != nil {
		return err
	}
	if !creds.HasModes(h.Dir) {
		fmt.Fprintf(p.std.err, "note: others may read %s: its file system has no modes (--state-dir names another)\n", show.Clean(h.Dir))
	}
	switch {
	case p.waits > 0:
		fmt.Fprintf(p.std.err, "handed over for %s: what waits for it goes on\n", show.Clean(p.c.scope))
	default:
		fmt.Fprintf(p.std.err, "handed over for %s: to runs under way, and to later ones\n", show.Clean(p.c.scope))
	}
	return nil
}

// fresh is how old the sign of life of a run may be.
const fresh = 30 * time.Second

// target says for whom the paste is.
func (p *paster) target(ctx context.Context, args []string) error {
	state, err := stateDir(p.o.stateDir)
	if err != nil {
		return err
	}
	all, err := journal.Holders(filepath.Join(state, "jobs"), fresh)
	if err != nil {
		return err
	}
	var waiting []journal.Place
	seen := map[[2]string]bool{}
	for _, h := range all {
		at := h.Place
		if at.Scope == "" || !strings.HasPrefix(h.Progress.Waiting, waitingForCredentials) {
			continue
		}
		if id := [2]string{at.Endpoint, at.Scope}; !seen[id] {
			seen[id] = true
			waiting = append(waiting, at)
		}
	}
	switch {
	case len(args) == 0 && len(waiting) > 1:
		names := make([]string, len(waiting))
		for i, at := range waiting {
			names[i] = at.Scope
		}
		return &dest.Mistake{Msg: "several runs wait for credentials: " + strings.Join(names, ", "), Hint: fmt.Sprintf("name one: %s creds paste %s", p.name, names[0])}
	case len(args) == 0 && len(waiting) == 1:
		at := waiting[0]
		// As the run that waits has it, whatever this shell's environment says.
		p.o.endpoint, p.o.region = firstOf(p.o.endpoint, at.Endpoint), firstOf(p.o.region, at.Region)
		args = []string{"s3://" + at.Bucket + "/" + at.Prefix}
		if p.c, err = connectTo(ctx, p.name, p.o, args); err != nil {
			return err
		}
		p.c.scope, p.c.endpoint = at.Scope, at.Endpoint
	default:
		if p.c, err = connectTo(ctx, p.name, p.o, args); err != nil {
			return err
		}
	}
	for _, at := range waiting {
		if at.Scope == p.c.scope && at.Endpoint == p.c.endpoint {
			p.waits++
		}
	}
	return nil
}

// waitingForCredentials begins what a run says that it waits for.
const waitingForCredentials = "credentials: "

const longestPaste = 1 << 20

// take reads the paste: from a prompt on a terminal, else from a pipe.
func (p *paster) take(ctx context.Context) (creds.Set, error) {
	if in, ok := p.std.in.(*os.File); ok {
		if t, ok := prompt.New(in, p.std.err); ok {
			return takePaste(ctx, t, fmt.Sprintf("Paste the token for %s: all that the page shows or copies. Nothing of it will be shown.", p.c.scope))
		}
	}
	text, err := prompt.ReadAll(p.std.in, longestPaste)
	if err != nil {
		return creds.Set{}, &pasteError{err}
	}
	set, err := creds.ParsePaste(text, time.Now())
	if err != nil {
		return set, &pasteError{fmt.Errorf("what was pasted %w", err)}
	}
	return set, nil
}

// takePaste asks for a paste until it is whole.
func takePaste(ctx context.Context, t *prompt.Terminal, question string) (creds.Set, error) {
	text, err := t.Paste(ctx, prompt.PasteOptions{Question: question, Complete: func(text string) (bool, string) {
		if creds.Complete(text) {
			return true, ""
		}
		_, err := creds.ParsePaste(text, time.Now())
		if err == nil {
			return false, "no session token yet; ^D if there is none"
		}
		return false, "so far it " + err.Error()
	}})
	if err != nil {
		return creds.Set{}, err
	}
	set, err := creds.ParsePaste(text, time.Now())
	if err != nil {
		return set, &pasteError{fmt.Errorf("what was pasted %w", err)}
	}
	return set, nil
}

// pasteError is a paste that is not handed over.
type pasteError struct{ err error }

func (e *pasteError) Error() string   { return e.err.Error() }
func (e *pasteError) Unwrap() []error { return []error{e.err, transfer.ErrCredentials} }
func (e *pasteError) hint() string    { return "copy all that the page shows, and paste it again" }

// lengths says what was pasted, by its lengths alone.
func lengths(s creds.Set) string {
	text := fmt.Sprintf("access key id %d, secret access key %d", len(s.AccessKeyID), len(s.SecretAccessKey))
	if s.SessionToken != "" {
		text += fmt.Sprintf(", session token %d", len(s.SessionToken))
	}
	return text + " characters"
}

func pastedEnd(s creds.Set, now time.Time) string {
	switch {
	case !s.CanExpire:
		return ""
	case s.Assumed:
		return "; no end is told, an hour is assumed"
	case now.Before(s.Expires):
		return "; " + show.Duration(s.Expires.Sub(now)) + " left"
	default:
		return "; expired, if this machine's clock is right"
	}
}

// checkPatience is how long the store may take to answer about a paste.
const checkPatience = 10 * time.Second

// check tries the credentials with one harmless request. A store that can't be
// reached proves nothing against them.
func (p *paster) check(ctx context.Context, c aws.Credentials) error {
	c.Source = "paste"
	store := s3store.New(s3store.Options{
		Bucket: p.c.dest.Bucket, Prefix: p.c.dest.Prefix, Region: p.c.region, Endpoint: p.c.endpoint,
		Credentials: &oneSet{c: c}, HTTP: p.c.http, FirstPatience: checkPatience, Patience: checkPatience,
		Event: func(e transfer.Event) {
			if e.Kind == transfer.Notice {
				fmt.Fprintf(p.std.err, "note: %s\n", show.Clean(e.Text))
			}
		},
	})
	err := store.Check(ctx)
	switch {
	case err == nil:
		fmt.Fprintf(p.std.err, "tried: they may list %s\n", show.Clean(p.c.dest.String()))
		return nil
	case errors.Is(err, transfer.ErrUnreachable):
		what, _ := explain(err)
		fmt.Fprintf(p.std.err, "note: not tried, %s\n", show.Clean(what))
		return nil
	}
	return &refusedPaste{err: err, p: p}
}

// refusedPaste is a paste that the store did not take.
type refusedPaste struct {
	err error
	p   *paster
}

func (e *refusedPaste) Error() string {
	what, _ := explain(e.err)
	return "not handed over: " + what
}

func (e *refusedPaste) Unwrap() []error { return []error{e.err, transfer.ErrCredentials} }

func (e *refusedPaste) hint() string {
	var f *s3store.Fault
	scope := e.p.c.scope
	switch {
	case errors.Is(e.err, transfer.ErrDenied):
		return fmt.Sprintf("they are live, but not for %s: were they made for another workspace? (--no-check hands them over all the same)", scope)
	case errors.As(e.err, &f) && expiredCodes[f.Code]:
		return "they have ended: request new ones and paste those"
	case errors.As(e.err, &f) && refusalHints[f.Code] != "":
		return refusalHints[f.Code]
	}
	return "request new ones and paste those"
}

// expiredCodes are what stores say to credentials whose time is over.
var expiredCodes = map[string]bool{"ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true, "TokenRefreshRequired": true}

// oneSet is one set of credentials and no other.
type oneSet struct {
	c    aws.Credentials
	dead bool
}

func (o *oneSet) Retrieve(context.Context) (aws.Credentials, error) {
	if o.dead {
		return aws.Credentials{}, creds.ErrNone
	}
	return o.c, nil
}

func (o *oneSet) Wait(ctx context.Context) (aws.Credentials, error) { return o.Retrieve(ctx) }

func (o *oneSet) Another(ctx context.Context, _ string, _ bool) (aws.Credentials, error) {
	return o.Retrieve(ctx)
}

func (o *oneSet) Invalidate(string, string) { o.dead = true }

func (o *oneSet) ServerTime(time.Time) {}
