//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestNoSecretOfAnySource proves that API key, pasted token, an issuer's key and
// a proxy's password are nowhere but where they are told to be: not on the
// streams, in logs, journals and command lines, nor in what a dying process
// says.
func TestNoSecretOfAnySource(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 12<<20).with("small", 10)
	dir := files.write(t)
	r := newRig(t, "-token-life", "4s", "-rate", "2MB")
	var written []ended
	minted := r.loginSeen()
	r.issuer()
	token := r.token()
	written = append(written, r.paste(pageText(token)))
	for _, args := range [][]string{
		{"creds", "show", r.dest},
		{"creds", "show", "--json", r.dest},
		{"upload", "-vv", "--json", "--parallel", "2", "--part-size", "5MiB", dir, r.dest},
		{"upload", "-vv", "--credentials", "issuer", dir, r.dest},
		{"upload", "-vv", "--credentials", "paste", "--wait-credentials", "1s", dir, r.dest + "/2"},
	} {
		written = append(written, r.run(args...))
	}
	r.env = append(r.env, "HTTP_PROXY=http://user:proxy-password@127.0.0.1:1", "NO_PROXY=", "AWS_ENDPOINT_URL=http://store.example")
	written = append(written, r.run("upload", "-vv", "--patience", "1s", dir, r.dest+"/3"))

	r.env = without(r.env, "HTTP_PROXY", "AWS_ENDPOINT_URL")
	r.env = append(r.env, "AWS_ENDPOINT_URL="+r.sb.Endpoint())
	m := r.mark()
	p := r.start("upload", "-vv", "--parallel", "2", "--part-size", "5MiB", dir, r.dest+"/4")
	until(t, "a request", func() bool {
		if !p.running() {
			t.Fatalf("it ended: %+v", p.wait())
		}
		return len(r.requests(m)) > 0
	})
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.cmd.Process.Pid))
	if err != nil || !bytes.Contains(limits, []byte("Max core file size        0                    0")) {
		t.Errorf("core dumps are on: %v\n%s", err, limits)
	}
	p.signal(syscall.SIGQUIT) // its last words are its stacks
	last := p.wait()
	if !strings.Contains(last.err, "goroutine ") {
		t.Errorf("no stacks: %s", last.err)
	}
	written = append(written, last, ended{out: string(cmdline)})

	secrets := map[string]string{
		"the API key": r.sb.Env["AGENT_SANDBOX_API_KEY"], "the proxy's password": "proxy-password",
		"the secret key": value(token, "AWS_SECRET_ACCESS_KEY"), "the session token": value(token, "AWS_SESSION_TOKEN"),
	}
	for i, secret := range minted() {
		secrets[fmt.Sprintf("minted secret %d", i)] = secret
	}
	if len(secrets) < 8 {
		t.Fatalf("only %d secrets to look for", len(secrets))
	}
	for name, secret := range secrets {
		for i, e := range written {
			if strings.Contains(e.out+e.err, secret) {
				t.Errorf("run %d shows %s", i, name)
			}
		}
		nowhere(t, filepath.Join(r.state, "jobs"), name, secret)
	}
	nowhere(t, filepath.Join(r.state, "creds"), "the API key", r.sb.Env["AGENT_SANDBOX_API_KEY"])
	nowhere(t, filepath.Join(r.state, "logins"), "the session token", value(token, "AWS_SESSION_TOKEN"))
}

// TestChildrenGetNoMore proves that the environment of what the agent starts is
// the one it was given itself.
func TestChildrenGetNoMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seen := filepath.Join(r.home, "seen")
	files := tree{}.with("f", 1)
	e := r.run("upload", "--wait-credentials", "2s", "--on-wait", "env | sort > "+seen+"-wait",
		"--credential-process", "env | sort > "+seen+"-process; exit 1", files.write(t), r.dest)
	if e.code != 4 {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	for _, who := range []string{"-wait", "-process"} {
		text, err := os.ReadFile(seen + who)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			name, _, _ := strings.Cut(strings.TrimSpace(line), "=")
			if !slices.Contains(r.env, strings.TrimSpace(line)) && !slices.Contains([]string{"PWD", "_", "SHLVL", "OLDPWD"}, name) {
				t.Errorf("%s: %s was not given", who, name)
			}
		}
	}
}

// loginSeen logs in at an API through which all that it mints is seen, and
// returns what tells the secrets of it.
func (r *rig) loginSeen() (minted func() []string) {
	r.t.Helper()
	to, err := url.Parse(r.sb.Env["AGENT_SANDBOX_API"])
	if err != nil {
		r.t.Fatal(err)
	}
	var mu sync.Mutex
	var secrets []string
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: to.Scheme, Host: to.Host})
	proxy.ModifyResponse = func(resp *http.Response) error {
		body, err := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(body))
		var c struct{ SecretAccessKey, SessionToken string }
		if json.Unmarshal(body, &c) == nil && c.SessionToken != "" {
			mu.Lock()
			defer mu.Unlock()
			secrets = append(secrets, c.SecretAccessKey, c.SessionToken)
			r.secrets.keep("a minted secret key", c.SecretAccessKey)
			r.secrets.keep("a minted token", c.SessionToken)
		}
		return err
	}
	srv := httptest.NewServer(proxy)
	r.t.Cleanup(srv.Close)
	r.login(srv.URL + to.Path)
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return secrets
	}
}
