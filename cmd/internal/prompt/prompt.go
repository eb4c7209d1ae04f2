// Package prompt asks a person on a terminal: for a line, for a line nobody
// should see, and for a pasted text of several lines.
//
// It knows terminals and bytes, and nothing of what the answers mean. They may
// be secret: no error and no output has any of them, but for the echo of a
// Line, which is the terminal's own. Buffers are cleared after use.
package prompt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// most is how long an answer may be, in bytes.
const most = 1 << 20

// ErrInterrupted says that the user pressed ^C where the terminal makes no
// signal of it: on Windows, and where its signals were off.
var ErrInterrupted = errors.New("interrupted")

// ErrNoInput says that the user ended the input (^D, or the end of file)
// without giving any.
var ErrNoInput = errors.New("no input")

// ErrTooLong says that there was more input than an answer can have.
var ErrTooLong = errors.New("the input is too long")

// Terminal is one to ask on. It takes one question at a time.
//
// While a question is open the terminal may be in other modes. They are
// restored when the method returns, so signals that should end a program are
// to end the ctx first: one that kills it at once leaves them as they are.
type Terminal struct {
	in  *device
	out io.Writer
}

// New is the terminal read from in; out has to show on the same one. It is
// false if in is none.
func New(in *os.File, out io.Writer) (*Terminal, bool) {
	if in == nil || !term.IsTerminal(int(in.Fd())) {
		return nil, false
	}
	return &Terminal{in: newDevice(in), out: out}, true
}

// Foreground says that a question would be seen now: this process is of the
// terminal's foreground group. Asked elsewhere, a question waits until it is.
//
// On a terminal that is not the process's controlling one nothing has a
// foreground and nothing stops a reader; it is true there, and on Windows.
func (t *Terminal) Foreground() bool { return t.in.foreground() }

// Line asks for one line, shown as it is typed, and returns it without its end.
// The terminal takes at most 1,024 (macOS) or 4,095 bytes (Linux). When ctx
// ends, so does Line, with ctx's error, and what was typed so far is forgotten.
func (t *Terminal) Line(ctx context.Context, question string) (string, error) {
	s := t.open(question, shown)
	defer s.close()
	var line text
	for {
		b, err := s.next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return line.orNoInput()
		case err != nil:
			s.half = true
			return "", err
		}
		head, _, whole := bytes.Cut(b, []byte("\n"))
		for _, c := range head {
			line.add(c)
		}
		switch {
		case whole:
			s.fresh = true // by the echo of Enter
			return string(bytes.TrimSuffix(line.b, []byte("\r"))), nil
		case len(line.b) > most:
			return "", fmt.Errorf("%w: more than %d bytes", ErrTooLong, most)
		}
	}
}

// Hidden asks for one line that is not shown, such as an API key. Enter ends
// it, so does the line end of a pasted one, and so does ^D; what follows within
// a moment is thrown away. Backspace and ^U work. When ctx ends, so does
// Hidden, with ctx's error.
func (t *Terminal) Hidden(ctx context.Context, question string) (string, error) {
	s := t.open(question, hidden)
	defer s.close()
	var (
		line text
		keys keys
	)
	defer line.forget()
	for {
		b, err := s.next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return line.orNoInput()
		case err != nil:
			return "", err
		}
		for _, c := range b {
			switch keys.next(c) {
			case keyText:
				line.add(c)
			case keyErase:
				line.erase()
			case keyForget:
				line.forget()
			case keyEnter:
				return string(line.b), nil
			case keyEnd:
				return line.orNoInput()
			case keyInterrupt:
				return "", ErrInterrupted
			}
		}
		if len(line.b) > most {
			return "", fmt.Errorf("%w: more than %d bytes", ErrTooLong, most)
		}
	}
}

// ReadAll reads r, a pipe or a file, to its end. It is ErrTooLong if there are
// more than limit bytes.
func ReadAll(r io.Reader, limit int64) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	defer clear(b)
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the input: %w", err)
	case int64(len(b)) > limit:
		return "", fmt.Errorf("%w: more than %d bytes", ErrTooLong, limit)
	}
	return string(b), nil
}
