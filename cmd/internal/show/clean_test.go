package show

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"agent/transfer"
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

// fit wants text that no terminal obeys: printable, but for what is allowed.
func fit(t *testing.T, what, text, allowed string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is not UTF-8: %q", what, text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return !strconv.IsPrint(r) && !strings.ContainsRune(allowed, r) }); i >= 0 {
		t.Errorf("%s: %q at %d of %q", what, text[i:min(len(text), i+8)], i, text)
	}
}

// FuzzViews: whatever names, reasons, errors and settings hold, no way to show
// them lets a terminal obey any of it.
func FuzzViews(f *testing.F) {
	f.Add("k", "/p", "text")
	f.Add("\x1b[2J", "/\xff\n\x1b]0;x\a", "\u009b31m\u202e\x7f")
	f.Add("\r\x00", "\u2028\u2066", "credentials: \x1bc: \xc2")
	f.Fuzz(func(t *testing.T, key, path, text string) {
		for _, mode := range []Mode{Bar, Plain, Quiet, JSON} {
			for _, dry := range []bool{false, true} {
				var out, errs stream
				o := Options{Mode: mode, DryRun: dry, Name: path, LogPath: path, Verbose: 1, Width: func() int { return 60 + len(key)%100 },
					Interval: time.Nanosecond, Explain: func(error) (string, string) { return text, text }}
				o.fill()
				v := newView(&o, &out, &errs, clock(0))
				showAll(v, key, path, text)
				fit(t, "standard output", out.String(), "\n")
				allowed := "\n"
				if mode == Bar {
					allowed = "\n\r" // with which it draws
				}
				fit(t, "standard error", errs.String(), allowed)
			}
		}
	})
}

// showAll has a view show one of each.
func showAll(v view, key, path, text string) {
	v.start(clock(0), Start{Job: text, Command: text, Sources: []string{path, key}, Destination: text, Version: text, Resumed: true})
	for kind := transfer.Found; kind <= transfer.Deleted; kind++ {
		for _, at := range []string{"", path} {
			v.event(clock(1), transfer.Event{Kind: kind, Key: key, Path: at, Text: text, Hint: text, Err: errors.New(text), Action: transfer.Delete})
		}
		if kind == transfer.Waiting {
			v.progress(progress{Counts: transfer.Counts{FilesFound: 1, Waiting: text}, at: clock(2)})
		}
	}
	p := progress{Counts: transfer.Counts{FilesFound: 3, FilesFailed: 1, FilesIgnored: 1, Scanned: true, Ignored: map[string]int{text: 1}}, at: clock(3)}
	v.progress(p)
	v.clear()
	v.fault(clock(4), text, text)
	v.finish(p, Ending{Exit: 1, LogPath: path})
}

// FuzzJSON: the escapes of a line change nothing of what it means.
func FuzzJSON(f *testing.F) {
	f.Add("plain", "\x1b[2J\u009b\x7f\u202e\U000e0001")
	f.Fuzz(func(t *testing.T, key, value string) {
		for _, indent := range []string{"", "  "} {
			got, err := AsJSON(map[string]any{key: value}, indent)
			if err != nil {
				t.Fatal(err)
			}
			fit(t, "line", string(got), "\n")
			var back map[string]string
			if err := json.Unmarshal(got, &back); err != nil || back[strings.ToValidUTF8(key, "\ufffd")] != strings.ToValidUTF8(value, "\ufffd") && utf8.ValidString(key+value) {
				t.Errorf("%q became %q, %v", key+value, back, err)
			}
		}
	})
}
