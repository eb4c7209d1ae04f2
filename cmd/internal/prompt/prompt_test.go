package prompt

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

var errBroken = errors.New("broken")

// broken is a reader that ends with err.
type broken struct {
	text string
	err  error
}

func (b *broken) Read(p []byte) (int, error) {
	if b.text == "" {
		if b.err == nil {
			return 0, io.EOF
		}
		return 0, b.err
	}
	n := copy(p, b.text)
	b.text = b.text[n:]
	return n, nil
}

func TestNoTerminal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, in := range []*os.File{nil, f} {
		if _, ok := New(in, io.Discard); ok {
			t.Errorf("%v is a terminal", in)
		}
	}
}

func TestReadAll(t *testing.T) {
	secret := "Zq9Zq9"
	if got, err := ReadAll(strings.NewReader(secret), 6); got != secret || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for name, r := range map[string]*broken{
		"too long": {text: secret + "Z"},
		"broken":   {text: secret, err: errBroken},
	} {
		got, err := ReadAll(r, 6)
		if got != "" || err == nil || strings.Contains(err.Error(), "Zq") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
