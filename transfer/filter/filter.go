// Package filter says by gitignore rules which paths are left out.
//
// It knows paths and nothing else: no files, no keys, no flags.
package filter

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
)

// List holds rules in order. A path is decided by the last rule that matches
// it, else it goes the way of its directory; what no rule decides is taken.
//
// Below a directory that is left out only an Include counts, and only one that
// comes after the rule that left it out: those of a gitignore file can't bring
// back what lies there, as they can't for git.
//
// The zero List takes everything. Rules are added first; then it may be asked by
// many goroutines at once.
type List struct {
	rules []rule
	back  int // one more than the index of the last Include
	last  atomic.Pointer[seen]
}

type rule struct {
	pattern
	take bool
	back bool   // it also brings back what lies below a directory that is left out
	why  string // the reason for what it leaves out
}

// Exclude adds a rule that leaves out what pattern matches. Unlike in a file,
// '!' and '#' and spaces stand for themselves everywhere. why is the reason
// that will be given.
func (l *List) Exclude(pattern, why string) error {
	return l.add(pattern, rule{why: why})
}

// Include adds a rule that takes what pattern matches after all.
func (l *List) Include(pattern string) error {
	return l.add(pattern, rule{take: true, back: true})
}

func (l *List) add(text string, r rule) (err error) {
	if r.pattern, err = parse(text); err != nil {
		return err
	}
	l.rules = append(l.rules, r)
	if r.back {
		l.back = len(l.rules)
	}
	return nil
}

// Excludes reports whether some rule leaves something out.
func (l *List) Excludes() bool {
	for _, r := range l.rules {
		if !r.take {
			return true
		}
	}
	return false
}

// Read adds the rules of a gitignore file. The reason for what one of them
// leaves out is "name:line pattern", and so begins an error that one of them
// is.
func (l *List) Read(r io.Reader, name string) error {
	b := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := b.ReadBytes('\n')
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return err
		}
		text := clean(line, n == 1)
		if text != "" && text[0] != '#' {
			body, take := strings.CutPrefix(text, "!")
			if err := l.add(body, rule{take: take, why: fmt.Sprintf("%s:%d %s", name, n, text)}); err != nil {
				return fmt.Errorf("%s:%d: %q: %w", name, n, text, err)
			}
		}
		if end {
			return nil
		}
	}
}

// clean takes off what does not belong to a rule: the line's end, spaces before
// it that no backslash protects, and the mark that some editors begin a file with.
func clean(line []byte, first bool) string {
	if first {
		line = bytes.TrimPrefix(line, []byte("\uFEFF"))
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	end := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			if i++; i == len(line) {
				return string(line)
			}
		}
		end = i + 1
	}
	return string(line[:end])
}

// fate is what was decided for a path, and by which rule; -1 for none.
type fate struct {
	out bool
	by  int
}

// seen is a directory that was decided: the next path often lies in it too.
type seen struct {
	dir string
	fate
}

// LeaveOut says why path, of parts joined by "/", is left out; "" takes it. A
// directory that is left out need not be read: nothing below it is taken.
// Where an Include might yet take something there, it is "".
func (l *List) LeaveOut(path string, dir bool) string {
	if len(l.rules) == 0 || path == "" {
		return ""
	}
	var room [16]string
	parts := split(room[:0], path)
	f := l.decide(l.above(path, parts), parts, dir)
	if !f.out || dir && l.back > f.by+1 {
		return ""
	}
	return l.rules[f.by].why
}

// above is what was decided for the directory that holds path.
func (l *List) above(path string, parts []string) fate {
	if len(parts) == 1 {
		return fate{by: -1}
	}
	dir := path[:strings.LastIndexByte(path, '/')]
	if s := l.last.Load(); s != nil && s.dir == dir {
		return s.fate
	}
	parts = parts[:len(parts)-1]
	f := l.decide(l.above(dir, parts), parts, true)
	l.last.Store(&seen{strings.Clone(dir), f})
	return f
}

// decide follows one step down from a directory.
func (l *List) decide(above fate, parts []string, dir bool) fate {
	last := len(l.rules) - 1
	for ; last >= 0; last-- {
		if above.out && last <= above.by {
			return above
		}
		r := &l.rules[last]
		if above.out && r.take && !r.back {
			continue
		}
		if r.match(parts, dir) {
			return fate{out: !r.take, by: last}
		}
	}
	return fate{by: -1}
}

// split appends the parts of path.
func split(parts []string, path string) []string {
	for {
		part, rest, more := strings.Cut(path, "/")
		parts = append(parts, part)
		if !more {
			return parts
		}
		path = rest
	}
}
