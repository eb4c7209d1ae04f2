//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// authority signs certificates: a company's, or a store's own.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string // PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	of := a.template("The Office CA")
	of.IsCA, of.BasicConstraintsValid, of.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, of, of, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
}

// signs makes a certificate for host, by this authority or by itself alone.
func (a *authority) signs(host string, selfSigned bool) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	of := a.template(host)
	of.DNSNames, of.KeyUsage, of.ExtKeyUsage = []string{host}, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if ip := net.ParseIP(host); ip != nil {
		of.IPAddresses = []net.IP{ip}
	}
	by, with := a.cert, a.key
	if selfSigned {
		by, with = of, key
	}
	der, err := x509.CreateCertificate(rand.Reader, of, by, &key.PublicKey, with)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tunnel is a CONNECT proxy. With an authority it opens the TLS of what goes
// through, as those of companies do, by certificates of its own; without one it
// leads to a store whose certificate that authority has signed. What comes out
// goes to the rig's platform, its API where the name begins with api.
type tunnel struct {
	rig     *rig
	inspect *authority // who signs what the user's machine is shown
	want    string     // the Proxy-Authorization; "" for none

	mu      sync.Mutex
	refused int // for the lack of the right password
	opened  map[string]int
	inner   atomic.Int64 // requests that were seen in clear
	ended   sync.WaitGroup
}

func (p *tunnel) start() (host string) {
	t := p.rig.t
	t.Helper()
	p.opened = map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(p.connect))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close(); p.ended.Wait() })
	return strings.TrimPrefix(srv.URL, "http://")
}

// seen is which tunnels were opened and how many were refused so far; the
// latter is counted anew then.
func (p *tunnel) seen() (opened map[string]int, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	refused, p.refused = p.refused, 0
	return maps.Clone(p.opened), refused
}

func (p *tunnel) connect(w http.ResponseWriter, q *http.Request) {
	p.mu.Lock()
	good := p.want == "" || q.Header.Get("Proxy-Authorization") == p.want
	if good {
		p.opened[q.Host]++
	} else {
		p.refused++
	}
	p.mu.Unlock()
	if !good {
		w.Header().Set("Proxy-Authenticate", `Basic realm="the office"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if q.Method != http.MethodConnect {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
	name, _, _ := net.SplitHostPort(q.Host)
	p.ended.Go(func() { p.serve(c, name) })
}

// serve speaks TLS as name, and passes on what it is asked.
func (p *tunnel) serve(raw net.Conn, name string) {
	defer func() { _ = raw.Close() }()
	c := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{p.inspect.signs(name, false)}, MinVersion: tls.VersionTLS12})
	if c.Handshake() != nil {
		return
	}
	to := p.rig.sb.Endpoint()
	if strings.HasPrefix(name, "api.") {
		to = p.rig.sb.Env["AGENT_SANDBOX_API"]
	}
	u, err := url.Parse(to)
	if err != nil {
		return
	}
	next := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		p.inner.Add(1)
		r.SetURL(&url.URL{Scheme: u.Scheme, Host: u.Host})
		r.Out.Host = r.In.Host // it is signed
	}}
	one := &oneConn{c: c, done: make(chan struct{})}
	srv := &http.Server{Handler: next, ReadHeaderTimeout: time.Minute, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed || s == http.StateHijacked {
			one.once.Do(func() { close(one.done) })
		}
	}}
	_ = srv.Serve(one) // until the connection ends
}

// oneConn is a listener that has one connection to give.
type oneConn struct {
	c     net.Conn
	given atomic.Bool
	once  sync.Once
	done  chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.given.CompareAndSwap(false, true) {
		return l.c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.c.LocalAddr() }

// office is a rig whose agents reach the platform as https://store.example and
// https://api.example, by a proxy alone.
func office(t *testing.T, user, password string) (*rig, *tunnel, *authority) {
	t.Helper()
	r := newRig(t)
	ca := newAuthority(t)
	p := &tunnel{rig: r, inspect: ca}
	at := url.URL{Scheme: "http"}
	if user != "" {
		p.want = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
		at.User = url.UserPassword(user, password)
		r.secrets.keep("the proxy's password", password)
	}
	at.Host = p.start()
	r.env = append(r.env, "HTTPS_PROXY="+at.String(), "NO_PROXY=127.0.0.1", "AWS_ENDPOINT_URL=https://store.example")
	return r, p, ca
}

// TestAuthenticatingProxy proves that everything goes through a CONNECT proxy
// that wants a password, that the password is shown and kept nowhere, and that a
// wrong one is tried once: more would lock the account.
func TestAuthenticatingProxy(t *testing.T) {
	t.Parallel()
	r, p, ca := office(t, "office user", proxyPassword)
	r.env = append(r.env, "AWS_CA_BUNDLE="+ca.file)
	api, err := url.Parse(r.sb.Env["AGENT_SANDBOX_API"])
	if err != nil {
		t.Fatal(err)
	}
	r.login("https://api.example" + api.Path)
	files := tree{}.with("large", 6<<20).with("small", 10)
	dir := files.write(t)
	r.upload(0, "-vv", "--part-size", "5MiB", dir)
	r.holds(files)
	if opened, refused := p.seen(); opened["store.example:443"] == 0 || opened["api.example:443"] == 0 || refused != 0 {
		t.Errorf("tunnels %v, %d refused", opened, refused)
	}
	if e := r.run("doctor", r.dest); !strings.Contains(e.out+e.err, "proxy") {
		t.Errorf("doctor: %s%s", e.out, e.err)
	}

	at, err := url.Parse(value(r.env, "HTTPS_PROXY"))
	if err != nil {
		t.Fatal(err)
	}
	r.withToken()
	r.secrets.keep("a wrong password", "wrong-"+proxyPassword)
	for name, userinfo := range map[string]*url.Userinfo{"wrong": url.UserPassword("office user", "wrong-"+proxyPassword), "none": nil} {
		at.User = userinfo
		r.env = append(r.env, "HTTPS_PROXY="+at.String())
		e := r.upload(7, "-vv", "--credentials", "env", "--parallel", "1", dir)
		if !strings.Contains(e.err, "wants a name and a password: set HTTPS_PROXY=http://user:password@"+at.Host) {
			t.Errorf("%s: %s", name, e.err)
		}
		if _, refused := p.seen(); refused == 0 || refused > 2 { // the listing and the first object, at once
			t.Errorf("%s password: %d attempts", name, refused)
		}
	}
}

// TestInspectingProxy proves that a proxy which opens TLS with an authority of
// its own gets no request as long as nobody trusts that authority, that the user
// is told how to, and that store and API work once AWS_CA_BUNDLE, or the
// profile, names it.
func TestInspectingProxy(t *testing.T) {
	t.Parallel()
	r, p, ca := office(t, "", "")
	files := tree{}.with("large", 6<<20).with("small", 10)
	dir := files.write(t)
	api, err := url.Parse(r.sb.Env["AGENT_SANDBOX_API"])
	if err != nil {
		t.Fatal(err)
	}
	base := "https://api.example" + api.Path
	const hint = "set AWS_CA_BUNDLE to a PEM file"
	r.withToken()
	if e := r.upload(7, dir); !strings.Contains(e.err, hint) {
		t.Errorf("%s", e.err)
	}
	key := filepath.Join(r.home, "key")
	if err := os.WriteFile(key, []byte(r.sb.Env["AGENT_SANDBOX_API_KEY"]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = append(r.env, "AGENT_PLATFORM="+base)
	if e := r.run("login", r.sb.Workspace(), "--key-file", key); e.code == 0 || !strings.Contains(e.err, "certificate") {
		t.Errorf("login: exit %d\n%s", e.code, e.err)
	}
	if e := r.run("doctor", r.dest); !strings.Contains(e.out+e.err, "AWS_CA_BUNDLE") {
		t.Errorf("doctor: %s%s", e.out, e.err)
	}
	if opened, _ := p.seen(); p.inner.Load() != 0 || len(opened) == 0 {
		t.Errorf("%d requests were seen by a proxy that nobody trusts, tunnels %v", p.inner.Load(), opened)
	}

	direct := slices.Clip(r.env)
	r.env = slices.Concat(direct, []string{"AWS_CA_BUNDLE=" + ca.file})
	r.login(base)
	r.upload(0, "--credentials", "platform", "--part-size", "5MiB", dir)
	r.holds(files)

	config := filepath.Join(r.home, "aws-config")
	if err := os.WriteFile(config, []byte("[default]\nca_bundle = "+ca.file+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = slices.Concat(direct, []string{"AWS_CONFIG_FILE=" + config})
	r.upload(0, "--credentials", "platform", "--restart", dir)
	r.env = slices.Concat(direct, []string{"AWS_CA_BUNDLE=" + key})
	if e := r.upload(2, dir); !strings.Contains(e.err, "no certificate in PEM form") {
		t.Errorf("%s", e.err)
	}
}

// TestSendsToNobodyElse proves of whole runs that neither the store nor the API,
// an issuer or a container's metadata can make the agent send anything to another
// address by a redirect: there is not as much as a connection.
func TestSendsToNobodyElse(t *testing.T) {
	t.Parallel()
	var touched atomic.Int64
	other := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		head, _ := httputil.DumpRequest(q, true)
		t.Errorf("sent elsewhere:\n%s", head)
	}))
	other.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			touched.Add(1)
		}
	}
	other.Start()
	t.Cleanup(other.Close)
	dir := tree{}.with("large", 6<<20).with("small", 10).write(t)
	for _, status := range []int{301, 302, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			var redirected atomic.Int64
			away := func(w http.ResponseWriter, q *http.Request) {
				redirected.Add(1)
				_, _ = io.Copy(io.Discard, q.Body)
				w.Header().Set("X-Amz-Request-Id", "1")
				http.Redirect(w, q, other.URL+q.URL.RequestURI(), status)
			}
			hostile := httptest.NewServer(http.HandlerFunc(away))
			t.Cleanup(hostile.Close)
			r := newRig(t).withToken()
			key := filepath.Join(r.home, "key")
			issuer := filepath.Join(r.home, "issuer.toml")
			for path, text := range map[string]string{
				key:    r.sb.Env["AGENT_SANDBOX_API_KEY"] + "\n",
				issuer: fmt.Sprintf("url = %q\nheader_file = %q\nbearer = true\nbucket = %q\n", hostile.URL+"/s3credentials", key, r.sb.Bucket()),
			} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ways := map[string][]string{
				"store": {"upload", "--patience", "1s", "--endpoint", hostile.URL, dir, r.dest},
				"large": {"upload", "--patience", "1s", "--part-size", "5MiB", "--sign-payload", "--endpoint", hostile.URL, dir, r.dest},
				"ls":    {"ls", "--patience", "1s", "--endpoint", hostile.URL, r.dest},
				"rm":    {"rm", "--yes", "-r", "--patience", "1s", "--endpoint", hostile.URL, r.dest},
				"fetch": {"download", "--patience", "1s", "--endpoint", hostile.URL, r.dest, filepath.Join(r.home, "to")},
				"api":   {"login", r.sb.Workspace(), "--key-file", key},
				"issuer": {"upload", "--credentials", "issuer", "--issuer", issuer, "--wait-credentials", "1s",
					dir, r.dest},
				"container": {"upload", "--credentials", "aws", "--wait-credentials", "1s", dir, r.dest},
			}
			r.env = append(r.env, "AGENT_PLATFORM="+hostile.URL+"/api", "AWS_CONTAINER_CREDENTIALS_FULL_URI="+hostile.URL+"/creds",
				"AWS_CONTAINER_AUTHORIZATION_TOKEN=Planted0123456789")
			r.secrets.keep("the container's token", "Planted0123456789")
			for name, args := range ways {
				redirected.Store(0)
				before := r.env
				if name == "container" {
					r.env = without(r.env, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
				}
				e := r.run(args...)
				r.env = before
				if e.code == 0 || redirected.Load() == 0 {
					t.Errorf("%s: exit %d after %d redirects\n%s", name, e.code, redirected.Load(), e.err)
				}
				if n := touched.Swap(0); n != 0 {
					t.Errorf("%s: %d connections elsewhere", name, n)
				}
			}
		})
	}
}
