//go:build linux

package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// Secrets that nobody would take for anything else.
const (
	issuerHeader  = "PlantedIssuerHeader/0123+4567=89"
	proxyPassword = "Planted Proxy+Pass/word@0123%"
)

// sowing is a rig with a secret of its own in each source of credentials.
type sowing struct {
	*rig
	planted string // the folder with the files that hold them
	dir     string // what is uploaded
	n       int    // of the destinations so far
}

func sow(t *testing.T) *sowing {
	r := newRig(t, "-rate", "40MB")
	s := &sowing{rig: r, planted: filepath.Join(r.home, "planted"), dir: tree{}.with("large", 6<<20).with("small", 10).write(t)}
	if err := os.MkdirAll(s.planted, 0o700); err != nil {
		t.Fatal(err)
	}
	writeCredentials(t, s.path("aws"), r.token())
	s.file("envfile", pageText(r.token()))
	s.program(r.token())
	r.loginSeen()
	if err := os.Rename(filepath.Join(r.home, "key"), s.path("key")); err != nil {
		t.Fatal(err)
	}
	s.issuer()
	s.paste(pageText(r.token()))
	return s
}

func (s *sowing) path(name string) string { return filepath.Join(s.planted, name) }

func (s *sowing) file(name, text string) string {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o700); err != nil {
		s.t.Fatal(err)
	}
	return s.path(name)
}

// program is a credential_process that lives until the test has seen it.
func (s *sowing) program(token []string) {
	s.t.Helper()
	answer, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": value(token, "AWS_ACCESS_KEY_ID"),
		"SecretAccessKey": value(token, "AWS_SECRET_ACCESS_KEY"), "SessionToken": value(token, "AWS_SESSION_TOKEN")})
	if err != nil {
		s.t.Fatal(err)
	}
	s.file("answer.json", string(answer))
	s.file("process", fmt.Sprintf("#!/bin/sh\nuntil [ -e %s ]; do sleep 0.02; done\ncat %s\n", s.path("seen"), s.path("answer.json")))
}

// issuer is the platform's API behind a header with a secret of its own.
func (s *sowing) issuer() {
	s.t.Helper()
	s.secrets.keep("the issuer's header", issuerHeader)
	to, err := url.Parse(s.sb.Env["AGENT_SANDBOX_API"])
	if err != nil {
		s.t.Fatal(err)
	}
	front := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host})
			if p.In.Header.Get("X-Issuer-Key") == issuerHeader {
				p.Out.Header.Set("Authorization", "Bearer "+s.sb.Env["AGENT_SANDBOX_API_KEY"])
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			var c struct{ SecretAccessKey, SessionToken string }
			body, err := io.ReadAll(resp.Body)
			resp.Body = io.NopCloser(strings.NewReader(string(body)))
			if json.Unmarshal(body, &c) == nil {
				s.secrets.keep("an issued secret key", c.SecretAccessKey)
				s.secrets.keep("an issued token", c.SessionToken)
			}
			return err
		},
	}
	srv := httptest.NewServer(&front)
	s.t.Cleanup(srv.Close)
	header := s.file("header", issuerHeader+"\n")
	if err := os.Chmod(header, 0o600); err != nil {
		s.t.Fatal(err)
	}
	text := fmt.Sprintf("url = %q\nmethod = \"POST\"\nheader = \"X-Issuer-Key\"\nheader_file = %q\nbucket = %q\nprefix = \"{workspace}/\"\n",
		srv.URL+to.Path+"/workspaces/{workspace}/me/s3-tokens", header, s.sb.Bucket())
	if err := os.WriteFile(filepath.Join(s.home, "issuer.toml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// next is a destination of its own.
func (s *sowing) next() string {
	s.n++
	return fmt.Sprintf("%s/%d", s.dest, s.n)
}

// must runs an agent that has to end with code.
func (s *sowing) must(code int, args ...string) ended {
	s.t.Helper()
	e := s.run(args...)
	if e.code != code {
		s.t.Errorf("%q: exit %d, want %d\n%s%s", args, e.code, code, e.out, e.err)
	}
	return e
}

// TestSecretsOfEverySource proves, with a secret of its own in every source of
// credentials and in the proxy's address, that none is printed, logged, kept,
// passed on or to be seen from outside, in whatever spelling: by runs that go
// well and by those that fail, that are told the secrets by the server itself,
// that start programs, go on in the background, are packed up for support and
// crash.
func TestSecretsOfEverySource(t *testing.T) {
	t.Parallel()
	s := sow(t)
	watch := s.watchProcesses()
	given := s.token()
	s.sources(given, watch)
	s.echoes(given)
	s.proxies()
	s.commands()
	s.background(watch)
	s.crash()
	watch.check(t, s.secrets, []string{value(given, "AWS_SECRET_ACCESS_KEY"), value(given, "AWS_SESSION_TOKEN"),
		proxyPassword, url.UserPassword("user", proxyPassword).String()})
	if err := s.secrets.walk(s.home, []string{"planted"}); err != nil {
		t.Error(err)
	}
	// Where secrets are told to be, no others are.
	var platform secrets
	platform.known = map[string]string{s.sb.Env["AGENT_SANDBOX_API_KEY"]: "the API key"}
	if err := platform.walk(filepath.Join(s.state, "creds"), nil); err != nil {
		t.Error(err)
	}
	var others secrets
	for secret, what := range s.secrets.known {
		if what != "the API key" {
			others.keep(what, secret)
		}
	}
	if err := others.walk(filepath.Join(s.state, "logins"), nil); err != nil {
		t.Error(err)
	}
}

// sources uploads with each source alone.
func (s *sowing) sources(given []string, watch *onlooker) {
	s.t.Helper()
	issuer := filepath.Join(s.home, "issuer.toml")
	for _, flags := range [][]string{
		{"--credentials", "env"}, {"--credentials", "aws"}, {"--credentials", "env-file", "--env-file", s.path("envfile")},
		{"--credentials", "platform"}, {"--credentials", "paste"}, {"--credentials", "issuer", "--issuer", issuer},
	} {
		before := s.env
		switch flags[1] {
		case "env":
			s.env = append(s.env, given...)
		case "aws":
			s.env = append(s.env, "AWS_SHARED_CREDENTIALS_FILE="+s.path("aws"))
		case "env-file":
			if err := os.Chmod(s.path("envfile"), 0o600); err != nil {
				s.t.Fatal(err)
			}
		}
		s.must(0, append(append([]string{"upload", "-vv", "--json"}, flags...), s.dir, s.next())...)
		s.must(0, append(append([]string{"creds", "show", "--json"}, flags...), s.dest)...)
		s.env = before
	}
	p := s.start("upload", "-vv", "--credentials", "process", "--credential-process", s.path("process"), s.dir, s.next())
	until(s.t, "the credential process", func() bool { return watch.saw(s.path("process")) || !p.running() })
	s.file("seen", "")
	if e := p.wait(); e.code != 0 {
		s.t.Errorf("credential process: exit %d\n%s", e.code, e.err)
	}
}

// echoes has the server repeat the token that it was sent, in one spelling after the
// other.
func (s *sowing) echoes(given []string) {
	s.t.Helper()
	to, err := url.Parse(s.sb.Endpoint())
	if err != nil {
		s.t.Fatal(err)
	}
	next := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to); p.Out.Host = p.In.Host }}
	var spell atomic.Pointer[func(token string) string]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if !strings.HasSuffix(q.URL.Path, "/small") {
			next.ServeHTTP(w, q)
			return
		}
		token := q.Header.Get("X-Amz-Security-Token")
		w.Header().Set("Content-Type", "application/xml")
		w.Header().Set("X-Amz-Request-Id", "id"+token)
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, "<Error><Code>Odd</Code><Message>%s %s</Message></Error>", (*spell.Load())(token), q.Header.Get("Authorization"))
	}))
	defer srv.Close()
	before := s.env
	s.env = append(append(s.env, given...), "AWS_ENDPOINT_URL="+srv.URL)
	for _, spelled := range []func(token string) string{
		func(token string) string { return token },
		url.QueryEscape,
		func(token string) string { return hex.EncodeToString([]byte(token)) },
		func(token string) string { return base64.StdEncoding.EncodeToString([]byte("x" + token)) },
	} {
		spell.Store(&spelled)
		s.must(1, "upload", "-vv", "--credentials", "env", s.dir, s.next())
		s.must(1, "upload", "-vv", "--json", "--credentials", "env", s.dir, s.next())
	}
	s.env = before
}

// proxies goes through a proxy that wants a password, with the right one and
// with one that is refused.
func (s *sowing) proxies() {
	s.t.Helper()
	s.secrets.keep("the proxy's password", proxyPassword)
	wrong := "wrong" + proxyPassword
	proxy, _ := s.passwordProxy("user", proxyPassword)
	before := s.env
	for password, code := range map[string]int{proxyPassword: 0, wrong: 7} {
		u := url.URL{Scheme: "http", Host: proxy, User: url.UserPassword("user", password)}
		s.env = slices.Concat(before, []string{"HTTP_PROXY=" + u.String(), "NO_PROXY=127.0.0.1", "AWS_ENDPOINT_URL=http://store.example"})
		s.must(code, "upload", "-vv", "--credentials", "platform", s.dir, s.next())
		s.must(code, "ls", "--json", s.dest)
		s.run("doctor", "--json", s.dest)
	}
	s.env = before
}

// passwordProxy is a proxy for plain http in front of the platform. asked
// counts the requests with a wrong password, or none.
func (r *rig) passwordProxy(user, password string) (host string, asked func() int) {
	r.t.Helper()
	to, err := url.Parse(r.sb.Endpoint())
	if err != nil {
		r.t.Fatal(err)
	}
	refused := make(chan struct{}, 1000)
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	next := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to); p.Out.Host = p.In.Host }}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Proxy-Authorization") != want {
			refused <- struct{}{}
			w.Header().Set("Proxy-Authenticate", `Basic realm="the office"`)
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		next.ServeHTTP(w, q)
	}))
	r.t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://"), func() int { return len(refused) }
}

// commands are those that tell of runs and settings, or write files about them.
func (s *sowing) commands() {
	s.t.Helper()
	at := func(name string) string { return filepath.Join(s.home, name) }
	dest := s.next()
	s.must(0, "upload", "-vv", "--manifest", at("manifest"), "--status-file", at("status.json"), "--summary", at("summary"),
		"--log-file", at("log"), s.dir, dest)
	s.must(0, "verify", "--json", s.dir, dest)
	s.must(0, "download", "-vv", dest, at("fetched"))
	s.must(0, "ls", "-r", "--json", dest)
	s.must(0, "jobs", "list", "--json")
	jobs, err := os.ReadDir(filepath.Join(s.state, "jobs"))
	if err != nil || len(jobs) < 8 {
		s.t.Fatal(len(jobs), err)
	}
	for i, job := range jobs {
		s.must(0, "jobs", "show", "--json", job.Name())
		bundle := at(fmt.Sprintf("bundle-%d.tar.gz", i))
		s.must(0, "doctor", "--yes", "--bundle", bundle, job.Name())
		for _, what := range s.secrets.in(unpacked(s.t, bundle)) {
			s.t.Errorf("the bundle of job %s holds %s", job.Name(), what)
		}
	}
	s.must(0, "config", "explain")
	s.must(0, "schedule", "install", "nightly", "--slurm", "--dry-run", "--", "upload", s.dir, dest)
}

// unpacked is all that a bundle holds.
func unpacked(t *testing.T, path string) (text []byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF && len(text) > 0 {
			return text
		}
		b, rerr := io.ReadAll(r)
		if err != nil || rerr != nil {
			t.Fatalf("%s: %v, %v", path, err, rerr)
		}
		text = append(append(text, h.Name...), b...)
	}
}

// background is a run that goes on by itself, a command that is run while it
// waits, and what ps shows meanwhile.
func (s *sowing) background(watch *onlooker) {
	s.t.Helper()
	e := s.must(0, "upload", "--detach", "--json", "--limit", "1MiB/s", "--part-size", "5MiB", s.dir, s.next())
	var said struct{ Job string }
	if err := json.Unmarshal([]byte(e.out), &said); err != nil || said.Job == "" {
		s.t.Fatalf("it does not go on by itself: %v\n%s", err, e.out)
	}
	s.must(0, "jobs", "attach", said.Job)
	hook := s.file("hook", fmt.Sprintf("#!/bin/sh\nuntil [ -e %s ]; do sleep 0.02; done\n", s.path("hooked")))
	p := s.start("upload", "--credentials", "paste", "--wait-credentials", "5s", "--on-wait", hook, s.dir, "s3://another-bucket/x")
	until(s.t, "the hook", func() bool { return watch.saw(hook) || !p.running() })
	out, err := exec.Command("ps", "axww", "-o", "pid,args").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		for _, what := range s.secrets.in([]byte(line)) {
			if strings.Contains(line, built.agent) {
				s.t.Errorf("ps shows %s: %s", what, line)
			}
		}
	}
	s.file("hooked", "")
	if e := p.wait(); e.code != 4 {
		s.t.Errorf("without credentials: exit %d\n%s", e.code, e.err)
	}
}

// crash has a run say its last words in the most talkative way, and leave no
// memory behind.
func (s *sowing) crash() {
	s.t.Helper()
	before := s.env
	s.env = append(s.env, "GOTRACEBACK=crash")
	m := s.mark()
	p := s.start("upload", "-vv", "--limit", "1MiB/s", "--parallel", "2", "--part-size", "5MiB", s.dir, s.next())
	until(s.t, "a request", func() bool { return len(s.requests(m)) > 0 || !p.running() })
	p.signal(syscall.SIGQUIT)
	e := p.wait()
	s.env = before
	if !strings.Contains(e.err, "goroutine ") {
		s.t.Errorf("no stacks: exit %d\n%s", e.code, e.err)
	}
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.CoreDump() {
		s.t.Error("its memory was written to disk")
	}
}
