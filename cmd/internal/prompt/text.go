package prompt

import (
	"bytes"
	"unicode/utf8"
)

// text is an answer in the making. What it lets go of is cleared.
type text struct{ b []byte }

func (t *text) add(c byte) {
	if len(t.b) == cap(t.b) {
		bigger := make([]byte, len(t.b), 2*cap(t.b)+1024)
		copy(bigger, t.b)
		clear(t.b)
		t.b = bigger
	}
	t.b = append(t.b, c)
}

// erase takes back the last character.
func (t *text) erase() {
	_, n := utf8.DecodeLastRune(t.b)
	left := len(t.b) - n
	clear(t.b[left:])
	t.b = t.b[:left]
}

func (t *text) forget() {
	clear(t.b)
	t.b = t.b[:0]
}

// orNoInput is the answer when the user ended the input.
func (t *text) orNoInput() (string, error) {
	if len(bytes.TrimSpace(t.b)) == 0 {
		return "", ErrNoInput
	}
	return string(t.b), nil
}
