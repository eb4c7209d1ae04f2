package prompt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// secret is a long one. Nothing else here has Zq in it.
var secret = strings.Repeat("Zq9", 2000)

// lines counts what came, and is content with n of them.
func lines(n int) func(string) (bool, string) {
	return func(text string) (bool, string) {
		got := len(strings.Fields(text))
		return got == n, fmt.Sprintf("%d of %d", got, n)
	}
}

func marks(s string) string { return "\x1b[200~" + s + "\x1b[201~" }

func (r *rig) want(c <-chan answer, text string, err error) {
	r.t.Helper()
	a := <-c
	if a.text != text || !errors.Is(a.err, err) {
		r.t.Errorf("%q, %v; want %q, %v", short(a.text), a.err, short(text), err)
	}
	if a.err != nil && strings.Contains(a.err.Error(), "Zq") {
		r.t.Errorf("%q tells the secret", a.err)
	}
}

func short(s string) string {
	if len(s) < 60 {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", s[:20], len(s))
}

func TestPasteLong(t *testing.T) {
	whole := func(text string) (bool, string) { return len(text) >= len(secret), "" }
	for name, typed := range map[string]string{"marked": marks(secret), "plain": secret} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			c := r.paste(t.Context(), whole)
			r.typeIn(typed)
			r.want(c, secret, nil)
			r.left()
		})
	}
}

// What comes right after the end is not for the shell, though it is more than
// a terminal holds at once.
func TestPasteTail(t *testing.T) {
	r := newRig(t)
	c := r.paste(t.Context(), func(string) (bool, string) { return true, "thanks" })
	r.typeIn(marks("Zq") + strings.Repeat("\rZq", 7000) + "\r")
	r.await("thanks")
	r.want(c, "Zq", nil)
	r.left()
}

// Marks may come in pieces.
func TestPasteSplit(t *testing.T) {
	r := newRig(t)
	seen := make(chan string, 10)
	c := r.paste(t.Context(), func(text string) (bool, string) {
		seen <- text
		return text == "Zq\nZq", ""
	})
	// A mark that stays a half is nothing.
	r.typeIn("\rx\x7f\x1b[20")
	if got := <-seen; got != "\n" {
		t.Errorf("judged %q", got)
	}
	r.typeIn("\x15")
	if got := <-seen; got != "" {
		t.Errorf("judged %q", got)
	}
	for _, piece := range []string{"\x1b", "[2", "00~Zq\r", "\nZq", "\x1b[2", "0", "1", "~"} {
		r.typeIn(piece)
		// It is read before the next is typed.
		for n := 1; n > 0; {
			n, _ = unix.IoctlGetInt(int(r.slave.Fd()), unix.TIOCINQ)
		}
	}
	r.want(c, "Zq\nZq", nil)
	if got := <-seen; got != "Zq\nZq" || len(seen) > 0 {
		t.Errorf("judged %q, and %d times more", got, len(seen))
	}
	r.left()
}

func TestPasteOneByOne(t *testing.T) {
	for name, typed := range map[string][]string{
		"marked, no line ends": {marks("Zq1"), marks("Zq2"), marks("Zq3")},
		"marked, with Enter":   {marks("Zq1") + "\r", marks("Zq2\r"), marks("Zq3")},
		"plain, with Enter":    {"Zq1\r", "Zq2\r", "Zq3\r"},
		"a name, then a value": {"Z" + marks("q1"), marks("Zq2"), marks("Zq3")},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			c := r.paste(t.Context(), lines(3))
			for i, s := range typed {
				r.typeIn(s)
				r.await(fmt.Sprintf("%d of 3\r\n", i+1))
			}
			a := <-c
			if got := strings.Join(strings.Fields(a.text), " "); got != "Zq1 Zq2 Zq3" || a.err != nil {
				t.Errorf("%q, %v", a.text, a.err)
			}
			if r.shows(question) != 1 || r.shows(" of 3") != 3 {
				t.Errorf("the screen is %q", r.screen)
			}
			r.left()
		})
	}
}

// The same is not said twice.
func TestPasteSaysOnce(t *testing.T) {
	r := newRig(t)
	judged := make(chan string, 1)
	c := r.paste(t.Context(), func(text string) (bool, string) {
		judged <- text
		return len(text) == 3, "more"
	})
	for range 3 {
		r.typeIn("\r")
		<-judged
	}
	r.want(c, "\n\n\n", nil)
	if n := r.shows("more"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestPasteForget(t *testing.T) {
	r := newRig(t)
	c := r.paste(t.Context(), lines(2))
	r.typeIn("Zq1\r")
	r.await("1 of 2")
	r.typeIn("\x15")
	r.await("0 of 2")
	r.typeIn("\rZq2 Zr\x7fq3\r")
	r.await("2 of 2")
	r.want(c, "\nZq2 Zq3\n", nil)
	r.left()
}

func TestPasteEnds(t *testing.T) {
	for name, c := range map[string]struct {
		typed, want string
		err         error
	}{
		"^D":                   {"Zq\x04", "Zq", nil},
		"^D after Enter":       {"Zq\r\x04", "Zq\n", nil},
		"^D, nothing":          {"\x04", "", ErrNoInput},
		"^D, nothing but ends": {"\r\r\x04", "", ErrNoInput},
		"^D, nothing left":     {"Zq\x15\x04", "", ErrNoInput},
		"too long":             {strings.Repeat("Zq", most), "", ErrTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			a := r.paste(t.Context(), nil)
			r.typeIn(c.typed)
			r.want(a, c.want, c.err)
			r.left()
		})
	}
}

// A mark that never comes is not waited for for ever, and yet longer than
// other things are.
func TestPasteMarkLost(t *testing.T) {
	r := newRig(t)
	c := r.paste(t.Context(), lines(2))
	began := time.Now()
	r.typeIn("\x1b[200~Zq\x04\r")
	r.await("1 of 2")
	if waited := time.Since(began); waited < pauseMarked {
		t.Errorf("judged after %v", waited)
	}
	r.typeIn("\x04")
	r.want(c, "Zq\x04\n", nil)
	r.left()
}

// A terminal whose ^C makes no signal gives the byte.
func TestInterruptedByte(t *testing.T) {
	r := newRig(t)
	r.before.Lflag &^= unix.ISIG
	if err := unix.IoctlSetTermios(int(r.slave.Fd()), unix.TCSETS, r.before); err != nil {
		t.Fatal(err)
	}
	c := r.paste(t.Context(), nil)
	r.typeIn("Zq\x03Zq")
	r.want(c, "", ErrInterrupted)
	r.left()

	c = r.ask(func(t *Terminal) (string, error) { return t.Hidden(context.Background(), question) })
	r.typeIn("Zq\x03")
	r.want(c, "", ErrInterrupted)
	r.left()
}

func TestPasteCancelled(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := r.paste(ctx, lines(9))
	r.typeIn("Zq1\r")
	r.await("1 of 9")
	r.typeIn("Zq2")
	cancel()
	r.want(c, "", context.Canceled)
	r.left()
}

func TestPasteHungUp(t *testing.T) {
	r := newRig(t)
	c := r.paste(t.Context(), nil)
	r.master.Close()
	if a := <-c; a.text != "" || a.err == nil {
		t.Errorf("%q, %v", a.text, a.err)
	}
}

// Terminal modes come back even if the caller's code panics.
func TestPastePanics(t *testing.T) {
	r := newRig(t)
	c := r.ask(func(t *Terminal) (text string, err error) {
		defer func() { err = recover().(error) }()
		return t.Paste(context.Background(), PasteOptions{
			Question: question,
			Complete: func(string) (bool, string) { panic(errBroken) },
		})
	})
	r.typeIn(marks("Zq"))
	r.want(c, "", errBroken)
	r.left()
}
