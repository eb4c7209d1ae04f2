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
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return p.run(ctx, args)
		},
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
		return &dest.Mistake{Msg: "these expired at " + set.Expires.UTC().Format(time.RFC3339), Hint: "request new ones and paste those"}
	}
	if !p.noCheck {
		said, err := p.c.check(ctx, set.Credentials)
		if err != nil {
			return err
		}
		fmt.Fprintln(p.std.err, show.Clean(said))
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
const fresh = 2 * time.Minute

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
		if at.Scope == "" || !h.Progress.Credentials {
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
	p.follow(waiting)
	return nil
}

// follow goes to the endpoint of the run of the same scope that waits, if only
// that one is known: it may have been named to the run alone.
func (p *paster) follow(waiting []journal.Place) {
	var others []journal.Place
	for _, at := range waiting {
		switch {
		case at.Scope != p.c.scope:
		case at.Endpoint == p.c.endpoint:
			p.waits++
		default:
			others = append(others, at)
		}
	}
	if p.waits == 0 && len(others) == 1 && p.o.endpoint == "" {
		p.c.endpoint, p.c.region = others[0].Endpoint, others[0].Region
		p.c.dest.Bucket, p.c.dest.Prefix = others[0].Bucket, others[0].Prefix
		p.waits++
	}
}

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
		if creds.Complete(lastWhole(text)) {
			return true, ""
		}
		_, err := creds.ParsePaste(text, time.Now())
		if err == nil {
			return false, "no session token yet; ^D if there is none"
		}
		return false, "so far: " + err.Error() + " (^U forgets it all)"
	}})
	if err != nil {
		return creds.Set{}, err
	}
	set, err := creds.ParsePaste(lastWhole(text), time.Now())
	if err != nil {
		return set, &pasteError{fmt.Errorf("what was pasted %w", err)}
	}
	return set, nil
}

// lastWhole is the last whole paste in the text, where there is one: whoever
// pasted the wrong thing first pastes the right one after it.
func lastWhole(text string) string {
	for i := len(text); i > 0; {
		i = strings.LastIndexByte(text[:i], '\n')
		if creds.Complete(text[i+1:]) {
			return text[i+1:]
		}
	}
	return text
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

// check tries credentials with one harmless request, and says how that went.
// A store that can't be reached proves nothing against them.
func (c *connection) check(ctx context.Context, set aws.Credentials) (said string, _ error) {
	set.Source = "paste"
	store := s3store.New(s3store.Options{
		Bucket: c.dest.Bucket, Prefix: c.dest.Prefix, Region: c.region, Endpoint: c.endpoint,
		Credentials: &oneSet{c: set}, HTTP: c.http, FirstPatience: checkPatience, Patience: checkPatience,
	})
	err := store.Check(ctx)
	switch {
	case err == nil:
		return "tried: they may list " + c.dest.String(), nil
	case errors.Is(err, transfer.ErrUnreachable):
		what, _ := explain(err)
		return "note: not tried, " + what, nil
	}
	return "", &refusedPaste{err: err, scope: c.scope}
}

// refusedPaste is a paste that the store did not take.
type refusedPaste struct {
	err   error
	scope string
}

func (e *refusedPaste) Error() string {
	what, _ := explain(e.err)
	return "not handed over: " + what
}

func (e *refusedPaste) Unwrap() []error { return []error{e.err, transfer.ErrCredentials} }

func (e *refusedPaste) hint() string {
	var f *s3store.Fault
	switch {
	case errors.Is(e.err, transfer.ErrDenied):
		return fmt.Sprintf("they are live, but not for %s: were they made for another workspace? (creds paste --no-check hands them over all the same)", e.scope)
	case errors.As(e.err, &f) && f.Expired():
		return "they have ended: request new ones and paste those"
	case errors.As(e.err, &f) && refusalHints[f.Code] != "":
		return refusalHints[f.Code]
	}
	return "request new ones and paste those"
}

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

func (o *oneSet) Invalidate(aws.Credentials, string) { o.dead = true }

func (o *oneSet) ServerTime(time.Time) {}
