package creds

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEnvFile(t *testing.T) {
	src := EnvFile{Path: filepath.Join(t.TempDir(), "creds.env")}
	for name, c := range map[string]struct {
		text string
		ends bool
	}{
		"copy button": {"ACCESS_KEY_ID=%I\nSECRET_ACCESS_KEY=%S\nSESSION_TOKEN=%T", false},
		"exports":     {"# mine\nexport AWS_ACCESS_KEY_ID=\"%I\"\nexport AWS_SECRET_ACCESS_KEY=\"%S\"\nexport AWS_SESSION_TOKEN=\"%T\"\n", false},
		"page":        {labelled, true},
		"no zone":     {strings.Replace(labelled, " +0000 UTC", "", 1), false}, // a guess is no end
		"json":        {`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2999-11-23T19:00:00Z"}`, true},
		"no token":    {"ACCESS_KEY_ID=AKIA%S\nSECRET_ACCESS_KEY=%S\n", false},
	} {
		write(t, src.Path, fillIn(c.text), 0o600)
		old := time.Now().Add(-48 * time.Hour)
		if err := os.Chtimes(src.Path, old, old); err != nil {
			t.Fatal(err)
		}
		got, err := src.Retrieve(t.Context())
		if err != nil || got.SecretAccessKey != pasteSecret || got.CanExpire != c.ends || got.Expires.IsZero() == c.ends || got.Source != "env file "+src.Path {
			t.Errorf("%s: expires %t %v, %v", name, got.CanExpire, got.Expires, err)
		}
	}
	if f := src.Files(); len(f) != 1 || f[0] != src.Path {
		t.Errorf("files %v", f)
	}
}

func TestEnvFileRefuses(t *testing.T) {
	src := EnvFile{Path: filepath.Join(t.TempDir(), "creds.env")}
	if _, err := src.Retrieve(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"empty":    "",
		"rubbish":  "PLANTED " + pasteSecret,
		"half":     fillIn("ACCESS_KEY_ID=%I\nSECRET_ACCESS_KEY=%S\n"),
		"masked":   fillIn("ACCESS_KEY_ID=%I\nSECRET_ACCESS_KEY=********\nSESSION_TOKEN=%T"),
		"unquoted": fillIn("ACCESS_KEY_ID=%I\nSECRET_ACCESS_KEY=\"%S\nSESSION_TOKEN=%T"),
	} {
		write(t, src.Path, text, 0o600)
		_, err := src.Retrieve(t.Context())
		var e *FileError
		if !errors.As(err, &e) || e.Path != src.Path {
			t.Errorf("%s: %v", name, err)
		}
		silent(t, err)
	}
	write(t, src.Path, fillIn(labelled), 0o600)
	if err := os.Chmod(src.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Retrieve(t.Context()); othersAreToldApart() && !errors.Is(err, ErrShared) {
		t.Errorf("others can read it: %v", err)
	}
}
