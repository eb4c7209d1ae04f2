package main

import (
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Roles a minted token can carry.
const (
	rolePlatform = "platform"
	roleFull     = "full"
)

// options are the settings of one serving sandbox.
type options struct {
	dir         string        // state; empty: a temporary directory, removed at the end
	port        int           // S3 listener on 127.0.0.1; 0: any free port
	apiPort     int           // API listener on 127.0.0.1; 0: any free port
	tls         bool          // serve S3 over https
	bucket      string        // created at start
	workspace   string        // the only workspace the API key is good for
	region      string        // signing region
	role        string        // rolePlatform or roleFull
	tokenLife   time.Duration // life of a minted token; default 1h
	clockOffset time.Duration // added to the server's clock; may be negative
	rate        byteRate      // bytes a second for all request bodies; 0: unlimited
	apiKey      string        // empty: derived from the secret
	secret      string        // empty: kept in dir
	logFile     string        // request log, JSON lines; empty: none
	envFile     string        // written when ready; empty: none
	missing     int           // status of a GET or HEAD of a missing key under rolePlatform
}

// workspaceName is the platform's rule for names of workspaces.
var workspaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.dir, "dir", "", "keep objects and state in `DIR` (default: a temporary directory, removed at the end)")
	fs.IntVar(&o.port, "port", 0, "S3 `port` on 127.0.0.1 (0: any free one)")
	fs.IntVar(&o.apiPort, "api-port", 0, "API `port` on 127.0.0.1 (0: any free one)")
	fs.BoolVar(&o.tls, "tls", false, "serve S3 over https; the CA is written to DIR/ca.pem")
	fs.StringVar(&o.bucket, "bucket", "workspaces-eodhp", "bucket `name`, created at start")
	fs.StringVar(&o.workspace, "workspace", "example-workspace", "the workspace `name` the API key is good for")
	fs.StringVar(&o.region, "region", "eu-west-2", "signing `region`")
	fs.StringVar(&o.role, "role", rolePlatform, "what tokens may do: `platform` or full")
	fs.DurationVar(&o.tokenLife, "token-life", time.Hour, "life of a minted token, as `duration`")
	fs.DurationVar(&o.clockOffset, "clock-offset", 0, "shift the server's clock by `duration`")
	fs.Var(&o.rate, "rate", "bytes per second for all request bodies together, e.g. `20MB` or 20MiB (default unlimited)")
	fs.StringVar(&o.apiKey, "api-key", "", "the API `key` (default: 32 hex digits made from the secret)")
	fs.StringVar(&o.secret, "secret", "", "`seed` of every key and token (default: random, kept in DIR/seed)")
	fs.StringVar(&o.logFile, "log", "", "append the request log to `FILE`")
	fs.StringVar(&o.envFile, "env-file", "", "write the environment to `FILE` when ready")
	fs.IntVar(&o.missing, "missing", 403, "`status` for a GET or HEAD of a missing key under --role platform: 403 or 404")
	if err := parseFlags(fs, args); err != nil {
		return o, err
	}
	if err := o.check(); err != nil {
		return o, &usageError{err}
	}
	return o, o.absolute()
}

func (o *options) check() error {
	switch {
	case o.role != rolePlatform && o.role != roleFull:
		return fmt.Errorf("--role %s: must be platform or full", o.role)
	case o.tokenLife <= 0:
		return fmt.Errorf("--token-life %v: must be positive", o.tokenLife)
	case !workspaceName.MatchString(o.workspace):
		return fmt.Errorf("--workspace %q: not a workspace name", o.workspace)
	case o.missing != 403 && o.missing != 404:
		return fmt.Errorf("--missing %d: must be 403 or 404", o.missing)
	}
	return nil
}

// absolute resolves the paths now, because the storage backend changes the
// working directory of the process.
func (o *options) absolute() error {
	for _, p := range []*string{&o.dir, &o.logFile, &o.envFile} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	return nil
}

// byteRate is bytes per second; as a flag it takes a number with an optional
// decimal (kB, MB, GB) or binary (KiB, MiB, GiB) unit and an optional "/s".
type byteRate int64

func (r *byteRate) String() string { return strconv.FormatInt(int64(*r), 10) }

func (r *byteRate) Set(s string) error {
	number := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s)), "/s")
	factor := 1.0
	for _, u := range rateUnits {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, factor = strings.TrimSpace(rest), u.factor
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v*factor >= 1 && v*factor <= 1e15) { // so written, NaN is refused
		return fmt.Errorf("not a number of bytes per second, such as 20MB")
	}
	*r = byteRate(v * factor)
	return nil
}

// rateUnits is ordered so that no suffix hides a longer one.
var rateUnits = []struct {
	suffix string
	factor float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9},
	{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"b", 1},
}
