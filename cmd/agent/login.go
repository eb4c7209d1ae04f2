package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/prompt"
	"agent/cmd/internal/show"
	"agent/creds"
	"agent/transfer/s3store"
)

// loginOptions are the flags of login.
type loginOptions struct {
	base       string // "" for the environment's, or the usual one
	keyFile    string // "-" for standard input; "" asks
	keyExpires string // "" asks, on a terminal
	keyring    bool
	stateDir   string
}

func (o *loginOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.base, "base", "", "`URL` of the platform's API (default: "+variable("PLATFORM")+", else "+defaultPlatform+")")
	f.StringVar(&o.keyFile, "key-file", "", "read the API key from `FILE` ('-': standard input) instead of asking")
	f.StringVar(&o.keyExpires, "key-expires", "", "`DATE` on which the API key ends, e.g. 2026-12-24")
	f.BoolVar(&o.keyring, "keyring", false, "keep the key in the system's keyring instead of a file; needs a desktop session")
	f.StringVar(&o.stateDir, "state-dir", "", "where logins are kept `DIR` (default: "+variable("STATE_DIR")+", else the system's place)")
}

func loginCommand(name string, s std) *cobra.Command {
	var o loginOptions
	cmd := &cobra.Command{
		Use:   "login [WORKSPACE]",
		Short: "Store an API key, from which tokens are made without anybody's help",
		Long: `Takes an API key of the platform for a workspace, tries it, and stores it for
this user only. From then on every run for this workspace makes its own tokens,
also the runs that are waiting now.

The key is made on the platform's pages and lives at most 30 days. The page shows
a Token ID and an API Key: the latter is meant.`,
		Example: fmt.Sprintf(`  %[1]s login my-workspace
  %[1]s login my-workspace --key-file key.txt --key-expires 2026-12-24
  pass show platform | %[1]s login my-workspace --key-file -`, name),
		Args: atMostOne("workspace"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			l := &signIn{name: name, o: o, std: s}
			return l.run(ctx, args)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// atMostOne refuses more than one argument in the user's words.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return &dest.Mistake{Msg: "more than one " + what + " is named", Hint: "see '" + cmd.CommandPath() + " --help'"}
		}
		return nil
	}
}

// signIn is one login.
type signIn struct {
	name  string
	o     loginOptions
	std   std
	term  *prompt.Terminal // nil where nobody can be asked
	login creds.Login
}

func (l *signIn) run(ctx context.Context, args []string) error {
	state, err := stateDir(l.o.stateDir)
	if err != nil {
		return err
	}
	if in, ok := l.std.in.(*os.File); ok && l.o.keyFile != "-" {
		l.term, _ = prompt.New(in, l.std.err)
	}
	if l.o.keyExpires != "" {
		if l.login.KeyExpires, err = keyEnd(l.o.keyExpires, time.Now()); err != nil {
			return err
		}
	}
	if err := l.gather(ctx, args); err != nil {
		return err
	}
	life, err := l.try(ctx)
	if err != nil {
		return err
	}
	if err := l.askEnd(ctx); err != nil {
		return err
	}
	path := creds.LoginPath(filepath.Join(state, "logins"), l.login.Workspace)
	if err := creds.WriteLogin(path, l.login); err != nil {
		return err
	}
	l.report(path, life)
	return nil
}

// gather asks for what was not given.
func (l *signIn) gather(ctx context.Context, args []string) (err error) {
	l.login.Keyring = l.o.keyring
	l.login.Base = strings.TrimRight(firstOf(l.o.base, os.Getenv(variable("PLATFORM"))), "/")
	if len(args) > 0 {
		l.login.Workspace = strings.TrimRight(args[0], "/")
	}
	l.login.Workspace = firstOf(l.login.Workspace, os.Getenv(variable("WORKSPACE")))
	if l.login.Base == "" {
		l.login.Base = defaultPlatform
		if l.term != nil && l.o.keyFile == "" {
			answer, err := l.term.Line(ctx, "The platform's API ["+defaultPlatform+"]: ")
			if err != nil {
				return err
			}
			l.login.Base = strings.TrimRight(firstOf(answer, defaultPlatform), "/")
		}
	}
	if l.login.Workspace == "" && l.term != nil {
		if l.login.Workspace, err = l.term.Line(ctx, "Workspace: "); err != nil {
			return err
		}
	}
	if !dest.IsWorkspace(l.login.Workspace) {
		m := &dest.Mistake{Msg: fmt.Sprintf("%q is not the name of a workspace", l.login.Workspace), Hint: "workspace names have 1 to 63 lower-case letters, digits and hyphens"}
		if l.login.Workspace == "" {
			m = &dest.Mistake{Msg: "the workspace is missing", Hint: fmt.Sprintf("write: %s login my-workspace", l.name)}
		}
		return m
	}
	l.login.Key, err = l.key(ctx)
	return err
}

const longestKey = 64 << 10

// key is the API key, from a file, a pipe or a person.
func (l *signIn) key(ctx context.Context) (creds.Secret, error) {
	switch {
	case l.o.keyFile == "-":
		text, err := prompt.ReadAll(l.std.in, longestKey)
		if err != nil {
			return "", err
		}
		return checkedKey(creds.CheckKey("the API key", text))
	case l.o.keyFile != "":
		return checkedKey(creds.ReadKey(l.o.keyFile))
	case l.term == nil:
		return "", &dest.Mistake{Msg: "there is no terminal to ask for the API key on",
			Hint: fmt.Sprintf("write: %s login %s --key-file FILE ('-' for standard input)", l.name, l.login.Workspace)}
	}
	text, err := l.term.Hidden(ctx, "API key (not shown): ")
	if err != nil {
		return "", err
	}
	return checkedKey(creds.CheckKey("the API key", text))
}

// checkedKey makes a key that can't be one a mistake.
func checkedKey(key creds.Secret, err error) (creds.Secret, error) {
	var file *creds.FileError
	if err == nil || errors.As(err, &file) {
		return key, err
	}
	return "", &dest.Mistake{Msg: err.Error(), Hint: "copy the API Key that the platform's page shows, and nothing else"}
}

// longestLife is how long the platform lets keys live.
const longestLife = 30 * 24 * time.Hour

// askEnd asks when the key ends, where that was not said and somebody is there.
func (l *signIn) askEnd(ctx context.Context) error {
	if !l.login.KeyExpires.IsZero() || l.term == nil || l.o.keyFile != "" {
		return nil
	}
	latest := time.Now().Add(longestLife).Format(time.DateOnly)
	for {
		answer, err := l.term.Line(ctx, "When does the key end? The page says; keys live at most 30 days ["+latest+"]: ")
		if err != nil {
			return err
		}
		l.login.KeyExpires, err = keyEnd(firstOf(answer, latest), time.Now())
		if err == nil {
			return nil
		}
		what, hint := explain(err)
		fmt.Fprintf(l.std.err, "%s: %s\n", what, hint)
	}
}

// keyEnd reads the day, or the point in time, on which a key ends. Of a day it
// is the beginning: rather warned early than late.
func keyEnd(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02 15:04", "2 Jan 2006", "2 January 2006", "Jan 2 2006", "January 2, 2006", "Mon Jan 2 2006"} {
		end, err := time.ParseInLocation(layout, text, time.Local)
		switch {
		case err != nil:
			continue
		case end.Before(now.Add(-24 * time.Hour)):
			return end, &dest.Mistake{Msg: fmt.Sprintf("the key has ended on %s", end.Format(time.DateOnly)), Hint: "make a new one on the platform's page"}
		}
		return end, nil
	}
	return time.Time{}, &dest.Mistake{Msg: fmt.Sprintf("%q is no date", text), Hint: "write it like " + now.Add(longestLife).Format(time.DateOnly)}
}

// try makes a token with the key, and asks where the workspace's objects are.
func (l *signIn) try(ctx context.Context) (life time.Duration, err error) {
	settings, err := creds.LoadSettings(ctx, "", nil)
	if err != nil {
		settings = creds.Settings{CABundle: os.Getenv("AWS_CA_BUNDLE")} // the AWS files are of no use here
	}
	h, err := s3store.NewHTTPClient(s3store.HTTPOptions{CABundle: settings.CABundle})
	if err != nil {
		return 0, &dest.Mistake{Msg: err.Error()}
	}
	defer h.CloseIdle()
	p := &creds.Platform{Base: l.login.Base, Workspace: l.login.Workspace, HTTP: h,
		Key: func(context.Context) (creds.Secret, error) { return l.login.Key, nil }}
	c, err := p.Retrieve(ctx)
	if err != nil {
		return 0, &loginError{err: err, l: l}
	}
	if l.login.Place, err = p.Discover(ctx); err != nil {
		fmt.Fprintf(l.std.err, "note: the platform does not say where the workspace's objects are (%s); %s is taken\n", show.Clean(err.Error()), defaultBucket)
	}
	return time.Until(c.Expires).Round(time.Second), nil
}

// loginError is a login that did not come about.
type loginError struct {
	err error
	l   *signIn
}

func (e *loginError) Error() string { return "not logged in: " + e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

func (e *loginError) hint() string {
	var p *creds.PlatformError
	if !errors.As(e.err, &p) {
		return ""
	}
	switch {
	case p.Kind == creds.BadLogin:
		return "is the API's address right? --base " + defaultPlatform
	case !p.Kind.Lasting():
		return "check the network and the API's address (--base), then try again"
	}
	return platformAdvice(p, e.l.name, e.l.login.Workspace, e.l.login.Base)
}

// report says what was stored.
func (l *signIn) report(path string, life time.Duration) {
	w := l.std.err
	where := "in " + show.Clean(path) + ", for this user only"
	if l.login.Keyring {
		where = "in the system's keyring"
	} else if !creds.HasModes(filepath.Dir(path)) {
		where = "in " + show.Clean(path) + ", WHERE OTHERS MAY READ IT: this file system has no modes (--state-dir names another)"
	}
	fmt.Fprintf(w, "logged in to %s at %s\n", l.login.Workspace, show.Clean(l.login.Base))
	if at := l.login.Place; at.Bucket != "" {
		fmt.Fprintf(w, "  objects  s3://%s/%s%s\n", show.Clean(at.Bucket), show.Clean(at.Prefix), show.Clean(inRegion(at.Region)))
	}
	if life > 0 && life < 48*time.Hour { // else this machine's clock is off
		fmt.Fprintf(w, "  tokens   live %s; a new one is made ahead of each end\n", show.Duration(life))
	}
	fmt.Fprintf(w, "  API key  %s %s%s\n", l.login.Key, where, keyUntil(l.login.KeyExpires))
	fmt.Fprintf(w, "next: %s upload ./dataset %s/dataset\n", l.name, l.login.Workspace)
}

func inRegion(region string) string {
	if region == "" {
		return ""
	}
	return " in " + region
}

func keyUntil(end time.Time) string {
	if end.IsZero() {
		return "; its end is not known (--key-expires DATE lets you be warned of it)"
	}
	return ", until " + end.Format(time.DateOnly)
}

func logoutCommand(name string, s std) *cobra.Command {
	var flag string
	cmd := &cobra.Command{
		Use:   "logout [WORKSPACE]",
		Short: "Forget an API key, and what was pasted for its workspace",
		Long: `Removes the stored API key of a workspace, from the keyring too, and pasted
credentials that are still there. Tokens that were made end by themselves within
an hour; to end the key itself, delete it on the platform's page.`,
		Args: atMostOne("workspace"),
		RunE: func(_ *cobra.Command, args []string) error { return logout(name, flag, args, s.err) },
	}
	cmd.Flags().StringVar(&flag, "state-dir", "", "where logins are kept `DIR` (default: "+variable("STATE_DIR")+", else the system's place)")
	return cmd
}

func logout(name, flag string, args []string, w io.Writer) error {
	state, err := stateDir(flag)
	if err != nil {
		return err
	}
	var workspace string
	if len(args) > 0 {
		workspace = strings.TrimRight(args[0], "/")
	} else if workspace, err = defaultScope(state); err != nil {
		if errors.Is(err, errNoScope) {
			return &dest.Mistake{Msg: "there is no login", Hint: fmt.Sprintf("name the workspace: %s logout my-workspace", name)}
		}
		return err
	}
	there, err := creds.RemoveLogin(filepath.Join(state, "logins"), workspace)
	if err != nil {
		return err
	}
	pasted, err := creds.RemoveHandovers(filepath.Join(state, "creds"), workspace)
	if err != nil {
		return err
	}
	if !there && pasted == 0 {
		fmt.Fprintf(w, "there is no login for %s\n", show.Clean(workspace))
		return nil
	}
	fmt.Fprintf(w, "logged out of %s\n", show.Clean(workspace))
	return nil
}
