package prompt

import (
	"strings"
	"testing"
)

// typed is what a text becomes of bytes, by the rules of Paste.
func typed(k *keys, in string) string {
	var b strings.Builder
	names := map[key]string{
		keyEnter: "⏎", keyErase: "⌫", keyForget: "<U>", keyEnd: "<D>", keyInterrupt: "<C>",
		keyPasteBegan: "[", keyPasteEnded: "]",
	}
	for i := range len(in) {
		switch key := k.next(in[i]); key {
		case keyNone:
		case keyText:
			b.WriteByte(in[i])
		default:
			b.WriteString(names[key])
		}
	}
	return b.String()
}

func TestKeys(t *testing.T) {
	for in, want := range map[string]string{
		"ab c":                              "ab c",
		"a\rb\nc\r\nd\r\re\n\n":             "a⏎b⏎c⏎d⏎⏎e⏎⏎",
		"a\x7f\x08\x15\x04\x03":             "a⌫⌫<U><D><C>",
		"a\x00\x01\tb":                      "a\tb",
		"é€":                                "é€",
		"\x1b[200~a\x15\x04\x7fb\x1b[201~":  "[a\x15\x04\x7fb]",
		"\x1b[200~a\r\x1b[201~\nb":          "[a⏎]⏎b",
		"\x1b[200~\x03":                     "[<C>",
		"x\x1b[A\x1b[1;5D\x1bOPy":           "xy",
		"x\x1b[Iy\x1b[Oz":                   "xyz", // focus comes and goes
		"\x1bx":                             "x",   // the Escape key, then a key
		"\x1b\x1b[200~a\x1b[201~":           "[a]",
		"\x1b[20\x1b[200~a\x1b[201~":        "[a]",
		"\x1b[20\rx":                        "⏎x",
		"\x1b[" + strings.Repeat("1", 40):   strings.Repeat("1", 26),
		"\x1b[200~\x1bOP\x1b[31mq\x1b[201~": "[OPq]",
	} {
		if got := typed(new(keys), in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzKeys: a marked text without Escape, ^C and line ends stays as it is,
// whatever came before it.
func FuzzKeys(f *testing.F) {
	f.Add("", "AWS_SESSION_TOKEN=IQoJ")
	f.Add("\x1b[2", "x\x04y")
	f.Add("\r", "\x15")
	f.Fuzz(func(t *testing.T, before, text string) {
		if strings.ContainsAny(text, "\x1b\x03\r\n") {
			t.Skip("nothing is promised of such a text")
		}
		var k keys
		typed(&k, before)
		want := "[" + text + "]"
		if got := typed(&k, "\x1b[200~"+text+"\x1b[201~"); got != want || k.pasting {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestText(t *testing.T) {
	var x text
	for _, c := range []byte(strings.Repeat("a", 3000) + "é€") {
		x.add(c)
	}
	x.erase()
	x.erase()
	if want := strings.Repeat("a", 3000); string(x.b) != want {
		t.Errorf("%q", x.b)
	}
	x.forget()
	x.erase()
	if rest := strings.Trim(string(x.b[:cap(x.b)]), "\x00"); rest != "" {
		t.Errorf("%q left", rest)
	}
}
