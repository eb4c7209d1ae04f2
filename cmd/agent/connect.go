package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"agent/cmd/internal/dest"
	"agent/creds"
	"agent/transfer"
	"agent/transfer/s3store"
)

// connectionOptions say where the store is and who asks.
type connectionOptions struct {
	bucket, endpoint, region, profile string
	credentials                       string // the one kind of source to use; "" for all
	envFile, process, issuer          string // "" for the environment's
	stateDir                          string
	insecure                          bool             // the store's certificate is not checked
	limiter                           *s3store.Limiter // no flag: of whoever has --limit; nil for none
	flags                             *pflag.FlagSet   // that set them; nil where none did
}

// named reports whether a flag of that value was given on the command line, or
// by the destination that is named there. Whoever names a source of credentials
// means it; one that variables or the general part of the file name is only there.
func (o *connectionOptions) named(flag, value string) bool {
	return value != "" && (o.flags == nil || o.flags.Changed(flag))
}

func (o *connectionOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	o.flags = f
	f.StringVar(&o.bucket, "bucket", "", "bucket of workspace/path `name` (default: "+variable("BUCKET")+", else the login's, else "+defaultBucket+")")
	f.StringVar(&o.endpoint, "endpoint", "", "`URL` of the store (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's, the login's, else AWS)")
	f.StringVar(&o.region, "region", "", "region `name` (default: AWS_REGION, the profile's, the login's, else "+defaultRegion+")")
	f.StringVar(&o.profile, "profile", "", "profile `name` in the AWS files (default: AWS_PROFILE)")
	f.StringVar(&o.credentials, "credentials", "", "use this `source` alone: "+strings.Join(sourceNames, ", "))
	f.StringVar(&o.envFile, "env-file", "", "`FILE` with ACCESS_KEY_ID=… lines (default: "+variable("ENV_FILE")+")")
	f.StringVar(&o.process, "credential-process", "", "`COMMAND` that prints credentials (default: "+variable("CREDENTIAL_PROCESS")+", or the profile's)")
	f.StringVar(&o.issuer, "issuer", "", "`FILE` that describes an HTTP issuer (default: "+variable("ISSUER")+")")
	f.BoolVar(&o.insecure, "insecure", false, "do not check the certificate of the store that --endpoint names: anybody on the way can read and change everything. Better: AWS_CA_BUNDLE")
	f.StringVar(&o.stateDir, "state-dir", "", "where jobs, logins and pasted credentials are kept `DIR` (default: "+variable("STATE_DIR")+", else the system's place)")
}

const (
	defaultBucket = "workspaces-eodhp"
	defaultRegion = "eu-west-2"
)

// connection is a destination with what is known of the way to it: where its
// store is, and who is asked for credentials.
type connection struct {
	o        connectionOptions
	dest     dest.Dest
	state    string
	scope    string      // whom credentials are for: a workspace, or s3://bucket
	login    creds.Login // of the workspace, without its key; zero where nobody logged in
	issuer   *creds.Issuer
	endpoint string
	region   string
	bundle   string              // path of certificates to trust besides the system's
	http     *s3store.HTTPClient // of the store
	api      *s3store.HTTPClient // of whoever issues credentials: the same, but never insecure
	sources  []creds.Source
	provider *creds.Provider
	rehome   func(dest.Dest) dest.Dest // where another path of a workspace is, in the same way as dest
}

// connect makes a connection to a destination. It sends nothing, unless only an
// issuer can tell where a workspace's objects are. Open it with start.
func connect(ctx context.Context, o connectionOptions, destination string, conns int) (*connection, error) {
	c := &connection{o: o}
	var err error
	if c.state, err = stateDir(o.stateDir); err != nil {
		return nil, err
	}
	common := firstOf(o.bucket, os.Getenv(variable("BUCKET")))
	if c.dest, err = dest.Parse(destination, firstOf(common, defaultBucket)); err != nil {
		return nil, err
	}
	if err = c.findLogin(firstOf(common, defaultBucket)); err != nil {
		return nil, err
	}
	if file := firstOf(o.issuer, os.Getenv(variable("ISSUER"))); file != "" {
		if c.issuer, err = creds.LoadIssuer(file); err != nil {
			return nil, err
		}
	}
	if err := c.settle(ctx, conns); err != nil {
		return nil, err
	}
	if err := c.locate(ctx, common != ""); err != nil {
		return nil, err
	}
	if err := c.checkInsecure(); err != nil {
		return nil, err
	}
	c.sources, err = c.pickSources()
	return c, err
}

// findLogin looks whose credentials are wanted, and for the login that is there
// for them. One that can't be read is an error: without the place in it the
// objects would go somewhere else.
func (c *connection) findLogin(common string) error {
	logins, _ := creds.Logins(c.logins()) // what is wrong with others does not matter here
	c.scope = scopeOf(c.dest, common, logins)
	for _, l := range logins {
		if l.Workspace == c.scope {
			c.login = l
			return nil
		}
	}
	path := creds.LoginPath(c.logins(), c.scope)
	if _, err := os.Lstat(path); err != nil {
		return nil //nolint:nilerr // there is none
	}
	_, err := creds.ReadLogin(path)
	return err
}

// settle decides endpoint and region, and makes the HTTP client.
func (c *connection) settle(ctx context.Context, conns int) error {
	if err := checkBundle(os.Getenv("AWS_CA_BUNDLE")); err != nil {
		return err
	}
	settings, err := creds.LoadSettings(ctx, c.o.profile, nil)
	if err != nil {
		return err
	}
	c.bundle = settings.CABundle
	if err := c.dial(conns); err != nil {
		return fmt.Errorf("%w: %w", transfer.ErrRefused, err)
	}
	if c.endpoint, err = cleanEndpoint(firstOf(c.o.endpoint, settings.Endpoint, c.login.Place.Endpoint)); err != nil {
		return err
	}
	c.region = firstOf(c.o.region, settings.Region)
	return nil
}

// dial makes the HTTP clients.
func (c *connection) dial(conns int) (err error) {
	o := s3store.HTTPOptions{CABundle: c.bundle, MaxConns: conns, Limit: c.o.limiter}
	if c.api, err = s3store.NewHTTPClient(o); err != nil || !c.o.insecure {
		c.http = c.api
		return err
	}
	o.Insecure = true
	c.http, err = s3store.NewHTTPClient(o)
	return err
}

// locate says where the objects of a workspace are, if neither flag nor
// variable does.
func (c *connection) locate(ctx context.Context, named bool) error {
	at := c.login.Place
	if c.issuer != nil {
		c.issuer.HTTP = c.api
		if c.issuer.Workspace == "" && dest.IsWorkspace(c.scope) {
			c.issuer.Workspace = c.scope
		}
	}
	if at.Bucket == "" && !named && c.issuer != nil && c.dest.Workspace != "" && c.uses(fromIssuer) {
		var err error
		if at, err = c.issuer.Locate(ctx); err != nil {
			return &located{name: c.issuer.String(), err: err}
		}
	}
	if c.endpoint == "" {
		var err error
		if c.endpoint, err = cleanEndpoint(at.Endpoint); err != nil {
			return err
		}
	}
	c.region = firstOf(c.region, at.Region, defaultRegion)
	c.rehome = func(d dest.Dest) dest.Dest { return d }
	if at.Bucket != "" && !named {
		c.rehome = func(d dest.Dest) dest.Dest {
			return d.At(at.Bucket, strings.ReplaceAll(at.Prefix, "{workspace}", d.Workspace))
		}
	}
	c.dest = c.rehome(c.dest)
	return nil
}

// located is an issuer that does not say where a workspace's objects are.
type located struct {
	name string
	err  error
}

func (e *located) Error() string {
	return fmt.Sprintf("%s does not say where the workspace's objects are: %v", e.name, e.err)
}
func (e *located) Unwrap() []error { return []error{transfer.ErrCredentials, e.err} }

// scopeOf is whom credentials for a destination are for.
func scopeOf(d dest.Dest, common string, logins []creds.Login) string {
	if d.Workspace != "" {
		return d.Workspace
	}
	for _, l := range logins {
		if at := l.Place; at.Bucket == d.Bucket && at.Prefix != "" && strings.HasPrefix(d.Under(), at.Prefix) {
			return l.Workspace
		}
	}
	if first, _, _ := strings.Cut(d.Prefix, "/"); d.Bucket == common && dest.IsWorkspace(first) {
		return first
	}
	return "s3://" + d.Bucket
}

func (c *connection) logins() string { return filepath.Join(c.state, "logins") }
func (c *connection) pasted() string { return filepath.Join(c.state, "creds") }

// handover is where credentials that people paste for the scope are left.
func (c *connection) handover() *creds.Handover {
	return &creds.Handover{Dir: c.pasted(), Endpoint: c.endpoint, Workspace: c.scope}
}

// start begins to hold credentials; event may be nil. Close ends it.
func (c *connection) start(event func(creds.Event)) {
	creds.SweepHandovers(c.pasted())
	c.provider = creds.New(creds.Options{Sources: c.sources, Event: event})
}

// serverTime is the time by which credentials end.
func (c *connection) serverTime() (time.Time, bool) {
	if c.provider == nil {
		return time.Now(), false
	}
	return c.provider.Now()
}

// Close ends what start and the requests have begun.
func (c *connection) Close() {
	if c.provider != nil {
		c.provider.Close()
	}
	c.http.CloseIdle()
	c.api.CloseIdle()
}

// platformBase is the platform's API: the login's, or the usual one.
func (c *connection) platformBase() string { return firstOf(c.login.Base, platformBase()) }

// pasteArguments are what 'creds paste' takes to mean this destination.
func (c *connection) pasteArguments() string {
	arg := c.scope
	if !dest.IsWorkspace(arg) {
		arg = shellWord(c.dest.String())
	}
	if c.o.named("endpoint", c.o.endpoint) {
		arg += " --endpoint " + shellWord(c.o.endpoint)
	}
	if c.o.named("state-dir", c.o.stateDir) {
		arg += " --state-dir " + shellWord(c.o.stateDir)
	}
	return arg
}

// checkBundle names the variable where its file can't be used: the SDK, which
// reads it too, names a profile instead.
func checkBundle(file string) error {
	if file == "" {
		return nil
	}
	if _, err := s3store.NewHTTPClient(s3store.HTTPOptions{CABundle: file, Getenv: func(string) string { return "" }}); err != nil {
		return &dest.Mistake{Msg: "AWS_CA_BUNDLE: " + err.Error(), Hint: "set it to a PEM file of certificates, or unset it"}
	}
	return nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// defaultScope is the workspace that is meant where none is named: the
// variable's, or that of the only login.
func defaultScope(state string) (string, error) {
	if ws := os.Getenv(variable("WORKSPACE")); ws != "" {
		return ws, nil
	}
	logins, err := creds.Logins(filepath.Join(state, "logins"))
	switch {
	case len(logins) == 1:
		return logins[0].Workspace, nil
	case len(logins) > 1:
		names := make([]string, len(logins))
		for i, l := range logins {
			names[i] = l.Workspace
		}
		return "", &dest.Mistake{Msg: "there are logins for several workspaces: " + strings.Join(names, ", "), Hint: "name one"}
	case err != nil:
		return "", err
	}
	return "", errNoScope
}

var errNoScope = errors.New("no workspace is named, and there is no login to tell one")
