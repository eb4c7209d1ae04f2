package creds

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tomlFile writes an issuer's file into a folder of its own.
func tomlFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "issuer.toml")
	write(t, path, text, 0o600)
	return path
}

// The issuers in use elsewhere, each by its file, with the answers they give.
func TestLoadIssuerShapes(t *testing.T) {
	t.Setenv("EARTHDATA_TOKEN", issuerKey)
	for name, c := range map[string]struct {
		file, request, auth, body, answer string
		ends                              bool
		place                             Location
	}{
		"NASA Earthdata": {
			`name = "NASA Earthdata"
url = "%URL/s3credentials"
header_env = "EARTHDATA_TOKEN"
bearer = true
bucket = "podaac-ops-cumulus-protected"
region = "us-west-2"
`, "GET /s3credentials", "Bearer " + issuerKey, "",
			`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2999-01-27 00:50:09+00:00"}`,
			true, Location{Bucket: "podaac-ops-cumulus-protected", Region: "us-west-2"},
		},
		"Copernicus CDSE": {
			`url = "%URL/api/user/credentials"
method = "post"
header_file = "token"
bearer = true
endpoint = "eodata.dataspace.copernicus.eu"
`, "POST /api/user/credentials", "Bearer " + issuerKey, "",
			`{"access_id":"%I","secret":"%S","expiration_date":"2999-01-27T00:50:09.123456Z"}`,
			true, Location{Endpoint: "https://eodata.dataspace.copernicus.eu"},
		},
		"EOEPCA": {
			`url = "%URL/workspaces/{workspace}"
workspace = "ws-bob"
header_env = "EARTHDATA_TOKEN"
bearer = true
unwrap = "storage.credentials"
`, "GET /workspaces/ws-bob", "Bearer " + issuerKey, "",
			`{"name":"ws-bob","storage":{"credentials":{"bucketname":"ws-bob","access":"%I","secret":"%S","endpoint":"https://minio.example","region":"waw3-1"}}}`,
			false, Location{Bucket: "ws-bob", Endpoint: "https://minio.example", Region: "waw3-1"},
		},
		"AWS containers": {
			`url = "%URL/v2/credentials/1234"
header = "Authorization"
header_file = "token"
`, "GET /v2/credentials/1234", issuerKey, "",
			`{"AccessKeyId":"%I","SecretAccessKey":"%S","Token":"%T","Expiration":"2999-01-27T00:50:09Z"}`,
			true, Location{},
		},
		"with a body": {
			`url = "%URL/token"
method = "POST"
header = "X-Api-Key"
header_file = "token"
body = '''{"role": "writer"}'''
`, "POST /token", "", `{"role": "writer"}`,
			`{"access":"%I","secret":"%S","bucket":"b-1","prefix":"/a/b","endpointUrl":"minio.example:9000"}`,
			false, Location{Bucket: "b-1", Prefix: "a/b/", Endpoint: "https://minio.example:9000"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if got := r.Method + " " + r.URL.Path; got != c.request || string(body) != c.body || r.Header.Get("Authorization") != c.auth ||
					c.auth == "" && r.Header.Get("X-Api-Key") != issuerKey {
					t.Errorf("%s, body %q, %d bytes of key", got, body, len(r.Header.Get("Authorization")))
				}
				_, _ = io.WriteString(w, fillIn(c.answer))
			})
			path := tomlFile(t, strings.ReplaceAll(c.file, "%URL", srv.URL))
			write(t, filepath.Join(filepath.Dir(path), "token"), issuerKey+"\n", 0o600)
			i, err := LoadIssuer(path)
			if err != nil {
				t.Fatal(err)
			}
			i.HTTP = srv.Client()
			got, err := i.Retrieve(t.Context())
			if err != nil || got.AccessKeyID != pasteID || got.SecretAccessKey != pasteSecret || got.CanExpire != c.ends {
				t.Errorf("expires %t, %v", got.CanExpire, err)
			}
			if loc, err := i.Locate(t.Context()); err != nil || loc != c.place {
				t.Errorf("%+v, %v", loc, err)
			}
		})
	}
}

// Where people named the bucket, nobody is asked.
func TestLocateAsksOnlyWhereItMust(t *testing.T) {
	i := &Issuer{URL: "https://localhost:1/", Place: somewhere}
	if loc, err := i.Locate(t.Context()); err != nil || loc != somewhere {
		t.Errorf("%+v, %v", loc, err)
	}
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, fillIn(`{"access":"%I","secret":"%S","bucket":"../PLANTED"}`))
	})
	i = &Issuer{URL: srv.URL, HTTP: srv.Client(), Place: Location{Region: "r"}}
	var e *IssuerError
	if _, err := i.Locate(t.Context()); !errors.As(err, &e) || strings.Contains(err.Error(), planted) {
		t.Error(err)
	}
}

func TestLoadIssuerPaths(t *testing.T) {
	userHome := t.TempDir()
	t.Setenv("HOME", userHome)
	t.Setenv("USERPROFILE", userHome)
	abs := filepath.Join(userHome, "abs")
	for given, want := range map[string]func(dir string) string{
		"~/keys/token": func(string) string { return filepath.Join(userHome, "keys", "token") },
		"keys/token":   func(dir string) string { return filepath.Join(dir, "keys", "token") },
		"../token":     func(dir string) string { return filepath.Join(filepath.Dir(dir), "token") },
		abs:            func(string) string { return abs },
	} {
		path := tomlFile(t, fmt.Sprintf("url = 'https://h/'\nheader_file = '%s'\n", given))
		i, err := LoadIssuer(path)
		if err != nil || i.HeaderFile != want(filepath.Dir(path)) || len(i.Files()) != 1 {
			t.Errorf("%s: %+v, %v", given, i, err)
		}
	}
}

func TestLoadIssuerRefuses(t *testing.T) {
	const url = "url = 'https://h/x'\n"
	for name, c := range map[string]struct{ file, says string }{
		"empty":           {"", "url is missing"},
		"no url":          {"name = 'x'", "url is missing"},
		"http":            {"url = 'http://example.org/?PLANTED'", "only https"},
		"user":            {"url = 'https://bob:PLANTED@example.org/'", "holds a user"},
		"no host":         {"url = 'PLANTED'", "not a URL"},
		"unknown":         {url + "\n# a comment\nheadr = 'x'", "line 4: there is no key headr"},
		"two unknown":     {"zzz = 1\n" + url + "aaa = 2", "line 1: there is no key zzz"},
		"number":          {url + "name = 5", "line 2: name must be a text in quotes"},
		"table for text":  {url + "[header]\nvalue = 'PLANTED'", "header must be a text in quotes"},
		"text for flag":   {url + "bearer = 'PLANTED'", "line 2: bearer must be true or false"},
		"value":           {url + "header_value = 'PLANTED'", "line 2: header_value: no secret is kept in this file: name the variable that holds it with header_env"},
		"token":           {"token = 'PLANTED'\n" + url, "line 1: token: no secret"},
		"password":        {url + "Password = 'PLANTED'", "Password: no secret"},
		"authorization":   {url + "authorization = 'Bearer PLANTED'", "authorization: no secret"},
		"api_key":         {url + "api_key = 'PLANTED'", "api_key: no secret"},
		"secret in table": {url + "[auth]\nx = 'PLANTED'", "auth: no secret"},
		"dotted":          {url + "auth.token = 'PLANTED'", "auth: no secret"},
		"unknown table":   {url + "[proxy]\nx = 'PLANTED'", "there is no key proxy"},
		"array of tables": {url + "[[proxy]]\nx = 'PLANTED'", "there is no key proxy"},
		"no TOML":         {url + "header = PLANTED", "line 2: is not TOML"},
		"cut":             {url + "header = \"PLANTED", "line 2: is not TOML"},
		"twice":           {url + url, "line 2: is not TOML"},
		"header's value":  {url + "header = 'Authorization: PLANTED'", "header is not a header's name"},
		"env's value":     {url + "header_env = 'PLANTED.a-b'", "header_env is not a variable's name"},
		"env's hex value": {url + "header_env = 'af1e2d3c4b5a69788796a5b4c3d2PLANTED'", "header_env is not a variable's name"},
		"method":          {url + "method = 'PLANTED X'", "method is not one"},
		"both":            {url + "header_env = 'A'\nheader_file = 'b'", "exclude each other"},
		"bearer of what":  {url + "bearer = true", "header_env or header_file is missing"},
		"header of what":  {url + "header = 'X-Key'", "header_env or header_file is missing"},
		"bucket":          {url + "bucket = '../PLANTED'", "bucket is not"},
		"endpoint":        {url + "endpoint = 'ftp://PLANTED'", "endpoint is not"},
		"endpoint's user": {url + "endpoint = 'https://a:PLANTED@h'", "endpoint is not"},
	} {
		path := tomlFile(t, c.file)
		i, err := LoadIssuer(path)
		var e *ConfigError
		if i != nil || !errors.As(err, &e) || e.File != path || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		silent(t, err)
		if err != nil && strings.Contains(strings.ReplaceAll(err.Error(), path, ""), planted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var e *ConfigError
	if _, err := LoadIssuer(filepath.Join(t.TempDir(), "none")); !errors.As(err, &e) || !errors.Is(err, os.ErrNotExist) || strings.Count(err.Error(), "none") != 1 {
		t.Error(err)
	}
}

// The key goes to nobody but the issuer, wherever it sends us.
func TestIssuerRedirects(t *testing.T) {
	t.Setenv("EARTHDATA_TOKEN", issuerKey)
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect was followed to another host, with %d bytes of key", len(r.Header.Get("Authorization")))
	})
	for _, client := range []*http.Client{nil, http.DefaultClient} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			for _, target := range []string{"/login?next=PLANTED", other.URL + "/steal"} {
				srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/s3credentials" {
						t.Errorf("the redirect was followed to %s", r.URL.Path)
					}
					http.Redirect(w, r, target, status)
				})
				i, err := LoadIssuer(tomlFile(t, "url = '"+srv.URL+"/s3credentials'\nheader_env = 'EARTHDATA_TOKEN'\nbearer = true\n"))
				if err != nil {
					t.Fatal(err)
				}
				if client != nil {
					i.HTTP = client
				}
				if _, err := i.Retrieve(t.Context()); !errors.Is(err, errLoginPage) {
					t.Errorf("%d to %s: %v", status, target, err)
				} else {
					silent(t, err)
				}
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestContainerHosts(t *testing.T) {
	for url, want := range map[string]bool{
		"http://169.254.170.2/v2/credentials/x": true, "http://169.254.170.23/v1/credentials": true, "http://[fd00:ec2::23]/v1": true,
		"http://169.254.169.254/": false, "http://169.254.170.2.example.org/": false, "http://10.0.0.1/": false,
	} {
		if _, err := checkURL(url); (err == nil) != want {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A description that everybody can write to could send the key to anybody.
func TestIssuerFileOfOthers(t *testing.T) {
	if !othersAreToldApart() {
		t.Skip("files have no modes here")
	}
	path := tomlFile(t, "url = 'https://example.org/'\n")
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o644: true, 0o664: true, 0o666: false, 0o602: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadIssuer(path)
		var e *ConfigError
		if good != (err == nil) || !good && (!errors.Is(err, ErrWritable) || !errors.As(err, &e) || e.File != path) {
			t.Errorf("%o: %v", mode, err)
		}
	}
}
