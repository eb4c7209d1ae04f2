//go:build linux

package main

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// selfSigned puts a server with a certificate that nobody else has signed before
// the rig's platform, and returns its address and the certificate's file.
func (r *rig) selfSigned(to string) (address, file string, asked *atomic.Int64) {
	r.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		r.t.Fatal(err)
	}
	cert := newAuthority(r.t).signs("127.0.0.1", true)
	asked = new(atomic.Int64)
	srv := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		asked.Add(1)
		p.SetURL(&url.URL{Scheme: u.Scheme, Host: u.Host})
		p.Out.Host = p.In.Host // it is signed
	}})
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	r.t.Cleanup(srv.Close)
	file = filepath.Join(r.t.TempDir(), "store.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return srv.URL, file, asked
}

// TestSelfSigned proves that a certificate which only the store itself has signed
// is refused, and trusted where AWS_CA_BUNDLE names it.
func TestSelfSigned(t *testing.T) {
	t.Parallel()
	r := newRig(t).withToken()
	files := tree{}.with("f", 10)
	dir := files.write(t)
	address, file, asked := r.selfSigned(r.sb.Endpoint())
	r.env = append(r.env, "AWS_ENDPOINT_URL="+address)
	if e := r.upload(7, dir); !strings.Contains(e.err, "AWS_CA_BUNDLE") || asked.Load() != 0 {
		t.Errorf("%d requests\n%s", asked.Load(), e.err)
	}
	r.env = append(r.env, "AWS_CA_BUNDLE="+file)
	if e := r.upload(0, dir); strings.Contains(e.err, "WARNING") {
		t.Errorf("%s", e.err)
	}
	r.holds(files)
}

// TestInsecure proves that a run which does not check the store's certificate
// says so every time, whatever else is silent, and in its log; that no setting
// makes it do so unseen; and that the check of those who get a key is never left
// out.
func TestInsecure(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	files := tree{}.with("large", 6<<20).with("f", 10)
	dir := files.write(t)
	address, _, _ := r.selfSigned(r.sb.Endpoint())
	r.withToken()
	r.env = append(r.env, "AWS_ENDPOINT_URL="+address)
	const warning = "agent: WARNING: --insecure: the store's certificate is not checked"
	for _, args := range [][]string{
		{"upload", "--quiet", "--part-size", "5MiB", dir}, {"upload", "--quiet", dir}, {"upload", "--json", dir}, {"upload", "--dry-run", dir}, {"ls"}, {"ls", "--json"},
		{"verify", "--quiet", dir}, {"sync", "--quiet", dir}, {"creds", "show"},
	} {
		e := r.run(append(append([]string{}, args...), r.dest, "--insecure")...)
		if e.code != 0 || strings.Count(e.err, warning) != 1 {
			t.Errorf("%q: exit %d\n%s", args, e.code, e.err)
		}
		if args[len(args)-1] == "--json" && args[0] == "upload" && !strings.Contains(e.out, "--insecure") {
			t.Errorf("%q: %s", args, e.out)
		}
	}
	r.holds(files)
	found, err := filepath.Glob(filepath.Join(r.state, "jobs", "*", "log"))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, path := range found {
		if b, err := os.ReadFile(path); err != nil || !strings.Contains(string(b), "--insecure: the store's certificate is not checked") {
			t.Errorf("%s: %s, %v", path, b, err)
		}
	}

	// Neither variable nor file.
	r.env = append(r.env, "AGENT_INSECURE=true")
	r.run("ls", r.dest)
	if e := r.run("ls", r.dest); e.code != 7 {
		t.Errorf("by a variable: exit %d\n%s", e.code, e.err)
	}
	r.env = without(r.env, "AGENT_INSECURE")
	config := filepath.Join(r.home, "config.toml")
	if err := os.WriteFile(config, []byte("insecure = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = append(r.env, "AGENT_CONFIG="+config)
	if e := r.run("ls", r.dest); e.code != 2 {
		t.Errorf("by a file: exit %d\n%s", e.code, e.err)
	}
	r.env = without(r.env, "AGENT_CONFIG", "AWS_ENDPOINT_URL")
	for _, endpoint := range []string{"", "https://s3.eu-west-2.amazonaws.com"} {
		if e := r.run("ls", "--insecure", "--endpoint", endpoint, r.dest); e.code != 2 || !strings.Contains(e.err, "this one is AWS") {
			t.Errorf("at AWS: exit %d\n%s", e.code, e.err)
		}
	}
}

// TestInsecureIsForTheStoreAlone proves that an issuer gets its key only with a
// certificate that is checked.
func TestInsecureIsForTheStoreAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	address, file, asked := r.selfSigned(r.sb.Env["AGENT_SANDBOX_API"])
	api, err := url.Parse(r.sb.Env["AGENT_SANDBOX_API"])
	if err != nil {
		t.Fatal(err)
	}
	plain := slices.Clip(r.env)
	trusting := slices.Concat(plain, []string{"AWS_CA_BUNDLE=" + file})
	r.env = trusting
	r.login(address + api.Path)
	trusting = r.env
	before := asked.Load()
	r.env = slices.Concat(plain, []string{"AGENT_PLATFORM=" + address + api.Path})
	dir := tree{}.with("f", 1).write(t)
	e := r.upload(4, "--insecure", "--credentials", "platform", "--wait-credentials", "1s", dir)
	if asked.Load() != before || before == 0 || !strings.Contains(e.err, "certificate") {
		t.Errorf("%d requests with the key\n%s", asked.Load()-before, e.err)
	}
	r.env = trusting
	r.upload(0, "--insecure", "--credentials", "platform", dir)
}
