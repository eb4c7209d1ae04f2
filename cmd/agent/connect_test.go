//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"agent/cmd/internal/dest"
	"agent/creds"
)

func TestScopeOf(t *testing.T) {
	logins := []creds.Login{
		{Workspace: "sea", Place: creds.Location{Bucket: "shared", Prefix: "sea/"}},
		{Workspace: "own", Place: creds.Location{Bucket: "of-its-own"}},
	}
	for arg, want := range map[string]string{
		"land/path":               "land",
		"s3://shared/sea/2026":    "sea",
		"s3://shared/sea":         "sea",
		"s3://shared/seaside/x":   "s3://shared",
		"s3://common/land/x":      "land",
		"s3://common/NotOne/x":    "s3://common",
		"s3://common":             "s3://common",
		"s3://of-its-own/x":       "s3://of-its-own",
		"s3://somebody-elses/sea": "s3://somebody-elses",
	} {
		d, err := dest.Parse(arg, "common")
		if err != nil {
			t.Fatal(err)
		}
		if got := scopeOf(d, "common", logins); got != want {
			t.Errorf("%s: %s, want %s", arg, got, want)
		}
	}
}

func TestKeyEnd(t *testing.T) {
	now := time.Date(2026, 11, 24, 15, 0, 0, 0, time.Local)
	day := time.Date(2026, 12, 24, 0, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"2026-12-24": day, " 24 Dec 2026 ": day, "December 24, 2026": day, "Thu Dec 24 2026": day,
		"2026-12-24T10:00:00Z": time.Date(2026, 12, 24, 10, 0, 0, 0, time.UTC),
		"2026-11-24":           time.Date(2026, 11, 24, 0, 0, 0, 0, time.Local), // today: it may live on for hours
	} {
		if got, err := keyEnd(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "tomorrow", "24/12/2026", "2026-11-22", "2026-13-01"} {
		_, err := keyEnd(text, now)
		var m *dest.Mistake
		if !errors.As(err, &m) || m.Hint == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What a shell gets from a set without a token or an end must not keep those of
// the one before.
func TestPrintEnv(t *testing.T) {
	var b bytes.Buffer
	c := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "it's $a/secret"}
	if err := printEnv(&b, c); err != nil {
		t.Fatal(err)
	}
	want := "export AWS_ACCESS_KEY_ID=AKIDEXAMPLE\nexport AWS_SECRET_ACCESS_KEY='it'\\''s $a/secret'\nunset AWS_SESSION_TOKEN\nunset AWS_CREDENTIAL_EXPIRATION\n"
	if got := b.String(); got != want {
		t.Errorf("%s", got)
	}
}

// Nobody watches a unit that waits for a day; whoever watches units sees one that
// failed.
func TestKeyPatience(t *testing.T) {
	us := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		systemd  string
		terminal bool
		asked    time.Duration
		want     time.Duration
	}{
		{"", true, 0, 0},
		{"", false, 0, 24 * time.Hour},
		{us, false, 0, 10 * time.Minute},
		{us + "0", false, 0, 24 * time.Hour}, // the unit's shell, say
		{us, false, time.Minute, time.Minute},
		{us, true, 0, 0},
	} {
		t.Setenv("SYSTEMD_EXEC_PID", c.systemd)
		task := &task{terminal: c.terminal, o: uploadOptions{runOptions: runOptions{waitCreds: c.asked}}}
		if got := task.keyPatience(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
