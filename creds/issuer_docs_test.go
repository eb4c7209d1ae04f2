package creds

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The descriptions in the docs are whole files that work: each is loaded as it
// stands there, and asks a server that answers as the issuer does.
func TestIssuersInTheDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "credentials.md"))
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]struct{ request, auth, answer string }{
		"earthdatacloud": {"GET /s3credentials", "Bearer " + issuerKey,
			`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2999-01-27 00:50:09+00:00"}`},
		"cloudferro": {"POST /api/user/credentials", "Bearer " + issuerKey,
			`{"access_id":"%I","secret":"%S","expiration_date":"2999-01-27T00:50:09.123456Z"}`},
		"workspace-api": {"GET /workspaces/my-ws", "Bearer " + issuerKey,
			`{"storage":{"credentials":{"bucketname":"my-ws","access":"%I","secret":"%S","endpoint":"https://minio.example","region":"waw3-1"}}}`},
		"127.0.0.1": {"GET /credentials", issuerKey,
			`{"AccessKeyId":"%I","SecretAccessKey":"%S","Token":"%T","Expiration":"2999-01-27T00:50:09Z"}`},
	}
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != len(answers) {
		t.Fatalf("%d descriptions in the docs, %d issuers here", len(blocks), len(answers))
	}
	t.Setenv("HOME", t.TempDir())
	if err := os.MkdirAll(filepath.Join(os.Getenv("HOME"), ".config"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(os.Getenv("HOME"), ".config", "eoepca-token"), issuerKey, 0o600)
	for _, name := range []string{"EARTHDATA_TOKEN", "CDSE_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"} {
		t.Setenv(name, issuerKey)
	}
	for name, c := range answers {
		t.Run(name, func(t *testing.T) {
			var file string
			for _, b := range blocks {
				if strings.Contains(b[1], name) {
					file = b[1]
				}
			}
			i, err := LoadIssuer(tomlFile(t, file))
			if err != nil {
				t.Fatal(err)
			}
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Method + " " + r.URL.Path; got != c.request || r.Header.Get("Authorization") != c.auth {
					t.Errorf("%s with another header, want %s", got, c.request)
				}
				_, _ = io.WriteString(w, fillIn(c.answer))
			})
			at, err := url.Parse(i.URL)
			if err != nil {
				t.Fatal(err)
			}
			i.URL, i.Workspace, i.HTTP = srv.URL+at.Path, "my-ws", srv.Client()
			got, err := i.Retrieve(t.Context())
			if err != nil || got.AccessKeyID != pasteID || got.SecretAccessKey != pasteSecret {
				t.Errorf("%v", err)
			}
		})
	}
}
