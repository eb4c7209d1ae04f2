package creds

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const uuid = "123e4567-e89b-42d3-a456-426614174000"

func othersAreToldApart() bool { return runtime.GOOS != "windows" }

func login(t *testing.T, l Login) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "conf", "login.json")
	if err := WriteLogin(path, l); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPlatformMints(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/workspaces/my-ws/me/s3-tokens" || r.Header.Get("Authorization") != "Bearer "+issuerKey || r.ContentLength != 0 {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		_, _ = io.WriteString(w, fillIn(`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2999-11-23T19:08:46Z"}`))
	})
	p := Platform{LoginFile: login(t, Login{Base: srv.URL + "/api", Workspace: "my-ws", Key: issuerKey}), HTTP: srv.Client()}
	c, err := p.Retrieve(t.Context())
	if err != nil || c.AccessKeyID != pasteID || c.SessionToken != pasteToken || c.Expires.Year() != 2999 {
		t.Error(err)
	}
	// A trailing slash, and a key from a file with a line end.
	file := filepath.Join(t.TempDir(), "key")
	write(t, file, issuerKey+"\r\n", 0o600)
	p = Platform{Base: srv.URL + "/api/", Workspace: "my-ws", KeyFile: file, HTTP: srv.Client()}
	if _, err := p.Retrieve(t.Context()); err != nil || len(p.Files()) != 1 {
		t.Error(err)
	}
}

func TestPlatformErrors(t *testing.T) {
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, body, status) }
	}
	const over = "operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 400, RequestID: " + uuid + ", ExpiredTokenException: Token expired"
	for name, c := range map[string]struct {
		key    string
		answer http.HandlerFunc
		kind   PlatformKind
		says   string
	}{
		"401":         {issuerKey, text(401, "invalid bearer jwt token"), KeyRefused, "the API key was refused: 401 Unauthorized: invalid bearer jwt token"},
		"403 gateway": {issuerKey, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, KeyRefused, "403"},
		"uuid":        {uuid, text(401, "invalid token format"), TokenIDGiven, "Token ID"},
		"uuid 302":    {uuid, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, TokenIDGiven, "Token ID"},
		"expired":     {issuerKey, text(500, over), LoginOver, "ExpiredTokenException"},
		"identity":    {issuerKey, text(500, "x InvalidIdentityToken: y"), LoginOver, "has ended"},
		"denied":      {issuerKey, text(500, "api error AccessDenied: no"), LoginOver, "has ended"},
		"500":         {issuerKey, text(500, "database gone for "+issuerKey), Broken, "database gone for [32 characters]"},
		"503":         {issuerKey, text(503, ""), Broken, "503"},
		"429":         {issuerKey, text(429, "slow"), Broken, "429"},
		"404":         {issuerKey, text(404, "no"), NoWorkspace, "404"},
		"405":         {issuerKey, text(405, ""), WrongMethod, "405"},
		"redirect": {issuerKey, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusTemporaryRedirect)
		}, LoginPage, "login page"},
		"page": {issuerKey, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<!doctype html><form>"+pasteSecret)
		}, LoginPage, "login page"},
		"no json": {issuerKey, text(200, "ok "+pasteSecret), Unreadable, "not a JSON object"},
		"half":    {issuerKey, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"accessKeyId":"A1"}`) }, Unreadable, "secret access key is missing"},
		"hang up": {issuerKey, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Unreachable, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/login" {
					t.Error("the redirect was followed with the key")
				}
				c.answer(w, r)
			})
			ends := pasteNow.Add(time.Hour)
			p := Platform{LoginFile: login(t, Login{Base: srv.URL, Workspace: "w", Key: Secret(c.key), KeyExpires: ends}), HTTP: srv.Client()}
			_, err := p.Retrieve(t.Context())
			var e *PlatformError
			if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v, want kind %v", err, c.kind)
			}
			if c.kind != Unreadable && !e.KeyExpires.Equal(ends) {
				t.Error("the key's end is lost")
			}
			silent(t, err)
			if strings.Contains(err.Error(), uuid) || strings.Contains(err.Error(), "\n") {
				t.Error(err)
			}
		})
	}
}

func TestPlatformLoginErrors(t *testing.T) {
	good := Login{Base: "https://h/api", Workspace: "w", Key: issuerKey}
	bad := login(t, good)
	write(t, bad, `{"api_key":"`+planted, 0o600)
	odd := login(t, good)
	write(t, odd, `{"base":"https://h","workspace":"w","api_key":"k","api_key_expires":"`+planted+`"}`, 0o600)
	for name, c := range map[string]struct {
		p    *Platform
		kind PlatformKind
	}{
		"nothing":    {&Platform{}, NoLogin},
		"no file":    {&Platform{LoginFile: filepath.Join(t.TempDir(), "none")}, NoLogin},
		"other":      {&Platform{LoginFile: login(t, good), Workspace: "v"}, NoLogin},
		"broken":     {&Platform{LoginFile: bad}, BadLogin},
		"odd end":    {&Platform{LoginFile: odd}, BadLogin},
		"workspace":  {&Platform{LoginFile: login(t, Login{Base: "https://h", Workspace: "../x", Key: "k"})}, BadLogin},
		"plain http": {&Platform{LoginFile: login(t, Login{Base: "http://example.org", Workspace: "w", Key: issuerKey})}, BadLogin},
	} {
		_, err := c.p.Retrieve(t.Context())
		var e *PlatformError
		if !errors.As(err, &e) || e.Kind != c.kind || !e.Kind.Lasting() {
			t.Errorf("%s: %v", name, err)
		}
		silent(t, err)
	}
}

func TestDiscover(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   Location
		fails  bool
	}{
		"arn": {`{"stores":[{"object":[{"name":"my-ws","bucket":"workspaces-eodhp","prefix":"my-ws/","host":"h.example","access_point_arn":"arn:aws:s3:eu-west-2:123:accesspoint/x"}]}]}`,
			Location{Bucket: "workspaces-eodhp", Prefix: "my-ws/", Region: "eu-west-2", Endpoint: "https://h.example"}, false},
		"host": {`{"stores":[{"object":[{"bucket":"b-us-east-1","prefix":"/my-ws","host":"b-us-east-1.s3.eu-west-2.amazonaws.com"}]}]}`,
			Location{Bucket: "b-us-east-1", Prefix: "my-ws/", Region: "eu-west-2"}, false},
		"by name": {`{"stores":[{"block":[]},{"object":[{"name":"a","bucket":"aaa"},{"name":"my-ws","bucket":"bbb","host":"bbb.minio:9000"}]}]}`,
			Location{Bucket: "bbb", Endpoint: "https://minio:9000"}, false},
		"none":      {`{"stores":[{"object":[]}]}`, Location{}, true},
		"odd":       {`{"stores":"PLANTED"}`, Location{}, true},
		"bad names": {`{"stores":[{"object":[{"bucket":"../PLANTED"}]}]}`, Location{}, true},
	} {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/workspaces/my-ws" {
				t.Errorf("%s %s", r.Method, r.URL.Path)
			}
			_, _ = io.WriteString(w, c.answer)
		})
		p := Platform{LoginFile: login(t, Login{Base: srv.URL, Workspace: "my-ws", Key: issuerKey}), HTTP: srv.Client()}
		got, err := p.Discover(t.Context())
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		silent(t, err)
	}
}

func TestLoginFile(t *testing.T) {
	want := Login{Base: "https://h/api", Workspace: "w", Key: issuerKey, KeyExpires: pasteNow}
	path := login(t, want)
	got, err := ReadLogin(path)
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if text, _ := json.Marshal(got); strings.Contains(string(text), issuerKey) {
		t.Error("a login shows its key")
	}
	if left, soon := got.KeyEnding(pasteNow.Add(-4 * 24 * time.Hour)); !soon || left != 4*24*time.Hour {
		t.Error(left, soon)
	}
	if _, soon := got.KeyEnding(pasteNow.Add(-6 * 24 * time.Hour)); soon {
		t.Error("told too soon")
	}
	if !othersAreToldApart() {
		return
	}
	modes := func(path string, want fs.FileMode) {
		t.Helper()
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, fi.Mode(), err)
		}
	}
	modes(path, 0o600)
	modes(filepath.Dir(path), 0o700)
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files: a temporary one was left", len(left))
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	var e *FileError
	if _, err := ReadLogin(path); !errors.Is(err, ErrShared) || !errors.As(err, &e) || e.Path != path {
		t.Errorf("a file that others can read: %v", err)
	}
	if err := WriteLogin(path, want); err != nil {
		t.Fatal(err)
	}
	modes(path, 0o600) // replaced, not written into
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLogin(link); err != nil {
		t.Errorf("a link of our own: %v", err)
	}
	if err := WriteLogin(link, want); err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.Lstat(link); !fi.Mode().IsRegular() {
		t.Error("a link was written through")
	}
	if _, err := ReadLogin(filepath.Dir(path)); !errors.Is(err, ErrNotFile) {
		t.Errorf("a directory: %v", err)
	}
}

func TestLinkOfSomebodyElse(t *testing.T) {
	if !othersAreToldApart() || os.Geteuid() != 0 {
		t.Skip("only root can make one")
	}
	path := login(t, Login{Base: "https://h", Workspace: "w", Key: issuerKey})
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(link, 12345, 12345); err != nil {
		t.Skip(err)
	}
	if _, err := ReadLogin(link); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
}
