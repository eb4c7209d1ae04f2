package s3store

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"golang.org/x/net/http/httpproxy"
)

// HTTPOptions of NewHTTPClient. The zero value is usable.
type HTTPOptions struct {
	CABundle      string              // path of a PEM file trusted besides the system's roots; "" for none
	Insecure      bool                // accept any certificate
	MaxConns      int                 // connections kept open for one host; 64 when 0. Fewer than the concurrency costs a TLS handshake a request
	DialTimeout   time.Duration       // for connecting, and again for TLS; 10 s when 0
	HeaderTimeout time.Duration       // from the end of a request to the answer's header; 60 s when 0
	WriteTimeout  time.Duration       // how long not one byte of a request may leave; 60 s when 0
	IdleTimeout   time.Duration       // how long an unused connection is kept; 90 s when 0
	Limit         *Limiter            // of the bytes a second of all bodies; nil for none. Clients may share one
	Getenv        func(string) string // for HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in either case; os.Getenv when nil
}

// HTTPClient makes every request of the program. It speaks HTTP/1.1 only, which
// costs half the CPU of HTTP/2 for bodies, and follows no redirect: an S3
// signature holds for one host.
type HTTPClient struct {
	client  *http.Client
	setUp   func(*http.Transport)
	secrets []string // of the proxies; never to be shown
	limit   *Limiter // nil for none
	proxied func(*url.URL) (*url.URL, error)
}

// errRedirected is an answer that sends a request elsewhere. S3, STS, SSO and the
// metadata services have no need to; and Go would take along the tokens that
// are in headers of their own, or in the body.
var errRedirected = errors.New("redirected to another address, where it was not sent")

const writeBuffer = 64 << 10 // bytes, of each connection

// NewHTTPClient makes a client. It fails when the CA bundle can't be used or a
// proxy variable holds no URL.
func NewHTTPClient(o HTTPOptions) (*HTTPClient, error) {
	getenv := o.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	proxied, secrets, err := proxies(getenv)
	if err != nil {
		return nil, err
	}
	roots, err := rootsWith(o.CABundle)
	if err != nil {
		return nil, err
	}
	h := &HTTPClient{secrets: secrets, proxied: proxied, limit: o.Limit, setUp: func(t *http.Transport) { o.setUp(t, roots, proxied) }}
	t := &http.Transport{}
	h.setUp(t)
	h.client = &http.Client{
		Transport:     h.guard(t),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h, nil
}

func (o HTTPOptions) setUp(t *http.Transport, roots *x509.CertPool, proxied func(*url.URL) (*url.URL, error)) {
	dial := cmp.Or(o.DialTimeout, 10*time.Second)
	dialer := &net.Dialer{
		Timeout:         dial,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6},
		Control:         keepShort,
	}
	stall := cmp.Or(o.WriteTimeout, 60*time.Second)
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return newStallConn(c, stall), nil
	}
	t.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.Response != nil { // of the redirect that r follows. Only the SDK's form of the client does that
			return nil, errRedirected
		}
		return proxied(r.URL)
	}
	t.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
		if resp.StatusCode != http.StatusOK {
			return &ProxyError{Proxy: proxy.Host, Status: resp.StatusCode}
		}
		return nil
	}
	t.TLSClientConfig = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		RootCAs:            roots,
		InsecureSkipVerify: o.Insecure, //nolint:gosec // only when it is asked for
		// Small records at first let a page be shown early. Here they are but more system calls.
		DynamicRecordSizingDisabled: true,
	}
	t.TLSHandshakeTimeout = dial
	t.ResponseHeaderTimeout = cmp.Or(o.HeaderTimeout, 60*time.Second)
	t.ExpectContinueTimeout = time.Second
	t.IdleConnTimeout = cmp.Or(o.IdleTimeout, 90*time.Second)
	t.MaxIdleConns = 0 // no limit over all hosts
	t.MaxIdleConnsPerHost = cmp.Or(o.MaxConns, 64)
	t.MaxResponseHeaderBytes = longestHeader // not 10 MiB, for each of many connections
	t.DisableCompression = true              // an object's bytes are taken as they are stored
	t.WriteBufferSize = writeBuffer
	t.ForceAttemptHTTP2 = false
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	gather(t, dial)
}

// Do implements aws.HTTPClient. An error shows no password.
func (h *HTTPClient) Do(req *http.Request) (*http.Response, error) {
	resp, err := h.client.Do(req)
	return resp, h.redact(err) // http.Client adds the URL, so once more
}

// Client is the same client for whoever needs one of net/http.
func (h *HTTPClient) Client() *http.Client { return h.client }

// CloseIdle closes the connections that nobody uses. After a network change it
// spares the next requests a connection that is dead.
func (h *HTTPClient) CloseIdle() { h.client.CloseIdleConnections() }

// WithTransportOptions is for the SDK versions that would put AWS_CA_BUNDLE into
// any client that has it. The bundle is trusted here already.
func (h *HTTPClient) WithTransportOptions(...func(*http.Transport)) aws.HTTPClient { return h }

// Buildable is a client with the same settings, and connections of its own, in
// the one type in which config.LoadDefaultConfig accepts AWS_CA_BUNDLE. That
// type follows redirects; this one fails with them.
func (h *HTTPClient) Buildable() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(h.setUp)
}

var _ aws.HTTPClient = (*HTTPClient)(nil)

// guard wraps the transport, so that Do and Client behave alike.
func (h *HTTPClient) guard(t *http.Transport) http.RoundTripper {
	return guarded{Transport: t, client: h}
}

type guarded struct {
	*http.Transport
	client *HTTPClient
}

func (g guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	// smithy leaves the version empty, and net/http waits for 100-continue only
	// in 1.1: without it the early refusal of a body is lost in a reset.
	limit := g.client.limit
	if req.ProtoMajor == 0 || limit != nil {
		again := *req
		again.Proto, again.ProtoMajor, again.ProtoMinor = "HTTP/1.1", 1, 1
		req = &again
	}
	if limit != nil {
		limit.request(req)
	}
	resp, err := g.Transport.RoundTrip(req)
	if err != nil {
		return nil, g.client.redact(err)
	}
	if limit != nil {
		limit.answer(req.Context(), resp)
	}
	// Over plain http the proxy's refusal comes as if it were the store's.
	if resp.StatusCode == http.StatusProxyAuthRequired {
		if proxy, err := g.client.proxied(req.URL); err == nil && proxy != nil {
			_ = resp.Body.Close()
			return nil, &ProxyError{Proxy: proxy.Host, Status: resp.StatusCode}
		}
	}
	return resp, nil
}

// rootsWith are the system's roots and those of the bundle; nil, which means
// the system's, without one.
func rootsWith(bundle string) (*x509.CertPool, error) {
	if bundle == "" {
		return nil, nil
	}
	text, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("CA bundle: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // no system roots: the bundle alone
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("CA bundle %s: no certificate in PEM form in it", bundle)
	}
	return roots, nil
}

// proxies reads the proxy variables, and returns the passwords in them. A bad
// one is an error here: httpproxy passes it over and connects directly, which
// is what a proxy is there to prevent.
func proxies(getenv func(string) string) (func(*url.URL) (*url.URL, error), []string, error) {
	var secrets []string
	get := func(name string) (string, error) {
		value := cmp.Or(getenv(name), getenv(strings.ToLower(name)))
		if value == "" {
			return "", nil
		}
		full := value
		if !strings.Contains(value, "://") {
			full = "http://" + value
		}
		u, err := url.Parse(full)
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			return "", fmt.Errorf("%s is not a URL like http://proxy:3128", name) // its text may hold a password
		}
		if password, ok := u.User.Password(); ok && password != "" {
			secrets = append(secrets, password, url.QueryEscape(password), url.PathEscape(password), u.User.String())
		}
		return full, nil
	}
	var c httpproxy.Config
	var err1, err2 error
	c.HTTPSProxy, err1 = get("HTTPS_PROXY")
	c.HTTPProxy, err2 = get("HTTP_PROXY")
	c.NoProxy = cmp.Or(getenv("NO_PROXY"), getenv("no_proxy"))
	c.CGI = getenv("REQUEST_METHOD") != ""
	return c.ProxyFunc(), secrets, errors.Join(err1, err2)
}
