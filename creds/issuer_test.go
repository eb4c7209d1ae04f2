package creds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const issuerKey = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

// serve answers as the handler does, and counts what came.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

// silent fails when an error shows one of the secrets, however it is printed.
func silent(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			text := fmt.Sprintf(verb, e)
			for _, s := range []string{issuerKey, pasteSecret, pasteToken, pasteID, planted} {
				if shows(text, s) {
					t.Errorf("a secret is shown: %s", text)
				}
			}
		}
	}
}

// The shapes in use elsewhere, each with the request it needs.
func TestIssuerShapes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, issuerKey+"\n", 0o600)
	env := func(name string) string { return map[string]string{"TOKEN": issuerKey}[name] }
	for name, c := range map[string]struct {
		issuer                       Issuer
		wantPath, wantAuth, wantBody string
		answer                       string
		bucket                       string
	}{
		"NASA": {Issuer{URL: "/s3credentials", HeaderEnv: "TOKEN", Bearer: true}, "GET /s3credentials", "Bearer " + issuerKey, "",
			`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2999-01-27 00:50:09+00:00"}`, ""},
		"CDSE": {Issuer{Method: "POST", URL: "/api/user/credentials", HeaderFile: file, Bearer: true, Body: "{}"}, "POST /api/user/credentials", "Bearer " + issuerKey, "{}",
			`{"access_id":"%I","secret":"%S","expiration_date":"2999-01-27T00:50:09Z"}`, ""},
		"EOEPCA": {Issuer{URL: "/workspaces/{workspace}", Workspace: "ws-bob", HeaderEnv: "TOKEN", Bearer: true, Unwrap: "storage.credentials"}, "GET /workspaces/ws-bob", "Bearer " + issuerKey, "",
			`{"storage":{"credentials":{"bucketname":"b","access":"%I","secret":"%S","endpoint":"https://m","region":"r"}}}`, "b"},
		"container": {Issuer{URL: "/v2/credentials", HeaderFile: file}, "GET /v2/credentials", issuerKey, "",
			`{"AccessKeyId":"%I","SecretAccessKey":"%S","Token":"%T","Expiration":"2999-01-27T00:50:09Z"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if got := r.Method + " " + r.URL.Path; got != c.wantPath || r.Header.Get("Authorization") != c.wantAuth || string(body) != c.wantBody {
					t.Errorf("%s, %d bytes of key, body %q", got, len(r.Header.Get("Authorization")), body)
				}
				_, _ = io.WriteString(w, fillIn(c.answer))
			})
			i := c.issuer
			i.URL, i.Getenv, i.HTTP = srv.URL+i.URL, env, srv.Client()
			s, err := i.Fetch(t.Context())
			if err != nil || s.AccessKeyID != pasteID || s.SecretAccessKey != pasteSecret || s.Bucket != c.bucket || s.Source != "127.0.0.1" {
				t.Errorf("%v, %v", s, err)
			}
			if got, err := i.Retrieve(t.Context()); err != nil || got.AccessKeyID != pasteID {
				t.Error(err)
			}
		})
	}
}

func TestIssuerRefuses(t *testing.T) {
	env := func(name string) string {
		return map[string]string{"TOKEN": issuerKey, "BROKEN": "a\nPLANTED"}[name]
	}
	for name, c := range map[string]struct {
		issuer Issuer
		answer http.HandlerFunc
		want   string
	}{
		"redirect": {Issuer{}, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login?token=PLANTED", http.StatusFound)
		}, "redirected to a login page"},
		"html": {Issuer{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, fillIn(`{"access":"%I","secret":"%S"}`))
		}, "web page"},
		"text": {Issuer{}, func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "bad token "+r.Header.Get("Authorization")+" for "+pasteID+" "+pasteSecret, http.StatusTeapot)
		}, "answered 418 I'm a teapot: bad token Bearer [32 characters] for [20 characters]"},
		"json error": {Issuer{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"secret":"PLANTED"}`)
		}, "answered 403 Forbidden"},
		"huge": {Issuer{}, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("PLANTED ", longestText/8+1))
		}, "1 MiB"},
		"not json":   {Issuer{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "PLANTED") }, "not a JSON object"},
		"half":       {Issuer{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"access":"PLANTED"}`) }, "secret access key is missing"},
		"hang up":    {Issuer{}, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "can't be reached"},
		"http":       {Issuer{URL: "http://example.org/"}, nil, "only https"},
		"password":   {Issuer{URL: "https://bob:PLANTED@example.org/"}, nil, "holds a user"},
		"no host":    {Issuer{URL: "PLANTED"}, nil, "not a URL"},
		"workspace":  {Issuer{URL: "https://h/{workspace}"}, nil, "needs a workspace"},
		"no env":     {Issuer{HeaderEnv: "UNSET"}, nil, "UNSET is empty"},
		"broken env": {Issuer{HeaderEnv: "BROKEN"}, nil, "BROKEN (9 characters)"},
		"no file":    {Issuer{HeaderFile: filepath.Join(t.TempDir(), "none")}, nil, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := c.answer
			if answer == nil {
				answer = func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }
			}
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/login" {
					t.Error("the redirect was followed")
				}
				answer(w, r)
			})
			i := c.issuer
			if i.URL == "" {
				i.URL = srv.URL
			}
			if i.HeaderEnv == "" && i.HeaderFile == "" {
				i.HeaderEnv, i.Bearer = "TOKEN", true
			}
			i.Getenv, i.HTTP = env, srv.Client()
			_, err := i.Retrieve(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			silent(t, err)
		})
	}
}

func TestIssuerFileOthersCanRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, issuerKey, 0o600)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	i := Issuer{URL: "https://localhost:1/", HeaderFile: path}
	if _, err := i.Retrieve(t.Context()); othersAreToldApart() && !errors.Is(err, ErrShared) {
		t.Error(err)
	}
}

func TestIssuerGivesUpWithTheContext(t *testing.T) {
	srv := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	i := Issuer{URL: srv.URL, HTTP: srv.Client()}
	if _, err := i.Retrieve(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
