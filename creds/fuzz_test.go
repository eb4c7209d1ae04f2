package creds

import (
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
)

// FuzzLocate: whatever the platform says of a workspace, what is taken of it is a
// bucket, a region and an endpoint, or nothing.
func FuzzLocate(f *testing.F) {
	for _, s := range []string{
		`{"stores":[{"object":[{"name":"my-ws","bucket":"b-1","prefix":"my-ws/","host":"b-1.s3.eu-west-2.amazonaws.com","access_point_arn":"arn:aws:s3:eu-west-2:1:accesspoint/x"}]}]}`,
		`{"stores":[{"object":[{"bucket":"b-1","host":"user:pass@evil.example/x"}]}]}`, `{"stores":[{"object":[{"bucket":"../b","prefix":"//"}]}]}`,
		`{"stores":[{"object":[{"bucket":"b-1","access_point_arn":"a:b:c:x eu-west-2.evil.example/"}]}]}`, `{"stores":[{"object":[{"bucket":"bb","prefix":"\u001b[2J\u009b"}]}]}`,
		`{"stores":[{}]}`, `{"stores":null}`, `[]`, "<html>", "", strings.Repeat(`{"stores":[`, 40), "{\"stores\":[{\"object\":[{\"bucket\":\"\xff\"}]}]}",
	} {
		f.Add([]byte(s), "my-ws")
	}
	f.Fuzz(func(t *testing.T, body []byte, name string) {
		loc, err := locate(body, name)
		if err != nil {
			if loc != (Location{}) || len(err.Error()) > 100 {
				t.Errorf("%+v, %v", loc, err)
			}
			return
		}
		sound(t, loc)
		if loc.Bucket == "" {
			t.Error("no bucket, and no error")
		}
	})
}

// sound wants a location that can be asked and printed.
func sound(t *testing.T, loc Location) {
	t.Helper()
	if loc.Bucket != "" && !bucketName.MatchString(loc.Bucket) || loc.Region != "" && !regionName.MatchString(loc.Region) {
		t.Errorf("%+v", loc)
	}
	if loc.Prefix != "" && (!strings.HasSuffix(loc.Prefix, "/") || strings.HasPrefix(loc.Prefix, "/")) || strings.ContainsFunc(loc.Prefix, unicode.IsControl) {
		t.Errorf("prefix %q", loc.Prefix)
	}
	if loc.Endpoint == "" {
		return
	}
	if u, err := url.Parse(loc.Endpoint); err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		t.Errorf("endpoint %q: %v", loc.Endpoint, err)
	}
}

// FuzzIssuerPlace: likewise of what an issuer says beside the credentials, and of
// what people write in its file.
func FuzzIssuerPlace(f *testing.F) {
	f.Add("b-1", "p", "eu-west-2", "s3.example")
	f.Add("B", "/p//", "a/b", "http://user@host")
	f.Add("", "\x1b[2J", "eu\r\nHost: evil", "://")
	f.Add("b.b", "..", "evil.example#", "https://[::1]:9000/x?y")
	f.Fuzz(func(t *testing.T, bucket, prefix, region, endpoint string) {
		if loc, err := (Location{Bucket: bucket, Prefix: prefix, Region: region, Endpoint: endpoint}).normal(); err == nil {
			sound(t, loc)
		}
	})
}

// FuzzJudge: whatever the platform answers, it is taken for good only where it
// can be, and neither key nor control characters come out of its words.
func FuzzJudge(f *testing.F) {
	for _, status := range []int{200, 204, 302, 401, 403, 404, 405, 500, 503, 999} {
		for _, kind := range []string{"application/json", "text/html", "text/plain", ""} {
			f.Add(status, kind, []byte("operation error STS: ExpiredTokenException "+issuerKey), false)
			f.Add(status, kind, []byte("<html>\x1b[2J\u009b31m\xff"), true)
		}
	}
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte, tokenID bool) {
		l := Login{Key: issuerKey, Workspace: "w"}
		if tokenID {
			l.Key = uuid
		}
		a := answer{status: status, kind: kind, body: body}
		err := judge(a, nil, l)
		if err == nil {
			if status < 200 || status > 299 || a.html() {
				t.Errorf("%d %q is taken for an answer", status, kind)
			}
			return
		}
		text := err.Error()
		if shows(text, string(l.Key)) {
			t.Errorf("the key shows: %q", text)
		}
		if len(text) > 2000 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("not fit to be shown: %q", text)
		}
	})
}

// FuzzRedact: what is shown of a text has nothing of a secret in it, and nothing
// that a terminal obeys.
func FuzzRedact(f *testing.F) {
	f.Add("before "+pasteToken+" after", pasteSecret)
	f.Add("http://user:pass@host \x1b[31m", "short")
	f.Add("\xff\u202e"+issuerKey, issuerKey)
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := redact(text, Secret(secret))
		if secret != "" && got != "" && len(secret) >= tellRun && shows(got, secret) {
			t.Errorf("%q shows", got)
		}
		if len([]rune(got)) > saidLength+1 || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", got)
		}
	})
}

// FuzzExpiry: a point in time is told with its zone, or not known.
func FuzzExpiry(f *testing.F) {
	for _, s := range []string{
		"2025-02-18 16:17:54 +0000 UTC", "2025-05-14T11:23:14Z", "Mon May 19 2025", "2025-07-01 12:00:00", "1732388926", "1732388926123", "9999999999999.9",
		"Mon, 19 May 2025 12:00:00 GMT", "Mon May 19 2025 12:00:00 GMT+0100 (British Summer Time)", "2025-02-30T00:00:00Z", "0000-00-00T00:00:00+99:99",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, known := parseExpiry(text)
		if !known {
			return
		}
		if at.Location() != time.UTC || at.Year() < -1 || at.Year() > 10_000 {
			t.Errorf("%q is %v", text, at)
		}
		if again, ok := parseExpiry(at.Format(time.RFC3339)); ok && !again.Equal(at.Truncate(time.Second)) {
			t.Errorf("%q is %v, and then %v", text, at, again)
		}
	})
}

// FuzzIssuerFile: a file that describes an issuer is one, or says why it is not
// without quoting a value.
func FuzzIssuerFile(f *testing.F) {
	for _, s := range []string{
		"url = \"https://i.example/{workspace}\"\nheader_env = \"KEY\"\nbearer = true", "url = 'http://127.0.0.1/'\nbody = '{}'\nunwrap = 'a.b'",
		"token = \"PLANTED-secret-1234567890\"", "url = \"https://user:PLANTED12@h\"", "header_env = \"PLANTED1234567890abc\"", "a = [", "[url]\nx = 1", "url.x.y = 2",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		i := &Issuer{}
		err := i.decode(text)
		if err == nil {
			err = i.check()
		}
		if err != nil {
			if strings.Contains(err.Error(), "PLANTED") && !strings.Contains(text, "PLANTED=") && !quotedKey(text) {
				t.Errorf("a value shows: %v", err)
			}
			return
		}
		sound(t, i.Place)
		if _, err := checkURL(strings.ReplaceAll(i.URL, "{workspace}", "w")); err != nil || i.Bearer && i.HeaderEnv == "" && i.HeaderFile == "" {
			t.Errorf("%+v: %v", i, err)
		}
	})
}

// quotedKey reports that PLANTED may stand where keys do, which are told.
func quotedKey(text string) bool {
	for line := range strings.Lines(text) {
		key, _, ok := strings.Cut(line, "=")
		if !ok || strings.Contains(key, "PLANTED") {
			return true
		}
	}
	return false
}
