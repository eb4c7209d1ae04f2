//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"agent/bench/platform"
)

// outliving is a way to get from token to token. It prepares the rig, and
// returns what brings the next token to a running agent; nil where the agent
// fetches them itself.
type outliving struct {
	name  string
	setUp func(r *rig) (next func())
}

var outlivings = []outliving{
	{"platform", func(r *rig) func() { r.login(r.sb.Env["AGENT_SANDBOX_API"]); return nil }},
	{"process", func(r *rig) func() {
		config, err := r.sb.ProcessConfig(r.home)
		if err != nil {
			r.t.Fatal(err)
		}
		r.env = append(r.env, "AWS_CONFIG_FILE="+config)
		return nil
	}},
	{"issuer", func(r *rig) func() { r.issuer(); return nil }},
	{"credentials file", func(r *rig) func() {
		path := filepath.Join(r.home, "credentials")
		r.env = append(r.env, "AWS_SHARED_CREDENTIALS_FILE="+path)
		next := func() { writeCredentials(r.t, path, r.token()) }
		next()
		return next
	}},
	{"paste", func(r *rig) func() {
		next := func() { r.paste(pageText(r.token())) }
		next()
		return next
	}},
}

// login logs the rig's user in at the platform whose API is at base.
func (r *rig) login(base string) {
	r.t.Helper()
	key := filepath.Join(r.home, "key")
	if err := os.WriteFile(key, []byte(r.sb.Env["AGENT_SANDBOX_API_KEY"]+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.env = append(r.env, "AGENT_PLATFORM="+base)
	if e := r.run("login", r.sb.Workspace(), "--key-file", key); e.code != 0 {
		r.t.Fatalf("login: exit %d\n%s", e.code, e.err)
	}
}

// issuerText describes the platform's API; the key is in keyFile.
func (r *rig) issuerText(keyFile string) string {
	return fmt.Sprintf("url = %q\nmethod = \"POST\"\nheader_file = %q\nbearer = true\nbucket = %q\nprefix = \"{workspace}/\"\n",
		r.sb.Env["AGENT_SANDBOX_API"]+"/workspaces/{workspace}/me/s3-tokens", keyFile, r.sb.Bucket())
}

// issuer describes the platform's API as an HTTP issuer like any other.
func (r *rig) issuer() {
	r.t.Helper()
	key, file := filepath.Join(r.home, "key"), filepath.Join(r.home, "issuer.toml")
	text := r.issuerText(key)
	for path, text := range map[string]string{key: r.sb.Env["AGENT_SANDBOX_API_KEY"], file: text} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	r.env = append(r.env, "AGENT_ISSUER="+file)
}

// paste pastes text for the rig's workspace.
func (r *rig) paste(text string) ended {
	r.t.Helper()
	p := r.command("creds", "paste", r.sb.Workspace())
	p.Stdin = strings.NewReader(text)
	e := r.startAs(p).wait()
	if e.code != 0 {
		r.t.Errorf("creds paste: exit %d\n%s", e.code, e.err)
	}
	return e
}

// pageText is a token as the platform's page copies it.
func pageText(token []string) string {
	var lines []string
	for _, line := range token {
		if !strings.Contains(line, "EXPIRATION") {
			lines = append(lines, strings.TrimPrefix(line, "AWS_"))
		}
	}
	return strings.Join(lines, "\n")
}

// outliveFiles are one file of two parts and many small ones, of size bytes
// together.
func outliveFiles(size int) tree {
	files := tree{}.with("large", 6<<20)
	for i := range (size - 6<<20) / 250e3 {
		files.with(fmt.Sprintf("small/%03d", i), 250e3)
	}
	return files
}

// outlive uploads size bytes at rate, which takes much longer than the tokens
// live, and returns how long it took.
func outlive(t *testing.T, how outliving, life time.Duration, rate string, size int) time.Duration {
	t.Helper()
	r := newRig(t, "-token-life", life.String(), "-rate", rate)
	next := how.setUp(r)
	files := outliveFiles(size)
	dir := files.write(t)
	mark := r.mark()
	began := time.Now()
	p := r.startUpload("--parallel", "2", "--part-size", "5MiB", dir)
	if next != nil {
		ticker := time.NewTicker(life * 7 / 10)
		defer ticker.Stop()
		for p.running() {
			select {
			case <-ticker.C:
				next()
			case <-p.done:
			}
		}
	}
	e := p.waitFor(10 * patience)
	took := time.Since(began)
	if e.code != 0 || strings.Contains(e.err, "\nfailed: ") {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	r.holds(files)
	rotations(t, r, 3)
	// The next one is asked for when a fifth of the life is left, and of the
	// life parts of a second do not count.
	if minted, most := r.minted(mark), int(took/((life-time.Second)*4/5))+1; next == nil && minted > most {
		t.Errorf("the issuer was asked %d times in %v, want at most %d", minted, took, most)
	}
	return took
}

// minted is how many tokens the platform has made since mark.
func (r *rig) minted(mark int) int {
	r.t.Helper()
	all, err := r.sb.Requests()
	if err != nil {
		r.t.Fatal(err)
	}
	n := 0
	for _, q := range all[mark:] {
		if q.Op == "MintToken" {
			n++
		}
	}
	return n
}

// TestOutlivesTokens proves for every source that an upload runs through any
// number of tokens: no file fails, nothing is refused twice under one token, and
// the issuer is not asked more often than there are tokens. aws-cli#4562,
// aws-cli#6709, earthaccess#353, azcopy#1984.
func TestOutlivesTokens(t *testing.T) {
	t.Parallel()
	for _, how := range outlivings {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			outlive(t, how, 4*time.Second, "1500kB", 18e6)
		})
	}
}

// TestIssuerDown proves that an issuer which is away for longer than a token
// lives costs waiting and nothing else.
func TestIssuerDown(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 16<<20).with("small", 10)
	r := newRig(t, "-token-life", "2s", "-rate", "3MB")
	away := r.loginThrough()
	p := r.startUpload("--parallel", "2", "--part-size", "5MiB", files.write(t))
	r.acked("large", 1)
	away.Store(true)
	p.says("waiting for credentials")
	mark := r.mark()
	away.Store(false)
	if e := p.wait(); e.code != 0 || !strings.Contains(e.err, "going on after") || strings.Contains(e.err, "\nfailed: ") {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	r.holds(files)
	if len(r.requests(mark)) == 0 {
		t.Error("nothing was sent after the wait")
	}
	rotations(t, r, 2)
}

// TestSomebodyElsesKeysComeFirst proves that live keys which have no right to
// the destination, as a machine's own role, do not hide a login: they are tried,
// told of and passed over. Where there are no others the run ends at once.
func TestSomebodyElsesKeysComeFirst(t *testing.T) {
	t.Parallel()
	files := tree{}.with("f", 10)
	dir := files.write(t)
	seed := []string{"-secret", "one seed for both"}
	r := newRig(t, seed...)
	other, err := platform.Start(context.Background(), built.sandbox, t.TempDir(), append(seed, "-workspace", "other-workspace")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Kill() })
	wrong, err := other.Token(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.home, "credentials")
	writeCredentials(t, path, wrong)
	r.env = append(append(r.env, "AWS_SHARED_CREDENTIALS_FILE="+path), wrong...)
	e := r.upload(7, dir)
	if !strings.Contains(e.err, "AccessDenied") || strings.Contains(e.err, "waiting for") {
		t.Errorf("%s", e.err)
	}
	r.login(r.sb.Env["AGENT_SANDBOX_API"])
	e = r.upload(0, dir)
	if !strings.Contains(e.err, "note: key ASIA") || !strings.Contains(e.err, "from platform login for "+r.sb.Workspace()) {
		t.Errorf("it does not say which keys it passed over:\n%s", e.err)
	}
	r.holds(files)
}

// loginThrough logs in at an API that is away while the switch is on.
func (r *rig) loginThrough() *atomic.Bool {
	r.t.Helper()
	to, err := url.Parse(r.sb.Env["AGENT_SANDBOX_API"])
	if err != nil {
		r.t.Fatal(err)
	}
	away := new(atomic.Bool)
	next := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: to.Scheme, Host: to.Host})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		next.ServeHTTP(w, q)
	}))
	r.t.Cleanup(srv.Close)
	r.login(srv.URL + to.Path)
	return away
}

// TestLiveTokenOfAnotherWorkspace proves that credentials of another workspace
// which come in mid-run are told apart and named, cost no file, and that the
// run goes on with the right ones.
func TestLiveTokenOfAnotherWorkspace(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 20<<20).with("small", 10)
	seed := []string{"-secret", "one seed for both"}
	r := newRig(t, append(seed, "-token-life", "3s", "-rate", "4MB")...)
	other, err := platform.Start(context.Background(), built.sandbox, t.TempDir(), append(seed, "-workspace", "other-workspace")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Kill() })
	path := filepath.Join(r.home, "credentials")
	r.env = append(r.env, "AWS_SHARED_CREDENTIALS_FILE="+path)
	writeCredentials(t, path, r.token())
	p := r.startUpload("--parallel", "2", "--part-size", "5MiB", files.write(t))
	r.acked("large", 1)
	wrong, err := other.Token(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	writeCredentials(t, path, wrong)
	p.says("another workspace")
	writeCredentials(t, path, r.token())
	for p.running() && !strings.Contains(p.err.String(), "sent ") {
		m := r.mark()
		until(t, "a refusal or the end", func() bool { return !p.running() || refusedSince(r.requests(m)) })
		writeCredentials(t, path, r.token())
	}
	if e := p.wait(); e.code != 0 || strings.Contains(e.err, "\nfailed: ") {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	r.holds(files)
	for _, q := range r.requests(0) {
		if q.AccessKey == value(wrong, "AWS_ACCESS_KEY_ID") && q.Op != "ListObjectsV2" {
			t.Errorf("%s was tried with the wrong workspace's key", describe(q))
		}
	}
}
