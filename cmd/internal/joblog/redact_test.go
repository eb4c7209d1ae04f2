package joblog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

const (
	planted = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	token   = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQ=="
)

func TestWhatLooksLikeACredentialIsGone(t *testing.T) {
	header := http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=x/20261123, Signature=" + planted}, "X-Amz-Security-Token": {token}}
	for name, text := range map[string]string{
		"presigned":        "GET https://s3.example/b/k?X-Amz-Security-Token=" + url.QueryEscape(token) + "&X-Amz-Date=2026",
		"signature":        "https://s3.example/b/k?a=b&X-Amz-Signature=" + url.QueryEscape(planted),
		"credential":       "x-amz-credential=" + url.QueryEscape(planted) + "&y=z",
		"header":           "Authorization: AWS4-HMAC-SHA256 Credential=A, SignedHeaders=host, Signature=" + planted,
		"header map":       fmt.Sprint(header),
		"header map go":    fmt.Sprintf("%#v", header),
		"dump in quotes":   fmt.Sprintf("%q", "x-amz-security-token: "+token+"\r\nAuthorization: Bearer "+planted+"\r\nHost: x"),
		"bearer":           "sent Bearer " + token,
		"environment":      "AWS_SECRET_ACCESS_KEY=" + planted,
		"export":           `export AWS_SESSION_TOKEN="` + token + `"`,
		"credentials file": "aws_secret_access_key = " + planted,
		"json":             `{"SecretAccessKey":"` + planted + `","SessionToken": "` + token + `"}`,
		"json in json":     `{\"SecretAccessKey\":\"` + planted + `\"}`,
		"xml":              "<SecretAccessKey>" + planted + "</SecretAccessKey><SessionToken>" + token + "</SessionToken>",
		"prose":            "the secret access key: " + planted,
		"userinfo":         "proxy http://me:" + url.QueryEscape(planted) + "@proxy:3128/",
		"userinfo raw":     "proxy http://me:" + planted + "@proxy:3128/",
		"userinfo digits":  "proxy http://me:12" + planted + "@proxy:3128/",
	} {
		got := new(Redactor).String(text)
		for _, s := range []string{planted, token, url.QueryEscape(planted), url.QueryEscape(token)} {
			if strings.Contains(got, s) {
				t.Errorf("%s: %s", name, got)
			}
		}
		if !strings.Contains(got, gone) {
			t.Errorf("%s: nothing marks the place: %s", name, got)
		}
	}
}

func TestWhatIsNoCredentialStays(t *testing.T) {
	for _, s := range []string{
		"PutObject: AuthorizationHeaderMalformed: The authorization header is malformed",
		"https://s3.example:9000/bucket/me@home",
		"http://[::1]:9000/bucket/me@home",
		"token 42 min", "my-session-tokens.csv", "ASIA/map.tif",
	} {
		if got := new(Redactor).String(s); got != s {
			t.Errorf("%s became %s", s, got)
		}
	}
}

func TestKeyIdsAreShortened(t *testing.T) {
	if got := new(Redactor).String("key ASIAIOSFODNN7EXAMPLE is dead"); got != "key ASIA…MPLE is dead" {
		t.Error(got)
	}
}

func TestRegisteredSecretsInEverySpelling(t *testing.T) {
	var r Redactor
	secret := `p<a"s+s/w=rd&` + "\u00fc"
	r.Redact(secret + "\n")
	r.Redact("tiny") // too short to be looked for
	for _, s := range []string{secret, url.QueryEscape(secret), strings.ToLower(url.QueryEscape(secret)),
		url.PathEscape(secret), fmt.Sprintf("%q", secret), `p\u003ca\"s+s/w=rd\u0026` + "\u00fc"} {
		if got := r.String("a " + s + " b"); !strings.Contains(got, gone) || strings.Contains(got, "rd") {
			t.Errorf("%s became %s", s, got)
		}
	}
	if got := r.String("tiny steps"); got != "tiny steps" {
		t.Error(got)
	}
}

func TestALongerSecretLeavesNoEnd(t *testing.T) {
	var r Redactor
	r.Redact("abcdefgh")
	r.Redact("abcdefghTAIL")
	if got := r.String("abcdefghTAIL"); got != gone {
		t.Error(got)
	}
}

func TestALineThatIsTooLongIsLeftOut(t *testing.T) {
	var r Redactor
	var out bytes.Buffer
	w := r.Writer(&out)
	for range 3 {
		if _, err := w.Write(make([]byte, longest/2)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write([]byte("end\nnext\nopen")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "[a line of more than 1 MiB was left out]\nnext\nopen" {
		t.Errorf("%q", got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestWriterTakesAllWhateverHappensBehind(t *testing.T) {
	n, err := new(Redactor).Writer(full{}).Write([]byte("one\ntwo"))
	if n != 7 || err == nil {
		t.Error(n, err)
	}
}

// A planted secret never comes through, wherever the writes are split.
func FuzzWriter(f *testing.F) {
	f.Add("before ", " after\n", uint16(3), uint16(20))
	f.Add("Authorization: ", "\r\nx: y\n", uint16(1), uint16(1))
	f.Add("http://a:", "@b", uint16(0), uint16(9))
	f.Add("\\", "\"\n\n\xff", uint16(7), uint16(8))
	f.Fuzz(func(t *testing.T, before, after string, i, j uint16) {
		var r Redactor
		r.Redact(planted)
		var out bytes.Buffer
		w := r.Writer(&out)
		s := before + planted + after
		a, b := int(i)%(len(s)+1), int(j)%(len(s)+1)
		a, b = min(a, b), max(a, b)
		for _, piece := range []string{s[:a], s[a:b], s[b:]} {
			if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
			if got := out.String(); got != "" && !strings.HasSuffix(got, "\n") {
				t.Fatalf("half a line: %q", got)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), planted) {
			t.Fatalf("the secret came through: %q", out.String())
		}
	})
}

// TestCutSecret proves that of a secret whose end was cut off, as a server's words are
// cut to a length, nothing of use is left; also where several begin alike.
func TestCutSecret(t *testing.T) {
	var r Redactor
	begin := "IQoJb3JpZ2luX2VjEPL/////" + strings.Repeat("A", 30)
	var all []string
	for i := range 3 {
		all = append(all, begin+strings.Repeat(fmt.Sprintf("%c+/b", 'k'+i), 250+i))
		r.Redact(all[i])
	}
	for i, secret := range all {
		for name, text := range map[string]string{
			"raw": secret, "query": url.QueryEscape(secret), "hex": fmt.Sprintf("%x", secret), "base64": base64.StdEncoding.EncodeToString([]byte("x" + secret)),
		} {
			for _, n := range []int{40, 60, 200, 500, len(text)} {
				got := r.String("said <" + text[:n] + "…>")
				if left := strings.ReplaceAll(strings.TrimPrefix(got, "said "), gone, ""); !strings.Contains(got, gone) || len(left) > len("<…>")+6 {
					t.Errorf("%d, %d bytes of %s: %s", i, n, name, got)
				}
			}
		}
	}
}

// A server may repeat a secret in another spelling, with whatever around it.
func TestSpellingsOfASecret(t *testing.T) {
	const secret = "wJalr/XUtn+FEMI=K7 MDENG\"bPx"
	for name, text := range map[string]string{
		"raw": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret), "quoted": strconv.Quote(secret),
		"hex": fmt.Sprintf("%x", secret), "HEX": fmt.Sprintf("%X", secret),
		"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "Basic": base64.StdEncoding.EncodeToString([]byte("user:" + secret)),
		"base64url": base64.URLEncoding.EncodeToString([]byte("a" + secret + "bc")), "raw base64": base64.RawURLEncoding.EncodeToString([]byte("ab" + secret)),
	} {
		var r Redactor
		r.Redact(secret)
		got := r.String("said <" + text + ">")
		if !strings.Contains(got, gone) || strings.Contains(got, text) {
			t.Errorf("%s: %s", name, got)
		}
		// What is left is less than a few characters at each end.
		if left := strings.ReplaceAll(strings.TrimPrefix(got, "said "), gone, ""); len(left) > len("<user:>")+6 {
			t.Errorf("%s: %q is left", name, left)
		}
	}
	var r Redactor
	r.Redact(secret)
	if got := r.String("nothing of it"); got != "nothing of it" {
		t.Error(got)
	}
}
