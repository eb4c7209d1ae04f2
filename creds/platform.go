package creds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Platform is the workspace platform, which turns an API key into credentials
// of one hour, as often as it is asked.
//
// Where the key comes from, the first that is set: Key, KeyFile, LoginFile. All
// are asked anew each time, so that a new login is seen.
type Platform struct {
	Base      string // https://host/api; the login's when ""
	Workspace string // the login's when ""

	Key       func(context.Context) (Secret, error)
	KeyFile   string // holds the key and nothing else
	LoginFile string // written by WriteLogin

	HTTP aws.HTTPClient // must follow no redirect; an own one when nil

	stuck atomic.Bool // the last answer was one that only people can change
	last  refused     // of Retrieve alone
}

// refused is an answer that only people can change, and what it was about.
type refused struct {
	err   error // nil where there was none
	files []stamp
	at    time.Time
}

// keyKinds are about the key itself. A login page may be the network's, and go.
var keyKinds = map[PlatformKind]bool{TokenIDGiven: true, KeyRefused: true, LoginOver: true}

// refusedPause is how long a refusal is believed while the login is the same.
const refusedPause = 5 * time.Minute

func (p *Platform) String() string {
	if p.Workspace != "" {
		return "platform login for " + p.Workspace
	}
	return "platform login"
}

// Files are those that the key comes from.
func (p *Platform) Files() []string {
	switch {
	case p.Key != nil:
		return nil
	case p.KeyFile != "":
		return []string{p.KeyFile}
	case p.LoginFile != "":
		return []string{p.LoginFile}
	default:
		return nil
	}
}

// Dedicated is true: a login is for one workspace.
func (p *Platform) Dedicated() bool { return true }

// Renews is true as long as there is a key that was not refused.
func (p *Platform) Renews() bool {
	if p.stuck.Load() {
		return false
	}
	if p.Key != nil {
		return true
	}
	return slices.ContainsFunc(p.Files(), func(path string) bool {
		fi, err := os.Stat(path)
		return err == nil && fi.Mode().IsRegular()
	})
}

// Location is where a workspace's objects are.
type Location struct {
	Bucket   string
	Prefix   string // ends in a slash, or is ""
	Region   string // "" where the platform does not say
	Endpoint string // "" for AWS's own
}

// Retrieve mints credentials. Its errors are of type *PlatformError, but for a
// cancelled context's.
func (p *Platform) Retrieve(ctx context.Context) (aws.Credentials, error) {
	files := stamps(p)
	if last := p.last; last.err != nil && sameStamps(last.files, files) && time.Since(last.at).Abs() < refusedPause {
		return aws.Credentials{}, last.err // asking again would change nothing
	}
	c, err := p.mint(ctx)
	var e *PlatformError
	// That there is no key is seen without asking, and so is that there is one now.
	lasting := errors.As(err, &e) && e.Kind.Lasting() && e.Kind != NoLogin
	p.stuck.Store(lasting)
	p.last = refused{}
	if lasting && len(files) > 0 && keyKinds[e.Kind] {
		p.last = refused{err: err, files: files, at: time.Now()}
	}
	return c, err
}

func (p *Platform) mint(ctx context.Context) (aws.Credentials, error) {
	a, _, err := p.call(ctx, http.MethodPost, "/me/s3-tokens")
	if err != nil {
		return aws.Credentials{}, err
	}
	s, err := parseJSON(a.body, "", a.at)
	if err != nil {
		return aws.Credentials{}, &PlatformError{Kind: Unreadable, Status: a.status, Err: err}
	}
	if !s.CanExpire {
		s.ends("", a.at)
	}
	s.Source = p.String()
	return s.Credentials, nil
}

// Discover asks where the workspace's objects are. Its errors are Retrieve's.
func (p *Platform) Discover(ctx context.Context) (Location, error) {
	a, workspace, err := p.call(ctx, http.MethodGet, "")
	if err != nil {
		return Location{}, err
	}
	loc, err := locate(a.body, workspace)
	if err != nil {
		return Location{}, &PlatformError{Kind: Unreadable, Status: a.status, Err: err}
	}
	return loc, nil
}

var workspaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// login is what to ask with.
func (p *Platform) login(ctx context.Context) (Login, error) {
	l := Login{Base: p.Base, Workspace: p.Workspace}
	var err error
	switch {
	case p.Key != nil:
		l.Key, err = p.Key(ctx)
		if err == nil {
			l.Key, err = CheckKey("the API key", string(l.Key))
		}
	case p.KeyFile != "":
		l.Key, err = ReadKey(p.KeyFile)
	case p.LoginFile != "":
		var stored Login
		if stored, err = readLogin(ctx, p.LoginFile); err == nil {
			if l.Base != "" && strings.TrimRight(l.Base, "/") != strings.TrimRight(stored.Base, "/") || l.Workspace != "" && l.Workspace != stored.Workspace {
				return l, &PlatformError{Kind: NoLogin, Err: errors.New("the login is for another platform or workspace")}
			}
			l = stored
		}
	default:
		return l, &PlatformError{Kind: NoLogin}
	}
	switch {
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		return l, ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return l, &PlatformError{Kind: NoLogin} // which file is missing helps nobody
	case err != nil:
		return l, &PlatformError{Kind: BadLogin, Err: err}
	case !workspaceName.MatchString(l.Workspace):
		return l, &PlatformError{Kind: BadLogin, Err: errors.New("a workspace's name has lower-case letters, digits and dashes")}
	}
	if _, err := checkURL(l.Base); err != nil {
		return l, &PlatformError{Kind: BadLogin, Err: fmt.Errorf("the platform's base URL: %w", err)}
	}
	return l, nil
}

// call sends one request of the workspace, which it names, and returns an
// answer of JSON.
func (p *Platform) call(ctx context.Context, method, path string) (answer, string, error) {
	l, err := p.login(ctx)
	if err != nil {
		return answer{}, "", err
	}
	at := strings.TrimRight(l.Base, "/") + "/workspaces/" + url.PathEscape(l.Workspace) + path
	req, err := http.NewRequestWithContext(ctx, method, at, http.NoBody)
	if err != nil {
		return answer{}, "", &PlatformError{Kind: BadLogin, Err: errNoURL}
	}
	req.Header.Set("Authorization", "Bearer "+string(l.Key))
	a, err := ask(ctx, p.HTTP, req)
	if errors.Is(ctx.Err(), context.Canceled) {
		return answer{}, "", ctx.Err()
	}
	if bad := judge(a, err, l); bad != nil {
		return answer{}, "", bad
	}
	return a, l.Workspace, nil
}

// judge is what is wrong with an answer; nil for one that should hold JSON.
func judge(a answer, err error, l Login) error {
	e := &PlatformError{Kind: kindOf(a, err), Status: a.status, Said: a.said(l.Key), KeyExpires: l.KeyExpires, Err: err}
	var far *unreachableError
	if errors.As(err, &far) {
		e.Err = far.err
	}
	switch {
	case e.Kind == 0:
		return nil
	// A Token ID is refused in the same ways as a bad key. It is not refused
	// before it is tried: keys are opaque, and one might look like that.
	case tokenID.MatchString(string(l.Key)) && e.Kind != Unreachable && e.Kind != WrongMethod:
		e.Kind = TokenIDGiven
	}
	return e
}

// tokenID is what the page that makes keys shows beside each.
var tokenID = regexp.MustCompile(`(?i)^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// overSigns are in an answer of 500 when it is the login behind the key that
// has ended. Trying again does not help.
var overSigns = []string{"ExpiredToken", "InvalidIdentityToken", "AccessDenied"}

func kindOf(a answer, err error) PlatformKind {
	switch {
	case errors.Is(err, errLoginPage):
		return LoginPage
	case errors.Is(err, errLong):
		return Unreadable
	case err != nil:
		return Unreachable
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return KeyRefused
	case a.status == http.StatusNotFound:
		return NoWorkspace
	case a.status == http.StatusMethodNotAllowed:
		return WrongMethod
	case a.status >= 500:
		for _, sign := range overSigns {
			if strings.Contains(string(a.body), sign) {
				return LoginOver
			}
		}
		return Broken
	case a.status < 200 || a.status > 299:
		return Broken
	case a.html():
		return LoginPage
	}
	return 0
}

// workspace is the answer about one, as far as it is needed.
type workspace struct {
	Stores []struct {
		Object []struct {
			Name   string `json:"name"`
			Bucket string `json:"bucket"`
			Prefix string `json:"prefix"`
			Host   string `json:"host"`
			ARN    string `json:"access_point_arn"`
		} `json:"object"`
	} `json:"stores"`
}

var (
	awsRegion  = regexp.MustCompile(`\b[a-z]{2}(?:-[a-z]+){1,3}-\d{1,2}\b`)
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,254}$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?$`)
)

// locate takes the store named as the workspace, or else the first.
func locate(body []byte, name string) (Location, error) {
	if _, err := decode(body); err != nil {
		return Location{}, err
	}
	var w workspace
	if err := json.Unmarshal(body, &w); err != nil {
		return Location{}, errors.New("the answer is not a workspace")
	}
	var loc Location
	for _, s := range w.Stores {
		for _, o := range s.Object {
			if loc.Bucket != "" && o.Name != name || !bucketName.MatchString(o.Bucket) || !plainPrefix(o.Prefix) {
				continue
			}
			loc = Location{Bucket: o.Bucket, Prefix: asPrefix(o.Prefix)}
			loc.Region, loc.Endpoint = place(o.ARN, o.Host, o.Bucket)
			if o.Name == name {
				return loc, nil
			}
		}
	}
	if loc.Bucket == "" {
		return Location{}, errors.New("the workspace has no object store")
	}
	return loc, nil
}

// plainPrefix tells a prefix of keys from what would write over a terminal.
func plainPrefix(p string) bool { return !strings.ContainsFunc(p, unicode.IsControl) }

func asPrefix(p string) string {
	if p = strings.Trim(p, "/"); p != "" {
		p += "/"
	}
	return p
}

// place reads the region out of an ARN or an AWS host; a host of others is the
// endpoint.
func place(arn, host, bucket string) (region, endpoint string) {
	if parts := strings.Split(arn, ":"); len(parts) > 3 && awsRegion.FindString(parts[3]) == parts[3] {
		region = parts[3]
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "https://"), "/")
	switch {
	case !hostName.MatchString(host):
		return region, ""
	case strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn"):
		// A bucket's name may hold a region too; the service's comes last.
		if all := awsRegion.FindAllString(strings.TrimPrefix(host, bucket+"."), -1); region == "" && len(all) > 0 {
			region = all[len(all)-1]
		}
		return region, ""
	default:
		return region, "https://" + strings.TrimPrefix(host, bucket+".")
	}
}

// untilKeyWarning is how long before a key's end people should be told.
const untilKeyWarning = 5 * 24 * time.Hour

var _ Source = (*Platform)(nil)
