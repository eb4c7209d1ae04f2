package prompt

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestHidden(t *testing.T) {
	for name, c := range map[string]struct {
		typed, want string
		err         error
	}{
		"5,000 bytes":      {secret[:5000] + "\r", secret[:5000], nil},
		"^D":               {"Zq\x04", "Zq", nil},
		"^D, nothing":      {"\x04", "", ErrNoInput},
		"Enter, nothing":   {"\r", "", nil},
		"backspaces":       {"Zxy\x7f\x08q€\x7f1\r", "Zq1", nil},
		"too many":         {"x\x7f\x7f\x7fZq\r", "Zq", nil},
		"^U":               {"Zr\x15Zq\r", "Zq", nil},
		"more than a line": {"Zq1\rZq2\rZq3\r", "Zq1", nil},
		"marked anyway":    {marks("Zq\n"), "Zq", nil},
		"too long":         {strings.Repeat("Zq", most), "", ErrTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			a := r.ask(func(term *Terminal) (string, error) { return term.Hidden(t.Context(), question) })
			r.typeIn(c.typed)
			r.want(a, c.want, c.err)
			r.await("\r\n")
			r.left()
		})
	}
}

func TestHiddenCancelled(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := r.ask(func(t *Terminal) (string, error) { return t.Hidden(ctx, question) })
	r.typeIn("Zq")
	cancel()
	r.want(c, "", context.Canceled)
	r.left()
}

func TestLine(t *testing.T) {
	for typed, want := range map[string]answer{
		"eu-west-1\r":       {"eu-west-1", nil},
		"\n":                {"", nil},
		"a\x7feu\r":         {"eu", nil},
		"eu\x04-west\x04\r": {"eu-west", nil},
		"eu\x04\x04":        {"eu", nil},
		"\x04":              {"", ErrNoInput},
	} {
		t.Run(strconv.Quote(typed), func(t *testing.T) {
			r := newRig(t)
			c := r.ask(func(term *Terminal) (string, error) { return term.Line(t.Context(), question) })
			r.typeIn(typed)
			r.want(c, want.text, want.err)
			r.left()
		})
	}
}

// What is pasted for several questions answers them.
func TestLinesAhead(t *testing.T) {
	r := newRig(t)
	c := r.ask(func(term *Terminal) (string, error) {
		a, err := term.Line(t.Context(), question)
		if err != nil {
			return "", err
		}
		b, err := term.Line(t.Context(), "and? ")
		return a + b, err
	})
	r.typeIn("one\rtwo\r")
	r.want(c, "onetwo", nil)
	r.left()
}

func TestLineCancelled(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := r.ask(func(t *Terminal) (string, error) { return t.Line(ctx, question) })
	r.typeIn("half")
	r.await("half")
	cancel()
	r.want(c, "", context.Canceled)
	r.left()
}

// Files that do not wait work as well: another process may have made them so.
func TestNonblocking(t *testing.T) {
	r := newRig(t)
	if err := unix.SetNonblock(int(r.slave.Fd()), true); err != nil {
		t.Fatal(err)
	}
	c := r.ask(func(term *Terminal) (string, error) { return term.Hidden(t.Context(), question) })
	r.typeIn("Zq\r")
	r.want(c, "Zq", nil)
}
