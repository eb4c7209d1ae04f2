package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/show"
	"agent/creds"
	"agent/transfer"
)

func credsCommand(name string, s std) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "creds",
		Short: "Paste, show or print credentials",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(pasteCommand(name, s), showCommand(name, s), printCommand(name, s))
	return cmd
}

// connectTo is connect for a command whose destination may be left out.
func connectTo(ctx context.Context, name string, o connectionOptions, args []string) (*connection, error) {
	if len(args) > 0 {
		return connect(ctx, o, args[0], 4)
	}
	state, err := stateDir(o.stateDir)
	if err != nil {
		return nil, err
	}
	scope, err := defaultScope(state)
	if errors.Is(err, errNoScope) {
		return nil, &dest.Mistake{Msg: err.Error(), Hint: "name the workspace, or set " + variable("WORKSPACE") + "; or log in: " + name + " login"}
	}
	if err != nil {
		return nil, err
	}
	return connect(ctx, o, scope, 4)
}

func showCommand(name string, s std) *cobra.Command {
	var o connectionOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [DEST]",
		Short: "Show which credentials would be used, and for how long; never secrets",
		Long: `Asks every source of credentials for DEST (default: the workspace of the only
login, or ` + variable("WORKSPACE") + `) and shows what each has. The first one that has live
ones is used; it is marked with a star. Ends with 4 if there is none.`,
		Example: fmt.Sprintf("  %[1]s creds show my-workspace\n  %[1]s creds show --json s3://my-bucket/data", name),
		Args:    atMostOne("destination"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := connectTo(cmd.Context(), name, o, args)
			if err != nil {
				return err
			}
			defer c.Close()
			return c.show(cmd.Context(), s.out, asJSON)
		},
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// shownSource is what one source has, as it is shown.
type shownSource struct {
	Source  string     `json:"source"`
	Used    bool       `json:"used"`
	Key     string     `json:"key,omitempty"`     // shortened
	Account string     `json:"account,omitempty"` // of AWS, where the key tells
	Expires *time.Time `json:"expires,omitempty"`
	Left    *float64   `json:"left_s,omitempty"` // seconds
	None    string     `json:"none,omitempty"`   // why there are none
}

// shownCreds is all that 'creds show' shows.
type shownCreds struct {
	Scope       string        `json:"scope"`
	Destination string        `json:"destination"`
	Endpoint    string        `json:"endpoint,omitempty"`
	Region      string        `json:"region"`
	KeyExpires  *time.Time    `json:"api_key_expires,omitempty"`
	Sources     []shownSource `json:"sources"`
}

// show asks every source, and shows what each has.
func (c *connection) show(ctx context.Context, w io.Writer, asJSON bool) error {
	all := shownCreds{Scope: c.scope, Destination: c.dest.String(), Endpoint: c.endpoint, Region: c.region, Sources: make([]shownSource, len(c.sources))}
	if end := c.login.KeyExpires; !end.IsZero() {
		all.KeyExpires = &end
	}
	var wg sync.WaitGroup
	for i, src := range c.sources {
		wg.Go(func() { all.Sources[i] = c.look(ctx, src) })
	}
	wg.Wait()
	used := false
	for i, src := range c.sources {
		// What was made just now lives, whatever this machine's clock says.
		if s := &all.Sources[i]; s.Key != "" && !used && (renewing(src) || s.Left == nil || *s.Left > 0) {
			s.Used, used = true, true
		}
	}
	if asJSON {
		if err := encodeLine(w, all); err != nil {
			return err
		}
	} else {
		all.write(w)
	}
	if !used {
		return &shownError{exitCredentials}
	}
	return nil
}

// look asks one source.
func (c *connection) look(ctx context.Context, src creds.Source) shownSource {
	s := shownSource{Source: fmt.Sprint(src)}
	got, err := src.Retrieve(ctx)
	if err != nil {
		s.None = err.Error()
		return s
	}
	s.Key = creds.ShortKey(got.AccessKeyID)
	s.Account = c.account(got)
	if got.CanExpire {
		end, left := got.Expires.UTC(), time.Until(got.Expires).Round(time.Second).Seconds()
		s.Expires, s.Left = &end, &left
	}
	return s
}

// account is the AWS account of a key, where it is AWS that made it.
func (c *connection) account(got aws.Credentials) string {
	if c.endpoint == "" || strings.HasSuffix(c.endpoint, ".amazonaws.com") {
		return creds.AccountOf(got)
	}
	return got.AccountID
}

func (a *shownCreds) write(w io.Writer) {
	at := "AWS"
	if a.Endpoint != "" {
		at = a.Endpoint
	}
	fmt.Fprintf(w, "%s: %s at %s, region %s\n", show.Clean(a.Scope), show.Clean(a.Destination), show.Clean(at), show.Clean(a.Region))
	width := 0
	for _, s := range a.Sources {
		width = max(width, len(s.Source))
	}
	for _, s := range a.Sources {
		mark := " "
		if s.Used {
			mark = "*"
		}
		fmt.Fprintf(w, "%s %-*s  %s\n", mark, width, show.Clean(s.Source), show.Clean(s.text()))
	}
	if a.KeyExpires != nil {
		fmt.Fprintf(w, "API key until %s\n", a.KeyExpires.Format(time.DateOnly))
	}
}

func (s *shownSource) text() string {
	if s.Key == "" {
		return s.None
	}
	text := "key " + s.Key
	if s.Account != "" {
		text += ", account " + s.Account
	}
	switch {
	case s.Left == nil:
		text += ", end not known"
	case *s.Left <= 0:
		text += ", over since " + s.Expires.Format("2006-01-02 15:04:05 MST") + " by this machine's clock"
	default:
		text += ", " + show.Duration(time.Duration(*s.Left)*time.Second) + " left"
	}
	return text
}

func printCommand(name string, s std) *cobra.Command {
	var o connectionOptions
	var format string
	cmd := &cobra.Command{
		Use:   "print [DEST]",
		Short: "Print credentials for other programs, made anew when they need them",
		Long: `Prints live credentials for DEST, secrets included, for programs that read them:
as credential_process wants them, as lines for a shell, or as JSON. Asked are the
login, the issuer and what was pasted; other sources only if --credentials,
--profile or another flag names them, because the programs read those themselves.`,
		Example: fmt.Sprintf(`  # in ~/.aws/config, for the AWS CLI, boto3, rclone and others:
  [profile my-workspace]
  region = eu-west-2
  credential_process = %[1]s creds print my-workspace

  # for a shell:
  eval "$(%[1]s creds print --format env my-workspace)"`, name),
		Args: atMostOne("destination"),
		RunE: func(cmd *cobra.Command, args []string) error {
			print, ok := printers[format]
			if !ok {
				return &dest.Mistake{Msg: fmt.Sprintf("there is no format %q", format), Hint: "choose process, env or json"}
			}
			c, err := connectTo(cmd.Context(), name, o, args)
			if err != nil {
				return err
			}
			defer c.Close()
			got, err := c.fetch(cmd.Context(), name)
			if err != nil {
				return err
			}
			return print(s.out, got)
		},
	}
	o.addFlags(cmd)
	cmd.Flags().StringVar(&format, "format", "process", "`form`: process, env, json")
	return cmd
}

// printMark is in the environment of what 'creds print' runs, so that a profile
// whose credential_process is 'creds print' itself does not run it for ever.
const printMark = "CREDS_PRINT"

var errAskedItself = errors.New("its credential_process is 'creds print', which asked for it")

// fetch gets credentials for another program.
func (c *connection) fetch(ctx context.Context, name string) (aws.Credentials, error) {
	if os.Getenv(variable(printMark)) != "" {
		return aws.Credentials{}, fmt.Errorf("%w: %w", transfer.ErrCredentials, errAskedItself)
	}
	if err := os.Setenv(variable(printMark), "1"); err != nil {
		return aws.Credentials{}, err
	}
	var asked creds.Answers
	for _, src := range c.printable() {
		got, err := src.Retrieve(ctx)
		if err == nil && !renewing(src) && got.CanExpire && !time.Now().Before(got.Expires) {
			err = fmt.Errorf("%s is over", creds.Describe(got))
		}
		if err == nil {
			return got, nil
		}
		asked = append(asked, creds.Answer{Source: fmt.Sprint(src), Err: err})
	}
	return aws.Credentials{}, &noneError{asked: asked, c: c, name: name}
}

// printable are the sources to print from: not those that the asking program
// reads itself, unless they are meant; and last those of which nobody knows
// whether they have ended.
func (c *connection) printable() []creds.Source {
	var first, last []creds.Source
	for _, src := range c.sources {
		named := c.o.named("credentials", c.o.credentials)
		switch src.(type) {
		case creds.Environment:
		case *creds.Chain:
			named = named || c.o.named("profile", c.o.profile)
		case creds.EnvFile:
			if !named && !c.o.named("env-file", c.o.envFile) {
				last = append(last, src)
				continue
			}
			named = true
		default:
			named = true
		}
		if named {
			first = append(first, src)
		}
	}
	return slices.Concat(first, last)
}

// renewing reports whether a source makes its credentials when it is asked.
func renewing(src creds.Source) bool {
	r, ok := src.(interface{ Renews() bool })
	return ok && r.Renews()
}

// noneError is that no source has live credentials.
type noneError struct {
	asked creds.Answers
	c     *connection
	name  string // of the program
}

func (e *noneError) Error() string { return creds.ErrNone.Error() + ": " + e.asked.String() }
func (e *noneError) Unwrap() error { return transfer.ErrCredentials }

func (e *noneError) hint() string {
	return wayOut{c: e.c, name: e.name}.of(e.asked)
}

// printers are the formats.
var printers = map[string]func(io.Writer, aws.Credentials) error{
	"process": printProcess, "env": printEnv, "json": printJSON,
}

// printProcess is the form that the AWS SDKs specify for credential_process.
func printProcess(w io.Writer, c aws.Credentials) error {
	out := struct {
		Version                      int
		AccessKeyId, SecretAccessKey string
		SessionToken                 string     `json:",omitempty"`
		Expiration                   *time.Time `json:",omitempty"`
	}{1, c.AccessKeyID, c.SecretAccessKey, c.SessionToken, endOf(c)}
	return json.NewEncoder(w).Encode(out) //nolint:gosec // printing them is the command
}

// printJSON is the form of the platform's own answer.
func printJSON(w io.Writer, c aws.Credentials) error {
	out := struct {
		ID      string     `json:"accessKeyId"`
		Secret  string     `json:"secretAccessKey"`
		Token   string     `json:"sessionToken,omitempty"`
		Expires *time.Time `json:"expiration,omitempty"`
	}{c.AccessKeyID, c.SecretAccessKey, c.SessionToken, endOf(c)}
	return json.NewEncoder(w).Encode(out) //nolint:gosec // printing them is the command
}

func printEnv(w io.Writer, c aws.Credentials) error {
	end := ""
	if c.CanExpire {
		end = c.Expires.UTC().Format(time.RFC3339)
	}
	var b strings.Builder
	for _, l := range [][2]string{
		{"AWS_ACCESS_KEY_ID", c.AccessKeyID}, {"AWS_SECRET_ACCESS_KEY", c.SecretAccessKey},
		{"AWS_SESSION_TOKEN", c.SessionToken}, {"AWS_CREDENTIAL_EXPIRATION", end},
	} {
		if l[1] == "" {
			fmt.Fprintf(&b, "unset %s\n", l[0]) // an older set's would spoil this one
			continue
		}
		fmt.Fprintf(&b, "export %s=%s\n", l[0], shellWord(l[1]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func endOf(c aws.Credentials) *time.Time {
	if !c.CanExpire {
		return nil
	}
	end := c.Expires.UTC()
	return &end
}
