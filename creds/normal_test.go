package creds

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseJSONShapes(t *testing.T) {
	at := pasteNow
	end := time.Date(2026, 11, 23, 19, 8, 46, 0, time.UTC)
	for name, c := range map[string]struct {
		text, unwrap string
		token        bool
		end          time.Time
		assumed      bool
	}{
		"platform":    {`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2026-11-23T19:08:46Z"}`, "", true, end, false},
		"nasa":        {`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2026-11-23 19:08:46+00:00"}`, "", true, end, false},
		"cdse":        {`{"access_id":"%I","secret":"%S","expiration_date":"2026-11-23T19:08:46.123456Z"}`, "", false, end, false},
		"container":   {`{"AccessKeyId":"%I","SecretAccessKey":"%S","Token":"%T","Expiration":"2026-11-23T19:08:46Z","RoleArn":"x"}`, "", true, end, false},
		"process":     {`{"Version":1,"AccessKeyId":"%I","SecretAccessKey":"%S"}`, "", false, time.Time{}, false},
		"sts":         {`{"Credentials":{"AccessKeyId":"%I","SecretAccessKey":"%S","SessionToken":"%T","Expiration":1795460926}}`, "Credentials", true, end, false},
		"env names":   {`{"AWS_ACCESS_KEY_ID":"%I","AWS_SECRET_ACCESS_KEY":"%S","AWS_SESSION_TOKEN":"%T","expires-at":"2026-11-23 19:08:46 +0000 UTC"}`, "", true, end, false},
		"index":       {`{"a":[{},{"secret-key":"%S","access_key":"%I"}]}`, "a.1", false, time.Time{}, false},
		"zoneless":    {`{"access":"%I","secret":"%S","expiration":"2026-11-23 19:08:46"}`, "", false, at.Add(time.Hour), true},
		"odd end":     {`{"access":"%I","secret":"%S","expiration":{"a":1},"expiresAt":"soon"}`, "", false, at.Add(time.Hour), true},
		"milli":       {`{"access":"%I","secret":"%S","expiration":1795460926000}`, "", false, end, false},
		"same twice":  {`{"accessKeyId":"%I","AccessKeyID":"%I","secret":"%S"}`, "", false, time.Time{}, false},
		"bom":         {"\ufeff" + `{"access":"%I","secret":"%S"}` + "\n", "", false, time.Time{}, false},
		"null tokens": {`{"access":"%I","secret":"%S","sessionToken":null,"expiration":null}`, "", false, time.Time{}, false},
	} {
		s, err := parseJSON([]byte(fillIn(c.text)), c.unwrap, at)
		if err != nil || s.AccessKeyID != pasteID || s.SecretAccessKey != pasteSecret || (s.SessionToken == pasteToken) != c.token {
			t.Errorf("%s: %v, %v", name, s, err)
		}
		if s.CanExpire == c.end.IsZero() || !s.Expires.Truncate(time.Second).Equal(c.end) || s.Assumed != c.assumed {
			t.Errorf("%s: expires %v, assumed %t", name, s.Expires, s.Assumed)
		}
	}
}

func TestParseJSONLocation(t *testing.T) {
	text := fillIn(`{"storage":{"credentials":{"bucketname":"ws-bob","access":"%I","secret":"%S","endpoint":"https://minio.example","region":"waw3-1"}}}`)
	s, err := parseJSON([]byte(text), "storage.credentials", pasteNow)
	if err != nil || s.Bucket != "ws-bob" || s.Endpoint != "https://minio.example" || s.Region != "waw3-1" || s.CanExpire {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestParseJSONRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text, unwrap string
		want         error
		says         string
	}{
		"empty":       {" \n", "", errEmpty, ""},
		"html":        {"\n<html>PLANTED", "", errHTML, ""},
		"huge":        {strings.Repeat(" ", 10) + strings.Repeat("a", longestText+1), "", errLong, ""},
		"deep":        {strings.Repeat(`{"a":`, 100000) + "1", "", errDeep, ""},
		"text":        {"PLANTED", "", errNotJSON, ""},
		"cut":         {`{"accessKeyId":"PLANTED`, "", errNotJSON, ""},
		"two":         {`{"access":"A"} {"access":"PLANTED"}`, "", errNotJSON, ""},
		"array":       {`["PLANTED"]`, "", errNotJSON, ""},
		"no path":     {`{"a":"PLANTED"}`, "b.c", errUnwrap, ""},
		"path to str": {`{"a":"PLANTED"}`, "a", errUnwrap, ""},
		"no values":   {`{}`, "", nil, "access key id is missing; secret access key is missing"},
		"object":      {`{"accessKeyId":{"a":"PLANTED"},"secret":"PLANTED"}`, "", nil, "access key id is not a text"},
		"differ":      {`{"accessKeyId":"PLANTED1","AccessKeyID":"PLANTED2","secret":"PLANTED"}`, "", nil, "is there twice"},
		"space":       {`{"accessKeyId":"A1","secret":"PLANTED PLANTED"}`, "", nil, "secret access key (15 characters) holds a space"},
		"masked":      {`{"accessKeyId":"A1","secret":"********"}`, "", nil, "is masked"},
	} {
		_, err := parseJSON([]byte(c.text), c.unwrap, pasteNow)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		foreign(t, err)
	}
}

func TestParseExpiry(t *testing.T) {
	want := time.Date(2025, 5, 19, 12, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"2025-05-19T12:00:00Z", "2025-05-19 12:00:00 +0000 UTC", "2025-05-19 12:00:00.123456789 +0000 UTC", "2025-05-19 13:00:00+01:00",
		"2025-05-19T12:00:00.000Z", "2025-05-19 12:00 UTC", "2025-05-19T07:00:00-0500", "1747656000", "1747656000000",
		"Mon May 19 2025 13:00:00 GMT+0100 (British Summer Time)", "Mon, 19 May 2025 12:00:00 GMT", " 2025-05-19T12:00:00Z (in 1 hour)",
	} {
		if got, ok := parseExpiry(text); !ok || !got.Truncate(time.Second).Equal(want) {
			t.Errorf("%q: %v, %t", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "Mon May 19 2025", "2025-05-19 12:00:00", "2025-05-19", "19/05/2025, 12:00:00", "2025-13-45T99:00:00Z", "3600",
		"2025-05-19 12:00:00 BST", "99999999999999999999", "soon",
	} {
		if got, ok := parseExpiry(text); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"authorization header missing":                                    "authorization header missing",
		"operation error STS: AssumeRoleWithWebIdentity, no":              "operation error STS: AssumeRoleWithWebIdentity, no",
		"key " + pasteID + " no":                                          "key [20 characters] no",
		"a\x1b[31m\nb\x00  c":                                             "a[31m b c",
		"proxyconnect http://bob:PLANTED@proxy:3128":                      "proxyconnect http://[user]@proxy:3128",
		"token eyJhbGciOiJIU.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4fwpMeJf36P x": "token [13 characters].[12 characters].[28 characters] x",
	} {
		if got := redact(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := redact("you sent mysecretwordsonly", "mysecretwordsonly"); got != "you sent [17 characters]" {
		t.Error(got)
	}
	if got := redact("you sent mysecretwords", "mysecretwordsonly"); got != "" {
		t.Error(got)
	}
	if got := redact(strings.Repeat("wörter ", 100)); len([]rune(got)) != saidLength+1 {
		t.Error(len(got))
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, text := range []string{
		`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2026-11-23T19:08:46Z"}`,
		`{"storage":{"credentials":{"access":"%I","secret":"%S"}}}`, `{"Credentials":[{"Access_Id":1}]}`, "[[[", `{"a":"\`, "<",
	} {
		f.Add([]byte(fillIn(text)), "")
		f.Add([]byte(fillIn(text)), "storage.credentials")
	}
	f.Fuzz(func(t *testing.T, b []byte, unwrap string) {
		s, err := parseJSON(b, unwrap, pasteNow)
		if err != nil {
			foreign(t, err)
			return
		}
		if s.AccessKeyID == "" || s.SecretAccessKey == "" || damage(s.AccessKeyID) != "" {
			t.Error("half a set")
		}
	})
}
