package creds

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// script is a program for sh.
func script(t *testing.T, body string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the script is for sh")
	}
	path := filepath.Join(t.TempDir(), "issue.sh")
	write(t, path, "#!/bin/sh\n"+body, 0o700)
	return path
}

func TestProcess(t *testing.T) {
	home(t)
	t.Setenv("AWS_PROFILE", "nobody") // it needs no profile
	t.Setenv("PROCESS_TEST", "seen")
	body := fmt.Sprintf(`echo "{\"Version\":1,\"AccessKeyId\":\"$PROCESS_TEST$1$(env | grep -c '^AWS_ACCESS_KEY_ID=.')\",\"SecretAccessKey\":\"%s\",\"Expiration\":\"2999-01-01T00:00:00Z\"}"`, planted)
	src := Process{Command: script(t, body) + " --x"}
	c, err := src.Retrieve(t.Context())
	if err != nil || c.AccessKeyID != "seen--x0" || c.SecretAccessKey != planted || !c.CanExpire {
		t.Errorf("key %s, %v", c.AccessKeyID, err)
	}
	p := New(Options{Sources: []Source{src}})
	defer p.Close()
	mustWait(t, p, "seen--x0")
	if i, _ := p.Info(); i.Source != "credential_process" || !p.Renews() {
		t.Errorf("%+v", i)
	}
}

func TestProcessErrors(t *testing.T) {
	for name, c := range map[string]struct{ command, says string }{
		"none":   {" ", "no command is given"},
		"exit":   {script(t, "echo "+planted+"; exit 3"), "exit status 3"},
		"output": {script(t, "echo "+planted), "its output is not"},
		"said":   {script(t, "echo first >&2; echo 'log in again, not with "+planted+planted+planted+planted+planted+"' >&2; exit 4"), "credential_process: exit status 4: log in again, not with [35 characters]"},
		"child":  {script(t, "echo no >&2; sleep 30 >/dev/null & exit 5"), "credential_process: exit status 5: no"},
		"absent": {filepath.Join(t.TempDir(), "none") + " 2>/dev/null", "exit status 127"},
	} {
		if c, err := (Process{Command: c.command}).Retrieve(t.Context()); err == nil || c.HasKeys() || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), planted) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := (Process{Command: c.command}).Retrieve(t.Context()); !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// A program that leaves a child with its output open ends with the context.
func TestProcessEndsWithTheContext(t *testing.T) {
	src := Process{Command: script(t, "exec 2>/dev/null\nsleep 30 &\nsleep 30\n")}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := src.Retrieve(ctx); err == nil || time.Since(began) > 15*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// Only what gives new sets by itself renews.
func TestChainRenews(t *testing.T) {
	conf, cred := home(t)
	c := &Chain{}
	ask := func(want bool) {
		t.Helper()
		if _, err := c.Retrieve(t.Context()); err != nil || c.Renews() != want {
			t.Errorf("renews %t, %v", c.Renews(), err)
		}
	}
	if c.Renews() {
		t.Error("nothing was got yet")
	}
	write(t, cred, section("default", "STATIC"), 0o600)
	ask(false)
	if runtime.GOOS == "windows" {
		return
	}
	write(t, cred, "", 0o600)
	process(t, conf, fmt.Sprintf(`echo '{"Version":1,"AccessKeyId":"A","SecretAccessKey":"%s"}'`, planted))
	ask(true)
	process(t, conf, "exit 1\n")
	if _, err := c.Retrieve(t.Context()); err == nil || !c.Renews() {
		t.Errorf("one failure: %v", err)
	}
	write(t, conf, "", 0o600)
	write(t, cred, section("default", "STATIC"), 0o600)
	ask(false)
}
