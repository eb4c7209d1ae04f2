package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agent/journal"
	"agent/transfer"
)

func TestSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "12h": 12 * time.Hour, "1d12h": 36 * time.Hour, "50m": 50 * time.Minute, "2w": 14 * 24 * time.Hour,
		"1.5h": 90 * time.Minute, "10 min": 10 * time.Minute, "90s": 90 * time.Second, "1H": time.Hour,
	} {
		var s span
		if err := s.Set(text); err != nil || time.Duration(s) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(s), err)
		}
	}
	for _, text := range []string{"", "90", "d", "-1h", "0s", "0.5s", "1y", "1h-", "999999999w", "1h 1x", "1e3h", ".h"} {
		var s span
		if err := s.Set(text); err == nil {
			t.Errorf("%q: %v", text, time.Duration(s))
		}
	}
	for want, d := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "36h": 36 * time.Hour, "50m": 50 * time.Minute, "1m30s": 90 * time.Second, "": 0} {
		s := span(d)
		if got := s.String(); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}

func TestWhatIsKeptOfACommand(t *testing.T) {
	root := rootCommand("x", std{})
	for args, want := range map[string]string{
		"upload|a b|ws/p": "upload|a b|ws/p | ",
		"upload|-qvv|--parallel|3|--restart|a|ws/p|--dry-run=false":   "upload|-qvv|--parallel|3|a|ws/p | ",
		"upload|--credential-process|k --secret 1|--on-wait=x|a|ws/p": "upload|a|ws/p | --credential-process|--on-wait",
		"upload|a|ws/p|--credential-process":                          "upload|a|ws/p | --credential-process",
		"upload|--log-file=x|--|--on-wait|ws/p":                       "upload|--log-file=x|--|--on-wait|ws/p | ",
		"upload|--part-size|--restart|a|ws/p":                         "upload|--part-size|--restart|a|ws/p | ",
		"jobs|list|--json":                                            "jobs|list|--json | ",
	} {
		kept, out := again(root, strings.Split(args, "|"))
		if got := strings.Join(kept, "|") + " | " + strings.Join(out, "|"); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", args, got, want)
		}
	}
}

func TestSettingsWithoutSecrets(t *testing.T) {
	restore := environ(map[string]string{
		"HTTPS_PROXY": "http://me:pw@proxy:3128", "http_proxy": "me:pw@proxy", "NO_PROXY": "localhost,.me",
		"AWS_ENDPOINT_URL": "https://s3.example", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "AGENT_CREDENTIAL_PROCESS": "p",
	}, func(string) bool { return true })
	kept, secret := ambient()
	restore()
	if len(kept) != 2 || kept["NO_PROXY"] != "localhost,.me" || kept["AWS_ENDPOINT_URL"] != "https://s3.example" ||
		strings.Join(secret, " ") != "HTTPS_PROXY http_proxy" {
		t.Errorf("%v, %v", kept, secret)
	}
	if os.Getenv("PATH") == "" || os.Getenv("AWS_SESSION_TOKEN") != "" {
		t.Error("the environment is not what it was")
	}
}

func TestAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, terminal := range []bool{false, true} {
			var out bytes.Buffer
			begun := time.Now()
			look := func(context.Context) (*jobView, error) {
				s := time.Since(begun)
				if s > 21*time.Second {
					return &jobView{id: "abc", last: &journal.Outcome{Exit: 5, Sums: journal.Sums{FilesLeft: 2, BytesLeft: 1 << 20, Scanned: true}}}, nil
				}
				h := &journal.Holder{Updated: time.Now(), Progress: journal.Progress{FilesDone: 1, FilesFound: 3, BytesDone: int64(s.Seconds()) << 20, BytesFound: 40 << 20}}
				if s > 15*time.Second {
					h.Progress.Waiting = "credentials: over\x1b"
				}
				return &jobView{id: "abc", busy: true, holder: h}, nil
			}
			a := attaching{w: &out, terminal: terminal, look: look}
			v, _ := look(t.Context())
			err := a.run(t.Context(), v)
			var shown *shownError
			if !errors.As(err, &shown) || shown.code != 5 {
				t.Error(err)
			}
			want := "1/3 files  0 B/40.0 MiB\n" +
				"1/3 files  10.0 MiB/40.0 MiB  1.00 MiB/s\n" +
				`1/3 files  20.0 MiB/40.0 MiB  waiting for credentials: over\x1b` + "\n" +
				"job abc is unfinished: store was away; 0 files, 0 B stored, left: 2 files, 1.00 MiB\n"
			if !terminal && out.String() != want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), want)
			}
			if terminal && (strings.Count(out.String(), "\r\x1b[K") != 12 || !strings.Contains(out.String(), "\r\x1b[Kjob abc is")) {
				t.Errorf("%q", out.String())
			}
		}
	})
}

// As JSON it tells whenever the run does, and how that ended.
func TestAttachAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, people bytes.Buffer
		begun := time.Now()
		look := func(context.Context) (*jobView, error) {
			if time.Since(begun) > 7*time.Second {
				return &jobView{id: "abc", last: &journal.Outcome{Exit: 6}}, nil
			}
			told := begun.Add(time.Since(begun).Truncate(4 * time.Second)) // slower than it is looked at
			return &jobView{id: "abc", busy: true, holder: &journal.Holder{Updated: told}}, nil
		}
		v, _ := look(t.Context())
		a := attaching{w: &people, json: &out, look: look}
		var shown *shownError
		if err := a.run(t.Context(), v); !errors.As(err, &shown) || shown.code != 6 {
			t.Error(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 3 || !strings.Contains(lines[0], `"state":"running"`) || !strings.Contains(lines[2], `"state":"unfinished","why":"stopped on purpose"`) {
			t.Errorf("%s", out.String())
		}
		if people.Len() > 0 {
			t.Errorf("beside it: %s", people.String())
		}
	})
}

func TestAttachEndsWithItsContextAndWithoutTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		held := &jobView{busy: true}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		a := attaching{w: &out, look: func(context.Context) (*jobView, error) { return held, nil }}
		if err := a.run(ctx, held); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		a.look = func(context.Context) (*jobView, error) { return nil, nil }
		if err := a.run(t.Context(), held); err != nil || out.String() != "the job was removed\n" {
			t.Error(err, out.String())
		}
	})
}

func TestStates(t *testing.T) {
	finished := journal.Glance{Mark: transfer.Mark{Finished: true}}
	for want, v := range map[string]*jobView{
		"running":                         {busy: true},
		"waiting network":                 {busy: true, holder: &journal.Holder{Progress: journal.Progress{Waiting: "network"}}},
		"unreadable bad":                  {fault: errors.New("bad"), glance: finished},
		"unfinished cut short":            {holder: &journal.Holder{}, glance: finished, last: &journal.Outcome{}},
		"finished":                        {glance: finished},
		"unfinished its journal was lost": {last: &journal.Outcome{}},
		"unfinished no credentials came":  {glance: finished, last: &journal.Outcome{Exit: 4}},
		"unfinished stopped on purpose":   {last: &journal.Outcome{Exit: 6}},
		"unfinished 3 failed":             {last: &journal.Outcome{Exit: 1, Sums: journal.Sums{FilesFailed: 3}}},
		"unfinished nothing was deleted: no file was found in /x": {last: &journal.Outcome{Exit: 1, Error: "nothing was deleted: no file was found in /x"}},
		"unfinished exit code 99":                                 {last: &journal.Outcome{Exit: 99}},
	} {
		state, why := v.state()
		if got := strings.TrimSpace(state + " " + why); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
