package creds

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

const (
	pasteID     = "ASIATNVEVQ7EXAMPLE12"
	pasteSecret = "eeLV8zQ+PLANTEDsecret/1234567890abcdEFGH"
)

var (
	pasteToken = "IQoJb3JpZ2luX2VjEGgaCWV1LXdlc3" + strings.Repeat("PLANTED0a+/Zz9Qk", 48) + "=="
	pasteNow   = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)
)

// fillIn writes the three values into a template.
func fillIn(text string) string {
	return strings.NewReplacer("%I", pasteID, "%S", pasteSecret, "%T", pasteToken).Replace(text)
}

// wrapAt breaks every line as a terminal of that width does.
func wrapAt(text string, width int) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		for len(line) > width {
			out, line = append(out, line[:width]), line[width:]
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

const labelled = "Access Key ID: %I\nSecret Access Key: %S\nSession Token: %T\nExpiration: 2026-11-23 19:00:00 +0000 UTC"

func TestParsePasteSpellings(t *testing.T) {
	const bare = "ACCESS_KEY_ID=%I\nSECRET_ACCESS_KEY=%S\nSESSION_TOKEN=%T"
	const jsonText = `{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T","expiration":"2026-11-23T19:00:00Z"}`
	const python = "s3 = boto3.client(\n‘s3’,\naws_access_key_id=’%I’,\naws_secret_access_key=’%S’,\naws_session_token=’%T’\n)\nbucket_name = ‘workspaces-eodhp’\n"
	const env = "export AWS_ACCESS_KEY_ID=\"%I\"\nexport AWS_SECRET_ACCESS_KEY=\"%S\"\nexport AWS_SESSION_TOKEN=\"%T\"\n"
	for name, c := range map[string]struct {
		text string
		told bool // the end is told with its zone
	}{
		"labels":            {labelled, true},
		"labels RFC 3339":   {strings.Replace(labelled, " 19:00:00 +0000 UTC", "T19:00:00Z", 1), true},
		"labels browser":    {strings.Replace(labelled, "2026-11-23 19:00:00 +0000 UTC", "Mon Nov 23 2026 20:00:00 GMT+0100 (CET)", 1), true},
		"labels offset":     {strings.Replace(labelled, "19:00:00 +0000 UTC", "20:00:00+01:00", 1), true},
		"labels epoch":      {strings.Replace(labelled, "2026-11-23 19:00:00 +0000 UTC", "1795460400", 1), true},
		"labels date":       {strings.Replace(labelled, "2026-11-23 19:00:00 +0000 UTC", "Mon May 19 2025", 1), false},
		"labels no zone":    {strings.Replace(labelled, " +0000 UTC", "", 1), false},
		"labels no expiry":  {strings.Split(labelled, "\nExp")[0], false},
		"labels e.g.":       {strings.ReplaceAll(labelled, ": ", ": e.g. "), true},
		"labels CRLF":       {strings.ReplaceAll(labelled, "\n", "\r\n"), true},
		"labels NBSP":       {strings.ReplaceAll(labelled, " ", "\u00a0"), true},
		"labels one line":   {strings.ReplaceAll(labelled, "\n", " "), true},
		"labels tabs":       {strings.ReplaceAll(labelled, ": ", "\t"), true},
		"labels below":      {strings.ReplaceAll(labelled, ": ", "\n"), true},
		"labels far below":  {strings.ReplaceAll(labelled, ": ", ":\n\n"), true},
		"labels buttons":    {strings.ReplaceAll(labelled, "\n", "\nCopy\n") + "\nClose\n", true},
		"labels words":      {strings.ReplaceAll(labelled, "\nExp", "\nWarning\nThese are temporary.\nExp"), true},
		"labels quoted":     {regexp.MustCompile(`: (%.)`).ReplaceAllString(labelled, `: “$1”`), true},
		"labels bullets":    {"- " + strings.ReplaceAll(labelled, "\n", "\n- "), true},
		"labels escapes":    {"\x1b[200~\x1b[1m" + labelled + "\x1b[0m\x1b[201~", true},
		"labels bom":        {"\ufeff" + labelled, true},
		"copy button":       {bare, false},
		"copy button CRLF":  {strings.ReplaceAll(bare, "\n", "\r\n") + "\r\n", false},
		"env with end":      {bare + "\nEXPIRATION=2026-11-23T19:00:00Z\n", true},
		"env spaces":        {strings.ReplaceAll(bare, "=", " = "), false},
		"env AWS":           {"AWS_" + strings.ReplaceAll(bare, "\n", "\nAWS_") + "\nAWS_REGION=eu-west-2\n", false},
		"env AWS end":       {"AWS_" + strings.ReplaceAll(bare, "\n", "\nAWS_") + "\nAWS_CREDENTIAL_EXPIRATION=2026-11-23T19:00:00Z", true},
		"env security":      {strings.Replace(bare, "SESSION", "SECURITY", 1), false},
		"env comments":      {strings.ReplaceAll(bare, "\n", " # mine\n"), false},
		"env order":         {"SESSION_TOKEN=%T\nSECRET_ACCESS_KEY=%S\nACCESS_KEY_ID=%I", false},
		"env one line":      {strings.ReplaceAll(bare, "\n", " "), false},
		"export":            {env, false},
		"export curly":      {strings.NewReplacer(`="`, "=“", "\"\n", "”\n").Replace(env), false},
		"export unquoted":   {strings.ReplaceAll(env, `"`, ""), false},
		"export one line":   {strings.ReplaceAll(env, "\n", " && "), false},
		"export semicolons": {strings.ReplaceAll(strings.ReplaceAll(env, `"`, ""), "\n", "; "), false},
		"export twice":      {env + env, false},
		"ini":               {"[default]\n" + strings.ToLower("AWS_ACCESS_KEY_ID") + " = %I\naws_secret_access_key = %S\naws_session_token = %T\nregion = eu-west-2\n", false},
		"powershell":        {"$env:AWS_ACCESS_KEY_ID=\"%I\"\n$Env:AWS_SECRET_ACCESS_KEY = '%S'\n$env:AWS_SESSION_TOKEN=\"%T\"", false},
		"cmd":               {"set AWS_ACCESS_KEY_ID=%I\r\nSET \"AWS_SECRET_ACCESS_KEY=%S\"\r\nsetx AWS_SESSION_TOKEN \"%T\"", false},
		"csh and fish":      {"setenv AWS_ACCESS_KEY_ID %I\nset -gx AWS_SECRET_ACCESS_KEY %S\nsetenv AWS_SESSION_TOKEN '%T'", false},
		"aws configure":     {"aws configure set aws_access_key_id %I\naws configure set aws_secret_access_key %S\naws configure set aws_session_token %T", false},
		"docker":            {"docker run -e AWS_ACCESS_KEY_ID=%I -e AWS_SECRET_ACCESS_KEY=%S \\\n -e AWS_SESSION_TOKEN=%T img", false},
		"python curly":      {python, false},
		"python straight":   {strings.NewReplacer("‘", "'", "’", "'").Replace(python), false},
		"python one line":   {strings.ReplaceAll(python, "\n", " "), false},
		"json":              {jsonText, true},
		"json curly":        {strings.NewReplacer(`{"`, "{“", `":"`, "”: “", `","`, "”,\n“", `"}`, "”}").Replace(jsonText), true},
		"json of sts":       {`{"Credentials":{"AccessKeyId":"%I","SecretAccessKey":"%S","SessionToken":"%T","Expiration":"2026-11-23T19:00:00+00:00"}}`, true},
		"json after prompt": {"$ curl -s https://x\n" + jsonText, true},
		"json last comma":   {strings.Replace(jsonText, `Z"}`, `Z",}`, 1), true},
		"yaml":              {"access_key_id: %I\nsecret_access_key: \"%S\"\nsession_token: %T", false},
	} {
		t.Run(name, func(t *testing.T) {
			same := func(text string) {
				t.Helper()
				s, err := ParsePaste(text, pasteNow)
				if err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				if s.AccessKeyID != pasteID || s.SecretAccessKey != pasteSecret || s.SessionToken != pasteToken {
					t.Errorf("got %q %q %q", s.AccessKeyID, s.SecretAccessKey, s.SessionToken)
				}
				if want := pasteNow.Add(time.Hour); !s.CanExpire || !s.Expires.Equal(want) || s.Assumed == c.told {
					t.Errorf("expires %v, assumed %t", s.Expires, s.Assumed)
				}
				if !Complete(text) {
					t.Error("not complete")
				}
			}
			text := fillIn(c.text)
			same(text)
			if name == "labels NBSP" {
				same("\u200b" + strings.ReplaceAll(text, pasteToken[:9], pasteToken[:5]+"\u200b\u00ad"+pasteToken[5:9]))
			}
		})
	}
}

func TestParsePasteJoinsWraps(t *testing.T) {
	for name, text := range map[string]string{
		"labels":    labelled,
		"button":    "ACCESS_KEY_ID=%I\nSECRET_ACCESS_KEY=%S\nSESSION_TOKEN=%T",
		"last":      "SESSION_TOKEN=%T\nACCESS_KEY_ID=%I\nexport SECRET_ACCESS_KEY=%S\n",
		"indented":  "  " + strings.ReplaceAll(labelled, "\n", "\n  "),
		"python":    "c('s3', aws_access_key_id='%I', aws_secret_access_key='%S', aws_session_token='%T')",
		"json":      `{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T"}`,
		"one quote": `export AWS_ACCESS_KEY_ID=%I AWS_SECRET_ACCESS_KEY=%S AWS_SESSION_TOKEN="%T"`,
	} {
		for _, width := range []int{72, 80, 97, 120, 211} {
			s, err := ParsePaste(wrapAt(fillIn(text), width), pasteNow)
			if name == "python" || name == "json" || name == "one quote" {
				// A wrap may part a label too: then nothing but a refusal is right.
				if err == nil && (s.SessionToken != pasteToken || s.SecretAccessKey != pasteSecret) {
					t.Errorf("%s at %d: a wrong value", name, width)
				}
				if err != nil {
					t.Logf("%s at %d: %v", name, width, err)
				}
				continue
			}
			if err != nil || s.SessionToken != pasteToken || s.SecretAccessKey != pasteSecret {
				t.Errorf("%s at %d: %v, token of %d, want %d", name, width, err, len(s.SessionToken), len(pasteToken))
			}
		}
	}
}

func TestParsePasteRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {" \n\u200b", "is empty"},
		"prose":        {"Log in to your account.", "has no credentials"},
		"html":         {"<!DOCTYPE html><p>Access Key ID: " + pasteID, "web page"},
		"huge":         {strings.Repeat("a", longestText+1), "1 MiB"},
		"no secret":    {fillIn("Access Key ID: %I\nSession Token: %T"), "secret access key is missing"},
		"no token":     {fillIn("Access Key ID: %I\nSecret Access Key: %S"), "session token is missing"},
		"empty token":  {fillIn("ACCESS_KEY_ID=plain\nSECRET_ACCESS_KEY=%S\nSESSION_TOKEN="), "session token is missing"},
		"only id":      {fillIn("ACCESS_KEY_ID=%I"), "secret access key is missing; session token is missing"},
		"masked":       {fillIn("Access Key ID: %I\nSecret Access Key: ••••••••\nSession Token: %T"), "secret access key (8 characters) is masked"},
		"cut":          {fillIn("Access Key ID: %I\nSecret Access Key: %S\nSession Token: IQoJb3JpZ2lu…"), "session token (13 characters) is cut short"},
		"open quote":   {fillIn("aws_access_key_id='%I', aws_secret_access_key='%S', aws_session_token='%T"), "no closing quote"},
		"space":        {fillIn(strings.Replace(labelled, "%T", "%T %T", 1)), "holds a space"},
		"two sets":     {fillIn(labelled) + "\n" + strings.ReplaceAll(fillIn(labelled), "eeLV8", "other"), "twice"},
		"ragged wraps": {fillIn("Access Key ID: %I\nSecret Access Key: %S\nSession Token: %T\nabc1\nabcdefgh2"), "may go on"},
		"json null":    {`{"accessKeyId":"MINIOUSER1","secretAccessKey":null}`, "secret access key is missing"},
		"binary":       {"ACCESS_KEY_ID=\xff\xfePLANTED12\nSECRET_ACCESS_KEY=PLANTED99", "access key id"},
	} {
		_, err := ParsePaste(c.text, pasteNow)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err != nil {
			foreign(t, err)
		}
		if Complete(c.text) {
			t.Errorf("%s is complete", name)
		}
	}
}

func TestParsePasteKeysWithoutToken(t *testing.T) {
	s, err := ParsePaste("access_key: MINIOUSER1\nsecret_key: minio-secret-PLANTED", pasteNow)
	if err != nil || s.CanExpire || s.Assumed || s.AccessKeyID != "MINIOUSER1" {
		t.Errorf("%v, %v", s, err)
	}
	if Complete("access_key: MINIOUSER1\nsecret_key: minio-secret-PLANTED") {
		t.Error("complete without a token: it may still come")
	}
}

func TestParsePasteUTF16(t *testing.T) {
	b := []byte("\xff\xfe")
	for _, u := range utf16.Encode([]rune(fillIn(labelled))) {
		b = append(b, byte(u), byte(u>>8))
	}
	if s, err := ParsePaste(string(b), pasteNow); err != nil || s.SessionToken != pasteToken {
		t.Errorf("%v", err)
	}
}

// The whole help page holds two examples; neither may be taken for the other.
func TestParsePasteHelpPage(t *testing.T) {
	page := "Access Key ID & Secret Access Key: These work together as your username and password.\n" +
		"Session Token: This is an extra security token needed to verify your session.\n" +
		"Expiration: This tells you when the credentials will no longer be valid.\n"
	if _, err := ParsePaste(page, pasteNow); err == nil {
		t.Error("prose gives a set")
	}
	if s, err := ParsePaste(fillIn(labelled)+"\n\n"+page, pasteNow); err != nil || s.SessionToken != pasteToken || s.Assumed {
		t.Errorf("with prose around it: %v", err)
	}
}

// A sixteenth of the longest text is enough to tell linear time, of a second at
// most, from the square of it.
func TestParsePasteIsQuickOnRubbish(t *testing.T) {
	for _, unit := range []string{"session_token=", "Session Token: ", "'", "a\n", "aws_access_key_id ", "e.g. ", "\x1b["} {
		began := time.Now()
		if _, err := ParsePaste(strings.Repeat(unit, longestText/16/len(unit)), pasteNow); err == nil {
			t.Errorf("%q gives a set", unit)
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("%q took %v", unit, d)
		}
	}
}

func TestSetAndSecretShowNothing(t *testing.T) {
	s, err := ParsePaste(fillIn(labelled), pasteNow)
	if err != nil {
		t.Fatal(err)
	}
	secret := Secret(pasteSecret)
	type holder struct {
		S Set
		K Secret
		P *Secret
	}
	h := holder{s, secret, &secret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{s, &s, secret, h, &h, []Set{s}, map[string]Secret{"a": secret}} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, "PLANTED") || strings.Contains(strings.ToLower(out), fmt.Sprintf("%x", "PLANTED")) {
				t.Errorf("%s of %T shows it: %s", verb, v, out)
			}
		}
	}
	b, err := json.Marshal(h)
	if err != nil || strings.Contains(string(b), "PLANTED") || !strings.Contains(string(b), "40 characters") {
		t.Errorf("%s, %v", b, err)
	}
}

// vocabulary is every word that errors about a paste may consist of. That no
// other word is in them is stronger than that no value is.
var vocabulary = func() map[string]bool {
	words := map[string]bool{}
	for _, text := range []string{
		nameID, nameSecret, nameToken, missing, "characters",
		"is there twice, with different values: paste one set", "is not a text",
		"is masked: use the page's copy button", "is cut short", "holds a space", "holds a character that no key has",
		"has no closing quote: the text is cut short",
		"may go on in the next line: copy it again, without line breaks",
		errEmpty.Error(), errLong.Error(), errHTML.Error(), errNotJSON.Error(), errDeep.Error(), errUnwrap.Error(), errNoValues.Error(),
	} {
		for _, w := range wordsOf(text) {
			words[w] = true
		}
	}
	return words
}()

func wordsOf(text string) []string {
	return regexp.MustCompile(`[^\s;:,()0-9]+`).FindAllString(text, -1)
}

func foreign(t *testing.T, err error) {
	t.Helper()
	for _, w := range wordsOf(err.Error()) {
		if !vocabulary[w] {
			t.Errorf("the error holds %q: %v", w, err)
		}
	}
	if digits := regexp.MustCompile(`\d{8,}`); digits.MatchString(err.Error()) {
		t.Errorf("the error holds digits: %v", err)
	}
}

func FuzzParsePaste(f *testing.F) {
	for _, text := range []string{
		labelled, strings.ReplaceAll(labelled, ": ", ": e.g. "), "ACCESS_KEY_ID=%I\nSECRET_ACCESS_KEY=%S\nSESSION_TOKEN=%T",
		"aws_access_key_id=’%I’,\naws_secret_access_key=’%S’,\naws_session_token=’%T’", "$env:AWS_ACCESS_KEY_ID=\"%I",
		`{"accessKeyId":"%I","secretAccessKey":"%S","sessionToken":"%T"}`, "\xff\xfea\x00", "<html>", "Session Token:\n\n=\n'",
	} {
		f.Add(fillIn(text))
		f.Add(wrapAt(fillIn(text), 80))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParsePaste(text, pasteNow)
		if err != nil {
			foreign(t, err)
			if Complete(text) {
				t.Error("complete, and an error")
			}
			return
		}
		if s.AccessKeyID == "" || s.SecretAccessKey == "" || damage(s.AccessKeyID+s.SecretAccessKey+s.SessionToken) == "holds a space" {
			t.Error("half a set")
		}
		if s.SessionToken != "" && !s.CanExpire {
			t.Error("a temporary set without an end")
		}
		if strings.HasPrefix(strings.TrimSpace(plain(text)), "{") {
			return // what JSON spells by escapes is in no text
		}
		whole := strings.Join(strings.Fields(plain(text)), "")
		for _, v := range []string{s.AccessKeyID, s.SecretAccessKey, s.SessionToken} {
			if !strings.Contains(whole, v) {
				t.Errorf("a value of %d characters that was not pasted", len(v))
			}
		}
	})
}
