package show

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"/data/Größe 漢字.tif":     "/data/Größe 漢字.tif",
		`C:\Users\me "x"`:        `C:\Users\me "x"`,
		"a\nb\rc\td":             `a\nb\rc\td`,
		"\x1b[2J\x1b]0;title\a":  `\x1b[2J\x1b]0;title\a`,
		"\u009b31m":              `\u009b31m`,
		"fdp.\u202egpj":          `fdp.\u202egpj`,
		"a\u2066b\u200fc\ufeff":  `a\u2066b\u200fc\ufeff`,
		"\xff\x00\x0a":           `\xff\x00\n`,
		"caf\xe9":                `caf\xe9`,
		"\ufffd is a character":  "\ufffd is a character",
		"no\u00a0break\u2028end": `no\u00a0break\u2028end`,
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[31m", "\xff\xfe", "\u202e\u009b", "a\\b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return !strconv.IsPrint(r) }); i >= 0 {
			t.Errorf("%q is not printable at %d", got, i)
		}
		if Clean(got) != got {
			t.Errorf("%q is cleaned again", got)
		}
		if clean(s) && got != s {
			t.Errorf("%q was clean and became %q", s, got)
		}
		for _, n := range []int{0, 1, 5, 80} {
			if c := clip(got, n); columns(c) > n {
				t.Errorf("%q takes more than %d columns", c, n)
			}
		}
	})
}
