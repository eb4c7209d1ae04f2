//go:build linux

package main

import (
	"strings"
	"testing"
)

// FuzzManifest: a line of a manifest is a claim about an object, or an error
// that repeats little of it.
func FuzzManifest(f *testing.F) {
	for _, s := range []string{
		`{"path":"a","key":"ws/a","size":1,"crc64nvme":"rosUhgp5mIg=","etag":"e"}`, `{"key":"a","size":-1}`, `{"key":"a"}`, `{`, ``, `[]`, `null`,
		`{"key":"a","size":1e99}`, `{"key":"\u001b[2J","size":0,"crc64nvme":"="}`, `{"key":"a","size":1,"crc64nvme":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := parseManifestLine(line)
		if err != nil {
			if len(err.Error()) > 200 {
				t.Errorf("%d bytes: %.200s", len(err.Error()), err)
			}
			return
		}
		if c.Key == "" || c.Size < 0 || c.Err != nil {
			t.Errorf("%q is %+v", line, c)
		}
	})
}

// FuzzShellWord: a word that is quoted for a shell ends where it should, and is
// never more than one.
func FuzzShellWord(f *testing.F) {
	for _, s := range []string{"", "a", "a b", "it's", "$(x)`y`", "\n", "-x", "~", "a\x00b", "!", "*", "'\\''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if got := shellReads(shellWord(word)); got != word {
			t.Errorf("%q is quoted %q, which is %q", word, shellWord(word), got)
		}
	})
}

// shellReads is what a POSIX shell makes of a word in single quotes, or of one that
// needs none; "?" of what it would split, expand or not end.
func shellReads(text string) string {
	var b strings.Builder
	if text == "" {
		return "?"
	}
	quoted := false
	for ; text != ""; text = text[1:] {
		switch c := text[0]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
			b.WriteByte(c)
		case c == '\\' && len(text) > 1:
			text = text[1:]
			b.WriteByte(text[0])
		case strings.IndexByte(" \t\n|&;<>()$`\\\"*?[#~!{}", c) >= 0:
			return "?"
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "?"
	}
	return b.String()
}
