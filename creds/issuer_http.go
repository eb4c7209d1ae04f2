package creds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// answer is what an issuer said, read whole.
type answer struct {
	status int
	kind   string // media type, "" where not told
	body   []byte
	at     time.Time // when it came, by the issuer's clock where it says, else the local one
}

// Errors of asking over HTTP, before what was said is looked at.
var (
	errPlainHTTP = errors.New("only https is used for keys (http only to this machine)")
	errUserInURL = errors.New("the URL holds a user or password: name a header instead")
	errNoURL     = errors.New("is not a URL with a host")
	errLoginPage = errors.New("redirected to a login page")
)

// checkURL lets through what a key may be sent to. It quotes nothing of the
// URL: people put tokens there.
func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, errNoURL
	case u.User != nil:
		return nil, errUserInURL
	case u.Scheme == "https" || u.Scheme == "http" && (isLoopback(u.Hostname()) || slices.Contains(containerHosts, u.Hostname())):
		return u, nil
	default:
		return nil, errPlainHTTP
	}
}

// containerHosts issue credentials to the containers of ECS and EKS, over http
// that does not leave the host.
var containerHosts = []string{"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// noRedirects makes sure that the client follows no redirect: Go would send
// the key along within a host, and a POST as a GET.
func noRedirects(client aws.HTTPClient) aws.HTTPClient {
	if client == nil {
		return &http.Client{Timeout: askPatience, CheckRedirect: lastResponse}
	}
	if c, ok := client.(*http.Client); ok {
		own := *c
		own.CheckRedirect = lastResponse
		return &own
	}
	return client
}

func lastResponse(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// ask sends one request and reads the answer. Its errors hold neither URL nor
// header. An answer that came from another place than was asked is none.
func ask(ctx context.Context, client aws.HTTPClient, req *http.Request) (answer, error) {
	req.Header.Set("Accept", "application/json")
	one, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	resp, err := noRedirects(client).Do(req.WithContext(one))
	if err != nil {
		return answer{}, unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if resp.Request != nil && resp.Request.URL.Host != req.URL.Host {
		return answer{}, errLoginPage
	}
	a := answer{status: resp.StatusCode, at: time.Now()}
	if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.at = t
	}
	a.kind, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, longestText+1))
	if err != nil {
		return answer{}, unreachable(ctx, err)
	}
	if len(a.body) > longestText {
		return answer{}, errLong
	}
	if a.status >= 300 && a.status < 400 {
		return answer{}, errLoginPage
	}
	return a, nil
}

// answerPatience is for a whole answer, body and all. Others wait for their turn
// behind an issuer that stalls.
const answerPatience = 20 * time.Second

// unreachableError is a request that brought no answer.
type unreachableError struct{ err error }

func (e *unreachableError) Error() string {
	return "can't be reached: " + redact(e.err.Error())
}

func (e *unreachableError) Unwrap() error { return e.err }

// unreachable takes the URL out of the error, and keeps the context's apart.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &unreachableError{err: shown("no whole answer within " + answerPatience.String())}
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		err = errors.New("its name has no address")
	}
	return &unreachableError{err: shown(redact(err.Error()))}
}

// shown is an error that was made fit to be shown; what it stands for is gone,
// because it may hold an URL or a proxy's password.
type shown string

func (e shown) Error() string { return string(e) }

// html reports a web page where there should be JSON, whatever it claims to be.
func (a *answer) html() bool {
	start := strings.TrimSpace(string(a.body[:min(len(a.body), 512)]))
	return strings.Contains(a.kind, "html") || strings.HasPrefix(start, "<")
}

// said is what the answer says in plain text, fit to be shown.
func (a *answer) said(secrets ...Secret) string {
	if a.kind != "text/plain" {
		return ""
	}
	return redact(string(a.body[:min(len(a.body), 64<<10)]), secrets...)
}

// statusText is "500 Internal Server Error".
func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}
