package creds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// home is an empty home without any AWS setting, and returns the paths of the
// config and the credentials file.
func home(t *testing.T) (conf, cred string) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	dir := t.TempDir()
	conf, cred = filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	t.Setenv("AWS_CONFIG_FILE", conf)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", cred)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return conf, cred
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func section(name, id string) string {
	return fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", name, id, planted)
}

func setEnvKeys(t *testing.T, id string) {
	t.Setenv("AWS_ACCESS_KEY_ID", id)
	t.Setenv("AWS_SECRET_ACCESS_KEY", planted)
	t.Setenv("AWS_SESSION_TOKEN", planted)
}

// usual are the environment, unless a profile is named, and the SDK's chain.
func usual(profile string) []Source {
	chain := &Chain{Profile: profile}
	if profile != "" {
		return []Source{chain}
	}
	return []Source{Environment{}, chain}
}

func TestPrecedence(t *testing.T) {
	_, cred := home(t)
	write(t, cred, section("default", "FILE")+section("other", "OTHER"), 0o600)
	setEnvKeys(t, "ENV")

	p := New(Options{Sources: usual("")})
	defer p.Close()
	mustWait(t, p, "ENV")
	refuse(p, "ENV", "ExpiredToken")
	mustWait(t, p, "FILE") // the dead key does not hide the file

	named := New(Options{Sources: usual("other")})
	defer named.Close()
	mustWait(t, named, "OTHER")

	t.Setenv("AWS_PROFILE", "other")
	third := New(Options{Sources: usual("")})
	defer third.Close()
	mustWait(t, third, "ENV")
	refuse(third, "ENV", "ExpiredToken")
	mustWait(t, third, "OTHER")
}

func TestEnvironment(t *testing.T) {
	home(t)
	if _, err := (Environment{}).Retrieve(t.Context()); err == nil {
		t.Error("an empty environment gives credentials")
	}
	setEnvKeys(t, "ENV")
	t.Setenv("AWS_CREDENTIAL_EXPIRATION", "2026-11-23T19:08:46Z")
	c, err := Environment{}.Retrieve(t.Context())
	if err != nil || !c.CanExpire || c.Expires.Hour() != 19 {
		t.Errorf("%v, expires %v", err, c.Expires)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if _, err := (Environment{}).Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "AWS_SECRET_ACCESS_KEY") {
		t.Errorf("half a pair: %v", err)
	}
}

func TestRewrittenFileIsSeen(t *testing.T) {
	_, cred := home(t)
	write(t, cred, section("default", "OLD"), 0o600)
	var events told
	p := New(Options{Sources: usual(""), Event: events.take})
	defer p.Close()
	mustWait(t, p, "OLD")
	refuse(p, "OLD", "ExpiredToken")
	short, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if _, err := p.Wait(short); !errors.Is(err, ErrNone) {
		t.Fatalf("the refused key is back: %v", err)
	}
	write(t, cred, section("default", "NEW")+"\n", 0o600)
	mustWait(t, p, "NEW")
	p.Close()
	noSecret(t, &events)
	if events.kinds() != "WG" {
		t.Errorf("events %q", events.kinds())
	}
}

func TestEnvironmentsDeadKeyNeverBecomesTheMachinesRole(t *testing.T) {
	conf, _ := home(t)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/role")
	setEnvKeys(t, "ENV")
	for _, text := range []string{"", "[default]\nregion = eu-west-2\n"} {
		write(t, conf, text, 0o600)
		if _, err := (&Chain{}).Retrieve(t.Context()); !errors.Is(err, errNoFiles) {
			t.Errorf("with config %q: %v", text, err)
		}
	}
}

func TestNoSourceAtAll(t *testing.T) {
	home(t)
	if _, err := (&Chain{}).Retrieve(t.Context()); !errors.Is(err, errNoRole) {
		t.Errorf("%v", err)
	}
}

func process(t *testing.T, conf, body string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the script is for sh")
	}
	script := filepath.Join(filepath.Dir(conf), "issue.sh")
	write(t, script, "#!/bin/sh\n"+body, 0o700)
	write(t, conf, "[default]\ncredential_process = "+script+"\n", 0o600)
}

func TestCredentialProcessRotates(t *testing.T) {
	conf, _ := home(t)
	n := filepath.Join(filepath.Dir(conf), "n")
	process(t, conf, fmt.Sprintf(`echo x >> %q; k=$(wc -l < %q | tr -d ' ')
echo "{\"Version\":1,\"AccessKeyId\":\"PROC$k\",\"SecretAccessKey\":\"%s\",\"SessionToken\":\"%s\",\"Expiration\":\"2999-01-01T00:00:00Z\"}"`,
		n, n, planted, planted))
	p := New(Options{Sources: usual("")})
	defer p.Close()
	mustWait(t, p, "PROC1")
	refuse(p, "PROC1", "ExpiredToken")
	mustWait(t, p, "PROC2")
	if i, _ := p.Info(); i.Expires.Year() != 2999 {
		t.Errorf("Info = %+v", i)
	}
}

func TestCredentialProcessLeaksNothing(t *testing.T) {
	conf, _ := home(t)
	good, _ := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": planted})
	for name, body := range map[string]string{
		"cut":        fmt.Sprintf("echo '%s'", good[:len(good)-1]),
		"type":       fmt.Sprintf(`echo '{"Version":"%s"}'`, planted),
		"version":    fmt.Sprintf(`echo '{"Version":2,"SecretAccessKey":"%s"}'`, planted),
		"expiration": fmt.Sprintf(`echo '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"%s","Expiration":"soon"}'`, planted),
		"exit":       fmt.Sprintf(`echo '%s'; exit 3`, good),
	} {
		process(t, conf, body)
		_, err := (&Chain{}).Retrieve(t.Context())
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), planted) {
			t.Errorf("%s: %v", name, err)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), planted) {
				t.Errorf("%s: what it wraps shows the secret: %v", name, e)
			}
		}
	}
}

// A process that leaves a child with its output open must not keep Close waiting.
func TestCloseEndsCredentialProcess(t *testing.T) {
	conf, _ := home(t)
	process(t, conf, "exec 2>/dev/null\nsleep 30 &\nsleep 30\n") // else the child holds the test's stderr too
	p := New(Options{Sources: usual("")})
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _ = p.Wait(short)
	began := time.Now()
	p.Close()
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("Close took %v", d)
	}
}

func TestConfigErrors(t *testing.T) {
	conf, cred := home(t)
	write(t, cred, section("default", "A"), 0o600)
	var c *ConfigError
	if _, err := LoadSettings(t.Context(), "nobody", nil); !errors.As(err, &c) || c.Profile != "nobody" || !strings.Contains(err.Error(), cred) {
		t.Errorf("unknown profile: %v", err)
	}
	for name, text := range map[string]string{
		"utf-16":  "[\x00d\x00e\x00f\x00",
		"bom":     "\xef\xbb\xbf[default]\n",
		"open":    "[default\nregion = x\n",
		"outside": "aws_secret_access_key = " + planted + "\n[default]\n",
	} {
		write(t, conf, text, 0o600)
		_, err := (&Chain{}).Retrieve(t.Context())
		if !errors.As(err, &c) || c.File != conf || strings.Contains(err.Error(), planted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	write(t, conf, "", 0o600)
	write(t, cred, "[default]\naws_secret_access_key = "+planted+"\n", 0o600)
	if _, err := (&Chain{}).Retrieve(t.Context()); !errors.As(err, &c) || c.Profile != "default" || strings.Contains(err.Error(), planted) || strings.Contains(err.Error(), "\n") {
		t.Errorf("half a pair in a file: %v", err)
	}
}

func TestLoadSettings(t *testing.T) {
	conf, _ := home(t)
	write(t, conf, `[default]
region = eu-west-2
endpoint_url = http://all
services = mine
[services mine]
s3 =
  endpoint_url = http://s3
[profile plain]
endpoint_url = http://plain
`, 0o600)
	ask := func(profile string) Settings {
		t.Helper()
		s, err := LoadSettings(t.Context(), profile, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := ask(""); s != (Settings{Region: "eu-west-2", Endpoint: "http://s3"}) {
		t.Errorf("default: %+v", s)
	}
	if s := ask("plain"); s != (Settings{Endpoint: "http://plain"}) {
		t.Errorf("plain: %+v", s)
	}
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ENDPOINT_URL", "http://env")
	if s := ask("plain"); s != (Settings{Region: "us-east-1", Endpoint: "http://env"}) {
		t.Errorf("environment: %+v", s)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://env-s3")
	if s := ask(""); s.Endpoint != "http://env-s3" {
		t.Errorf("environment for S3: %+v", s)
	}
	t.Setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
	if s := ask(""); s.Endpoint != "" {
		t.Errorf("ignored: %+v", s)
	}
}

type wrapped struct{ *http.Client }

func (wrapped) Buildable() *awshttp.BuildableClient { return awshttp.NewBuildableClient() }

// The SDK takes AWS_CA_BUNDLE into one type of client only, and fails with others.
func TestBundleAndOwnClient(t *testing.T) {
	_, cred := home(t)
	write(t, cred, section("default", "A"), 0o600)
	t.Setenv("AWS_CA_BUNDLE", filepath.Join("testdata", "ca.pem"))
	if _, err := (&Chain{HTTP: wrapped{http.DefaultClient}}).Retrieve(t.Context()); err != nil {
		t.Error(err)
	}
	if s, err := LoadSettings(t.Context(), "", nil); err != nil || s.CABundle == "" {
		t.Errorf("%+v, %v", s, err)
	}
}
