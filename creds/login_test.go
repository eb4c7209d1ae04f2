package creds

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"
)

var somewhere = Location{Bucket: "workspaces-eodhp", Prefix: "my-ws/", Region: "eu-west-2", Endpoint: "https://s3.example"}

func TestLoginPath(t *testing.T) {
	if got := LoginPath("d", "my-ws"); got != filepath.Join("d", "my-ws.json") {
		t.Error(got)
	}
	seen := map[string]bool{}
	for _, name := range []string{"", "..", "../x", "a/b", `a\b`, "A", "a_b", strings.Repeat("x", 500), "x\x00y", "-", "ü"} {
		got := LoginPath("d", name)
		if filepath.Dir(got) != "d" || workspaceName.MatchString(strings.TrimSuffix(filepath.Base(got), ".json")) || len(got) > 30 || seen[got] {
			t.Errorf("%q: %s", name, got)
		}
		seen[got] = true
	}
}

func TestLoginRemembersThePlace(t *testing.T) {
	want := Login{Base: "https://h/api", Workspace: "my-ws", Key: issuerKey, KeyExpires: pasteNow, Place: somewhere}
	got, err := ReadLogin(login(t, want))
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLogins(t *testing.T) {
	keyring.MockInitWithError(errors.New("the keyring was asked"))
	dir := filepath.Join(t.TempDir(), "logins")
	if all, err := Logins(dir); len(all) != 0 || err != nil {
		t.Errorf("no folder: %v, %v", all, err)
	}
	for _, name := range []string{"zebra", "ant", "my-ws"} {
		if err := WriteLogin(LoginPath(dir, name), Login{Base: "https://h", Workspace: name, Key: issuerKey}); err != nil {
			t.Fatal(err)
		}
	}
	write(t, LoginPath(dir, "hidden"), `{"base":"https://h","workspace":"hidden","api_key_in_keyring":true}`, 0o600)
	write(t, LoginPath(dir, "broken"), `{"api_key":"`+planted, 0o600)
	write(t, filepath.Join(dir, "notes.txt"), planted, 0o600)
	write(t, filepath.Join(dir, ".my-ws.json.123"), planted, 0o600)
	all, err := Logins(dir)
	var names []string
	for _, l := range all {
		names = append(names, l.Workspace)
		if (l.Key == "") != l.Keyring || l.Keyring != (l.Workspace == "hidden") {
			t.Errorf("%+v", l)
		}
	}
	if strings.Join(names, " ") != "ant hidden my-ws zebra" {
		t.Error(names)
	}
	var e *FileError
	if !errors.As(err, &e) || e.Path != LoginPath(dir, "broken") || !errors.Is(err, errStored) {
		t.Errorf("the broken one: %v", err)
	}
	silent(t, err)
}

// TestLoginThatCannotBeKept proves that a login which can't take its place leaves no key
// on the disk, under whatever name, and what was there as it was.
func TestLoginThatCannotBeKept(t *testing.T) {
	dir := t.TempDir()
	path := LoginPath(dir, "w")
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := WriteLogin(path, Login{Base: "https://h", Workspace: "w", Key: issuerKey})
	var file *FileError
	if !errors.As(err, &file) || strings.Contains(err.Error(), issuerKey) {
		t.Errorf("%v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("there are %v, %v", entries, err)
	}
}

func TestRemoveLogin(t *testing.T) {
	keyring.MockInit()
	dir := t.TempDir()
	if was, err := RemoveLogin(dir, "my-ws"); was || err != nil {
		t.Errorf("there was none: %t, %v", was, err)
	}
	for _, inKeyring := range []bool{false, true} {
		if err := WriteLogin(LoginPath(dir, "my-ws"), Login{Base: "https://h", Workspace: "my-ws", Key: issuerKey, Keyring: inKeyring}); err != nil {
			t.Fatal(err)
		}
		if was, err := RemoveLogin(dir, "my-ws"); !was || err != nil {
			t.Errorf("keyring %t: %t, %v", inKeyring, was, err)
		}
		if _, err := os.Stat(LoginPath(dir, "my-ws")); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
	if _, err := keyring.Get(keyringService, "my-ws"); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("left in the keyring: %v", err)
	}
	if err := keyring.Set(keyringService, "my-ws", issuerKey); err != nil {
		t.Fatal(err)
	}
	write(t, LoginPath(dir, "my-ws"), "rubbish", 0o600)
	if was, err := RemoveLogin(dir, "my-ws"); !was || err != nil {
		t.Errorf("one that can't be read: %t, %v", was, err)
	}
	if _, err := keyring.Get(keyringService, "my-ws"); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("left in the keyring by one that can't be read: %v", err)
	}
	write(t, LoginPath(dir, "my-ws"), `{"base":"https://h","workspace":"my-ws","api_key_in_keyring":true}`, 0o600)
	keyring.MockInitWithError(errors.New("no bus"))
	if was, err := RemoveLogin(dir, "my-ws"); !was || !errors.Is(err, ErrNoKeyring) {
		t.Errorf("without its keyring: %t, %v", was, err)
	}
}

func TestKeyInTheKeyring(t *testing.T) {
	keyring.MockInit()
	path := LoginPath(t.TempDir(), "my-ws")
	want := Login{Base: "https://h/api", Workspace: "my-ws", Key: issuerKey, Keyring: true, KeyExpires: pasteNow, Place: somewhere}
	if err := WriteLogin(path, want); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), issuerKey) {
		t.Errorf("the file holds the key: %v", err)
	}
	if got, err := ReadLogin(path); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if err := keyring.Delete(keyringService, "my-ws"); err != nil {
		t.Fatal(err)
	}
	var e *FileError
	if _, err := ReadLogin(path); !errors.Is(err, ErrNotInKeyring) || !errors.As(err, &e) {
		t.Error(err)
	}
	// A login into the file takes back what the one before left in the keyring.
	if err := WriteLogin(path, want); err != nil {
		t.Fatal(err)
	}
	want.Keyring = false
	if err := WriteLogin(path, want); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Get(keyringService, "my-ws"); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("left in the keyring: %v", err)
	}
	if got, err := ReadLogin(path); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNoKeyring(t *testing.T) {
	keyring.MockInitWithError(errors.New("dial unix /run/user/1000/bus: no such file or directory " + issuerKey))
	path := LoginPath(t.TempDir(), "my-ws")
	err := WriteLogin(path, Login{Base: "https://h/api", Workspace: "my-ws", Key: issuerKey, Keyring: true})
	if !errors.Is(err, ErrNoKeyring) || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
	silent(t, err)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a login without its key was written: %v", err)
	}
	write(t, path, `{"base":"https://h","workspace":"my-ws","api_key_in_keyring":true}`, 0o600)
	p := &Platform{LoginFile: path}
	_, err = p.Retrieve(t.Context())
	var e *PlatformError
	if !errors.As(err, &e) || e.Kind != BadLogin || !errors.Is(err, ErrNoKeyring) || p.Renews() {
		t.Error(err)
	}
	keyring.MockInitWithError(keyring.ErrSetDataTooBig)
	if err := WriteLogin(path, Login{Base: "https://h/api", Workspace: "my-ws", Key: issuerKey, Keyring: true}); err == nil || errors.Is(err, ErrNoKeyring) {
		t.Errorf("too long a key: %v", err)
	}
}

// A session bus that never answers holds nobody up for long.
func TestSilentKeyring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		hang := func() (Secret, error) { <-answer; return "late", nil }
		began := time.Now()
		if key, err := askKeyring(t.Context(), hang); !errors.Is(err, ErrNoKeyring) || key != "" || time.Since(began) != keyringPatience {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := askKeyring(ctx, hang); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		close(answer)
	})
}

// agent login asks with a key that is stored nowhere yet.
func TestPlatformWithAKeyInHand(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+issuerKey {
			t.Error("the key was not sent")
		}
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"stores":[{"object":[{"name":"my-ws","bucket":"workspaces-eodhp","prefix":"my-ws/","host":"workspaces-eodhp.s3.eu-west-2.amazonaws.com"}]}]}`)
			return
		}
		_, _ = io.WriteString(w, fillIn(`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2999-11-23T19:08:46Z"}`))
	})
	p := &Platform{Base: srv.URL, Workspace: "my-ws", Key: func(context.Context) (Secret, error) { return issuerKey + "\n", nil }, HTTP: srv.Client()}
	loc, err := p.Discover(t.Context())
	if err != nil || loc != (Location{Bucket: "workspaces-eodhp", Prefix: "my-ws/", Region: "eu-west-2"}) {
		t.Errorf("%+v, %v", loc, err)
	}
	if c, err := p.Retrieve(t.Context()); err != nil || c.AccessKeyID != pasteID || !p.Renews() || !p.Dedicated() {
		t.Error(err)
	}
	p.Key = func(context.Context) (Secret, error) { return "", errors.New("nobody typed one") }
	var e *PlatformError
	if _, err := p.Retrieve(t.Context()); !errors.As(err, &e) || e.Kind != BadLogin || p.Renews() {
		t.Error(err)
	}
}

// A running agent takes up a login made meanwhile, in its file or in the keyring.
func TestProviderTakesUpALogin(t *testing.T) {
	for name, inKeyring := range map[string]bool{"file": false, "keyring": true} {
		t.Run(name, func(t *testing.T) {
			keyring.MockInit()
			srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, fillIn(`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2999-11-23T19:08:46Z"}`))
			})
			path := LoginPath(filepath.Join(t.TempDir(), "logins"), "my-ws")
			src := &Platform{LoginFile: path, Workspace: "my-ws", HTTP: srv.Client()}
			p := New(Options{Sources: []Source{src}})
			defer p.Close()
			_, err := src.Retrieve(t.Context())
			var e *PlatformError
			if !errors.As(err, &e) || e.Kind != NoLogin || p.Renews() {
				t.Fatalf("before the login: %v", err)
			}
			if _, err := p.Retrieve(t.Context()); !errors.Is(err, ErrNone) {
				t.Fatal(err)
			}
			if err := WriteLogin(path, Login{Base: srv.URL, Workspace: "my-ws", Key: issuerKey, Keyring: inKeyring}); err != nil {
				t.Fatal(err)
			}
			mustWait(t, p, pasteID)
			if !p.Renews() {
				t.Error("there is a login now")
			}
		})
	}
}

// What only people can change keeps a login from renewing until it is changed.
func TestPlatformRenews(t *testing.T) {
	var status, asked atomic.Int32
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if s := status.Load(); s != http.StatusOK {
			http.Error(w, "no", int(s))
			return
		}
		_, _ = io.WriteString(w, fillIn(`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T"}`))
	})
	p := &Platform{LoginFile: login(t, Login{Base: srv.URL, Workspace: "w", Key: issuerKey}), HTTP: srv.Client()}
	for _, c := range []struct {
		status int32
		want   bool
	}{{503, true}, {401, false}, {503, true}, {404, false}, {200, true}} {
		status.Store(c.status)
		if err := WriteLogin(p.LoginFile, Login{Base: srv.URL, Workspace: "w", Key: issuerKey, KeyExpires: time.Unix(int64(asked.Load())*1e6, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Retrieve(t.Context()); (err == nil) != (c.status == 200) || p.Renews() != c.want {
			t.Errorf("%d: renews %t, %v", c.status, p.Renews(), err)
		}
		n := asked.Load()
		if _, err := p.Retrieve(t.Context()); (err == nil) != (c.status == 200) || (asked.Load() == n) != (c.status == 401) {
			t.Errorf("%d: asked once more %d times, %v; a refused key is not tried again until it is another", c.status, asked.Load()-n, err)
		}
	}
	key := filepath.Join(t.TempDir(), "key")
	byFile := &Platform{Base: srv.URL, Workspace: "w", KeyFile: key, HTTP: srv.Client()}
	if byFile.Renews() {
		t.Error("there is no key file")
	}
	write(t, key, issuerKey, 0o600)
	if !byFile.Renews() {
		t.Error("there is a key file")
	}
}
