package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpproxy"

	"agent/cmd/internal/show"
	"agent/creds"
	"agent/journal"
	"agent/transfer"
	"agent/transfer/s3store"
)

const (
	doctorPatience = 10 * time.Second // for what the store does not answer
	doctorSkew     = 5 * time.Minute  // more, and AWS refuses what others sign
	doctorLife     = 5 * time.Minute
	doctorKeyLife  = 7 * 24 * time.Hour
	doctorRoom     = 256 << 20 // bytes: a journal of a million files takes half of it
	doctorSync     = time.Second
)

// checkProgram says which program this is, and whether the shell would run another.
func (d *doctor) checkProgram() {
	self, err := os.Executable()
	if err != nil {
		d.good("program", "%s", thisEdition())
		return
	}
	d.good("program", "%s, %s/%s, %s", thisEdition(), runtime.GOOS, runtime.GOARCH, self)
	for _, other := range onPath(program, os.Getenv("PATH")) {
		if !sameFile(self, other) {
			d.bad("PATH", "remove one of them, or name the right one in full", "another %s is on PATH: %s", program, other)
			return
		}
	}
}

// onPath are the programs of a name in the folders of a PATH.
func onPath(name, path string) []string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	var found []string
	for _, dir := range filepath.SplitList(path) {
		p := filepath.Join(dir, name)
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && (fi.Mode()&0o111 != 0 || runtime.GOOS == "windows") {
			found = append(found, p)
		}
	}
	return found
}

func sameFile(a, b string) bool {
	fa, err1 := os.Stat(a)
	fb, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(fa, fb)
}

// checkConfig reads the settings, and lays them under the flags.
func (d *doctor) checkConfig(cmd *cobra.Command, args []string) {
	f, err := loadConfig(cmd.Root())
	if err == nil {
		_, err = settle(cmd, f, args)
	}
	switch {
	case err != nil:
		d.fault("settings", err)
	case !exists(f.Path):
		d.good("settings", "no configuration file (%s config path)", d.name)
	default:
		d.good("settings", "%s", f.Path)
	}
}

// checkState keeps a journal for a moment: that needs all that jobs need of the
// file system, locks and maps of memory too.
func (d *doctor) checkState(ctx context.Context) {
	dir, err := stateDir(d.o.connection.stateDir)
	if err != nil {
		d.fault("state", err)
		return
	}
	there := exists(dir)
	began := time.Now()
	err = tryJournal(ctx, filepath.Join(dir, "doctor-"+rand.Text()[:8]))
	took := time.Since(began).Round(time.Millisecond)
	if err != nil {
		d.fault("state", err)
		return
	}
	free, network, err := roomIn(dir)
	at := dir
	if network != "" {
		at += " on " + network
	}
	switch {
	case err != nil:
		d.bad("state", "", "%s: %v", at, err)
	case free < doctorRoom:
		d.bad("state", "make room, or choose another folder: --state-dir DIR, or "+variable("STATE_DIR"), "%s has only %s left", at, show.Bytes(free))
	case took > doctorSync:
		d.bad("state", "choose a folder on a local disk: --state-dir DIR, or "+variable("STATE_DIR"), "%s is slow: a journal's few bytes took %s", at, took)
	default:
		d.good("state", "%s: locks and maps work, %s free", at, show.Bytes(free))
	}
	if !there {
		_ = os.Remove(dir) // as it was
	}
}

func tryJournal(ctx context.Context, dir string) error {
	defer func() { _ = os.RemoveAll(dir) }() // whatever came of it
	db, err := journal.Open(ctx, dir, journal.NewJob("doctor", []string{dir}, "", "", ""), journal.Options{})
	if err != nil {
		return err
	}
	err = db.Begin(transfer.Upload{Key: "scratch", ID: "scratch"})
	if err == nil {
		err = db.Flush(ctx)
	}
	return errors.Join(err, db.Close(), journal.Remove(dir))
}

// storeURL is where requests go. AWS has a host for every bucket, but for names
// with dots: a firewall may let one through and not the other.
func (c *connection) storeURL() string {
	switch at := "s3." + c.region + ".amazonaws.com"; {
	case c.endpoint != "":
		return c.endpoint
	case strings.Contains(c.dest.Bucket, "."):
		return "https://" + at
	default:
		return "https://" + c.dest.Bucket + "." + at
	}
}

// requestURL is where requests about key go.
func (c *connection) requestURL(key string) string {
	at := c.storeURL()
	if c.endpoint == "" && !strings.Contains(c.dest.Bucket, ".") {
		return at + "/" + key
	}
	return at + "/" + c.dest.Bucket + "/" + key
}

func (d *doctor) checkProxy(c *connection) {
	u, err := url.Parse(c.storeURL())
	if err != nil {
		return // the endpoint's check says so
	}
	switch proxy, err := httpproxy.FromEnvironment().ProxyFunc()(u); {
	case err != nil:
		d.bad("proxy", "see HTTPS_PROXY, HTTP_PROXY and NO_PROXY", "the proxy variables can't be used")
	case proxy != nil:
		d.good("proxy", "%s", proxy.Host) // without its password
	default:
		d.good("proxy", "none for this endpoint")
	}
}

// checkEndpoint makes one request without a signature: any answer will do. It
// tells clock and TLS, too.
func (d *doctor) checkEndpoint(ctx context.Context, c *connection) bool {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, c.requestURL(c.dest.Prefix), nil)
	if err != nil {
		d.bad("endpoint", "check --endpoint", "%s is no address", c.storeURL())
		return false
	}
	resp, err := c.http.Do(req)
	if err != nil {
		hint := s3store.Advice(err)
		if hint == "" {
			hint = "check the network, and the endpoint (--endpoint, AWS_ENDPOINT_URL)"
		}
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err
		}
		d.bad("endpoint", hint, "%s does not answer: %v", c.storeURL(), err)
		return false
	}
	_ = resp.Body.Close()
	how := "plain http"
	if resp.TLS != nil {
		how = "TLS 1.2"
		if resp.TLS.Version > 0x0303 {
			how = "TLS 1.3"
		}
	}
	d.good("endpoint", "%s answers, %s", c.storeURL(), how)
	d.checkClock(resp.Header.Get("Date"), time.Now())
	return true
}

func (d *doctor) checkClock(date string, now time.Time) {
	at, err := http.ParseTime(date)
	if err != nil {
		return
	}
	off := now.Sub(at).Round(time.Second)
	if off.Abs() < doctorSkew {
		d.good("clock", "right to %s", show.Duration(max(off.Abs(), time.Second)))
		return
	}
	d.bad("clock", "set it: timedatectl set-ntp true, or the system's settings", "this machine's clock is off by %s", show.Duration(off.Abs()))
}

// checkCredentials asks the sources as an upload would.
func (d *doctor) checkCredentials(ctx context.Context, c *connection) (got aws.Credentials, ok bool) {
	var asked creds.Answers
	for _, src := range c.sources {
		set, err := src.Retrieve(ctx)
		if err == nil && (!set.CanExpire || time.Until(set.Expires) > 0) {
			d.judgeLife(c, src, set)
			return set, true
		}
		if err == nil {
			err = errors.New("has ended")
		}
		asked = append(asked, creds.Answer{Source: fmt.Sprint(src), Err: err})
	}
	err := &noneError{asked: asked, c: c, name: d.name}
	d.bad("credentials", err.hint(), "%s", err.Error())
	return got, false
}

func (d *doctor) judgeLife(c *connection, src creds.Source, set aws.Credentials) {
	text := fmt.Sprintf("key %s from %v", creds.ShortKey(set.AccessKeyID), src)
	left := time.Until(set.Expires)
	r, ok := src.(interface{ Renews() bool })
	switch {
	case !set.CanExpire:
		d.good("credentials", "%s, end not known", text)
	case left < doctorLife && (!ok || !r.Renews()):
		d.bad("credentials", fmt.Sprintf("get new ones soon: %s creds paste %s", d.name, c.pasteArguments()), "%s, only %s left", text, show.Duration(left))
	default:
		d.good("credentials", "%s, %s left", text, show.Duration(left))
	}
	if end := c.login.KeyExpires; !end.IsZero() && time.Until(end) < doctorKeyLife {
		d.bad("API key", fmt.Sprintf("make a new one and run: %s login %s", d.name, c.login.Workspace), "ends on %s", end.Format(time.DateOnly))
	}
}

// checkRights tries what the role may do. That it may not list parts or abort is
// no fault: the agent does without.
func (d *doctor) checkRights(ctx context.Context, c *connection, store *s3store.Store) {
	key := c.dest.Under() + "." + program + "-doctor-" + strings.ToLower(rand.Text()[:8])
	all, kept := store.Probe(ctx, key)
	put := false
	for _, p := range all {
		put = put || p.Op == "PutObject" && p.Err == nil
		switch optional := p.Op == "ListParts" || p.Op == "AbortMultipartUpload" || p.Op == "HeadObject"; {
		case p.Err == nil:
			d.good(p.Op, "allowed")
		case optional:
			d.good(p.Op, "not allowed; %s does without", program)
		case p.Op == "DeleteObject":
			d.bad(p.Op, "remove it with other credentials", "%v; %s is left behind", withoutKey(p.Err), key)
		default:
			d.fault(p.Op, withoutKey(p.Err))
		}
	}
	switch {
	case put && kept:
		d.good("checksums", "compared and kept by the store")
	case put:
		d.bad("checksums", "uploads work; 'verify' will have to download", "the store keeps no CRC64NVME")
	}
}
