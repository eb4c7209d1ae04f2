package prompt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// pause is how long nothing must come before a text without marks is
	// taken as it is: the first half of a value looks like a whole one.
	pause = time.Second
	// pauseEnter is the same after Enter, where no half of a value is likely.
	// The lines of a text that is pasted without marks come faster.
	pauseEnter = 100 * time.Millisecond
	// pauseMarked is how long the mark after a pasted text is waited for. A
	// terminal that forgets it would make ^D part of the text for ever.
	pauseMarked = 3 * time.Second
)

// PasteOptions says what to ask for.
type PasteOptions struct {
	// Question is shown at the beginning, and again after the process was
	// stopped or in the background.
	Question string
	// Complete judges the text so far, in which every line end is "\n": done
	// ends the prompt; say, one line or "", is shown if it is not what was said
	// last. It may tell what came and what is missing, but not the text.
	//
	// It is called, by the goroutine that called Paste, when a pasted text with
	// marks ended, when the input paused, and, in a moment, after Enter or ^U.
	// If it is nil only ^D ends the prompt.
	Complete func(text string) (done bool, say string)
}

// Paste takes a text of several lines, which is not shown, and of any length
// up to 1 MiB: terminals that read by lines stop at 1,024 bytes (macOS) or
// 4,095 (Linux), and keys have more. It ends when o.Complete says so, at ^D
// (the text may lack something then), or with ctx's error when ctx ends.
//
// Texts pasted one after the other begin a new line each, if the terminal
// marks them. What follows the end within a moment is thrown away, so that the
// rest of a pasted text does not reach the shell.
func (t *Terminal) Paste(ctx context.Context, o PasteOptions) (string, error) {
	s := t.open(o.Question, marked)
	defer s.close()
	p := &paste{session: s, complete: o.Complete}
	defer p.text.forget()
	for {
		b, err := s.next(ctx)
		done := false
		switch {
		case err != nil:
		case len(b) > 0:
			p.last = time.Now()
			done, err = p.feed(b)
		case p.unjudged && time.Since(p.last) >= p.patience():
			p.keys.pasting = false
			done = p.judge()
		}
		switch {
		case errors.Is(err, io.EOF):
			return p.text.orNoInput()
		case err != nil:
			return "", err
		case done:
			return string(p.text.b), nil
		}
	}
}

// paste is a text that is being pasted.
type paste struct {
	*session
	complete func(string) (bool, string)
	keys     keys
	text     text
	last     time.Time // when something came last
	unjudged bool      // something came since complete was asked
	entered  bool      // Enter came last
	pasted   bool      // the mark after a pasted text came last
}

// feed takes what was read. It is true when the text is whole, and io.EOF when
// the user ended it.
func (p *paste) feed(b []byte) (bool, error) {
	for _, c := range b {
		key := p.keys.next(c)
		if key == keyNone {
			continue
		}
		if key == keyPasteBegan && p.pasted && !p.freshLine() {
			p.text.add('\n')
		}
		p.entered, p.pasted, p.unjudged = false, false, true
		switch key {
		case keyText:
			p.text.add(c)
		case keyEnter:
			p.text.add('\n')
			p.entered = !p.keys.pasting
		case keyErase:
			p.text.erase()
		case keyForget:
			p.text.forget()
			p.entered = true
		case keyEnd:
			return false, io.EOF
		case keyInterrupt:
			return false, ErrInterrupted
		case keyPasteEnded:
			p.pasted = true
			if p.judge() {
				return true, nil
			}
		}
		if len(p.text.b) > most {
			return false, fmt.Errorf("%w: more than %d bytes", ErrTooLong, most)
		}
	}
	return false, nil
}

func (p *paste) freshLine() bool {
	n := len(p.text.b)
	return n == 0 || p.text.b[n-1] == '\n'
}

// patience is how long nothing must come before the text is judged.
func (p *paste) patience() time.Duration {
	switch {
	case p.keys.pasting:
		return pauseMarked
	case p.entered:
		return pauseEnter
	}
	return pause
}

// judge asks whether the text is whole, and shows what is said of it.
func (p *paste) judge() bool {
	p.unjudged = false
	if p.complete == nil {
		return false
	}
	done, say := p.complete(string(p.text.b))
	p.say(say)
	return done
}
