package main

import (
	"io"
	"strings"
	"sync"

	"agent/cmd/internal/show"
)

// liveLine is one line on a terminal that is redrawn in place. It has ASCII
// only, and uses \r, \b and spaces alone: these work on every terminal.
type liveLine struct {
	w  io.Writer
	on bool

	mu    sync.Mutex
	drawn int // columns
}

// draw shows text in place of what was there; "" for nothing.
func (l *liveLine) draw(text string) {
	if !l.on {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// The last column stays free: a terminal may wrap when it is filled.
	text = text[:min(len(text), max(0, show.Width(l.w)-1))]
	rest := max(0, l.drawn-len(text))
	_, _ = io.WriteString(l.w, "\r"+text+strings.Repeat(" ", rest)+strings.Repeat("\b", rest)) // it is only decoration
	l.drawn = len(text)
}

func (l *liveLine) clear() { l.draw("") }

// besideLine writes where the line is, too, and takes it away first.
type besideLine struct {
	line *liveLine
	w    io.Writer
}

func (b besideLine) Write(p []byte) (int, error) {
	b.line.clear()
	return b.w.Write(p)
}
