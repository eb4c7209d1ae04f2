package prompt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

const (
	// tick is how long a read waits, and so how late the end of a ctx and a
	// change of foreground are noticed.
	tick = 100 * time.Millisecond
	// silence is how long nothing must come before a terminal is given back:
	// the rest of a pasted text would go to the shell, which runs lines.
	silence = 200 * time.Millisecond
	// drainMost bounds the wait for silence.
	drainMost = 2 * time.Second
	// chunk is how much is read at once: what Linux's terminals hold.
	chunk = 4096
)

// Terminals put marks around a pasted text when they are told to.
const (
	marksOn  = "\x1b[?2004h"
	marksOff = "\x1b[?2004l"
)

// kind is how a session reads.
type kind int

const (
	shown  kind = iota // by lines, which the terminal echoes
	hidden             // by bytes, not echoed
	marked             // likewise, with marks around pasted text
)

// session is one open question. Whoever opens one closes it.
type session struct {
	t        *Terminal
	question string
	kind     kind
	saved    *modes         // the terminal's own, once they were changed
	resumed  chan os.Signal // the process was stopped and goes on
	asked    bool           // the question is on the terminal, and its modes are right
	fresh    bool           // the cursor is at the beginning of a line
	half     bool           // of a shown line, a part may be typed
	said     string         // what say showed last
	buf      []byte
}

func (t *Terminal) open(question string, k kind) *session {
	s := &session{t: t, question: question, kind: k, resumed: make(chan os.Signal, 1), buf: make([]byte, chunk)}
	notifyResumed(s.resumed)
	return s
}

// next waits a tick for input, which is valid until the next call; nil means
// that none came. Its error is ctx's when ctx is over.
//
// In the background it waits to be in the foreground. Touching the terminal
// there would stop the whole process, and with it what else it is doing. Back
// again, it asks again: a shell has been using the terminal in its own modes.
func (s *session) next(ctx context.Context) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.resumed:
		s.asked = false
	default:
	}
	if !s.t.Foreground() {
		s.asked = false
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(tick):
			return nil, nil
		}
	}
	if !s.asked {
		if err := s.ask(); err != nil {
			return nil, err
		}
	}
	n, err := s.t.in.read(s.buf, tick)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("reading the terminal: %w", err)
	}
	return s.buf[:n], err
}

// ask sets the modes and shows the question, in this order: what is typed
// after the question is not echoed.
func (s *session) ask() error {
	if s.kind != shown {
		if s.saved == nil {
			m, err := s.t.in.modes()
			if err != nil {
				return fmt.Errorf("reading the terminal's modes: %w", err)
			}
			s.saved = m
		}
		if err := s.t.in.hide(s.saved); err != nil {
			return fmt.Errorf("setting the terminal's modes: %w", err)
		}
	}
	if s.kind == marked && hasMarks {
		_, _ = io.WriteString(s.t.out, marksOn)
	}
	if err := s.print(s.question); err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	s.asked = true
	if s.said != "" {
		s.printLine(s.said)
	}
	return nil
}

// say shows a line below the question, unless it is there already.
func (s *session) say(line string) {
	if line == "" || line == s.said {
		return
	}
	s.said = line
	s.printLine(line)
}

func (s *session) printLine(line string) {
	if !s.fresh {
		line = "\n" + line
	}
	_ = s.print(line + "\n")
}

func (s *session) print(text string) error {
	_, err := io.WriteString(s.t.out, strings.ReplaceAll(text, "\n", newline))
	s.fresh = strings.HasSuffix(text, "\n")
	return err
}

// close gives the terminal back, in the modes it was in and with nothing left
// to read of what was pasted or half typed. One that is someone else's by now
// is left alone: the shell has set its modes.
func (s *session) close() {
	signal.Stop(s.resumed)
	defer clear(s.buf)
	if s.saved != nil {
		s.drain()
	}
	if !s.t.Foreground() {
		return
	}
	if s.saved != nil && s.kind == marked && hasMarks {
		_, _ = io.WriteString(s.t.out, marksOff)
	}
	if s.asked && !s.fresh {
		_ = s.print("\n")
	}
	if s.saved != nil || s.half {
		s.t.in.flush()
	}
	if s.saved != nil {
		s.t.in.restore(s.saved)
	}
}

// drain reads and throws away until there is silence. In the background
// nothing is read.
func (s *session) drain() {
	began := time.Now()
	for last := began; time.Since(last) < silence && time.Since(began) < drainMost; {
		n, err := s.t.in.read(s.buf, tick)
		if err != nil {
			return
		}
		if n > 0 {
			last = time.Now()
		}
	}
}
