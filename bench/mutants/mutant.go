package main

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// tables are the mutants, by what of the program they break. Their form is told
// at the top of upload.txt.
//
//go:embed *.txt
var tables embed.FS

// mutant is one way to break a promise, and the test that has to notice.
type mutant struct {
	Promise string // its name in docs/guarantees.md
	Broken  string // what is wrong then, in words
	Package string // of the test, as go test takes it
	Test    string // TestX, or TestX/sub
	Tags    string // that the test is built with; "" for none
	Says    string // what the test has to say: it fails for this and no other reason
	Changes []change
	at      string // its place in the tables
}

// change is some whole lines of a file, and what stands there instead. White space
// at their ends does not count.
type change struct {
	File     string // from the root of the repository
	Old, New []string
}

// load reads all tables, in the order of their names.
func load() ([]mutant, error) {
	names, err := fs.Glob(tables, "*.txt")
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, name := range names {
		text, err := tables.ReadFile(name)
		if err != nil {
			return nil, err
		}
		some, err := parse(name, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// parser is the state of parse.
type parser struct {
	all  []mutant
	file string // of the changes that follow
	open bool   // the last change goes on
}

// parse reads one table.
func parse(name, text string) ([]mutant, error) {
	var p parser
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		at := fmt.Sprintf("%s:%d", name, n)
		if err := p.line(at, lines.Text()); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
	for i := range p.all {
		if err := p.all[i].check(); err != nil {
			return nil, fmt.Errorf("%s: %w", p.all[i].at, err)
		}
	}
	return p.all, lines.Err()
}

func (p *parser) line(at, line string) error {
	if head, ok := strings.CutPrefix(line, "== "); ok {
		promise, broken, found := strings.Cut(head, ": ")
		if !found {
			return errors.New("write == PROMISE: WHAT IS BROKEN")
		}
		p.all = append(p.all, mutant{Promise: promise, Broken: broken, at: at})
		p.file, p.open = "", false
		return nil
	}
	if line == "" || line[0] == '#' {
		p.open = false
		return nil
	}
	if len(p.all) == 0 {
		return errors.New("it belongs to no mutant")
	}
	m := &p.all[len(p.all)-1]
	if strings.ContainsRune(" -+\t", rune(line[0])) {
		return p.change(m, line)
	}
	p.open = false
	key, value, _ := strings.Cut(line, ": ")
	switch key {
	case "test":
		m.Package, m.Test, _ = strings.Cut(value, " ")
	case "tags":
		m.Tags = value
	case "says":
		m.Says = value
	case "file":
		p.file = value
	default:
		return fmt.Errorf("%q is neither test, tags, says nor file", key)
	}
	return nil
}

// change takes a line of a change: one that stays, goes or comes.
func (p *parser) change(m *mutant, line string) error {
	if p.file == "" {
		return errors.New("a change without a file")
	}
	if !p.open {
		m.Changes = append(m.Changes, change{File: p.file})
		p.open = true
	}
	c := &m.Changes[len(m.Changes)-1]
	text := strings.TrimSpace(line[1:])
	if line[0] != '+' {
		c.Old = append(c.Old, text)
	}
	if line[0] != '-' {
		c.New = append(c.New, text)
	}
	return nil
}

func (m *mutant) check() error {
	if m.Package == "" || m.Test == "" || m.Says == "" || len(m.Changes) == 0 {
		return errors.New("a mutant has a test, what it says, and a change")
	}
	for _, c := range m.Changes {
		if len(c.Old) == 0 || strings.Join(c.Old, "\n") == strings.Join(c.New, "\n") {
			return fmt.Errorf("%s: a change takes away a line and puts others there", c.File)
		}
	}
	return nil
}

// apply makes the change in the text of its file. The old lines have to be there
// exactly once: else somebody has changed the code, and the mutant is to follow.
func (c *change) apply(text string) (string, error) {
	lines := strings.Split(text, "\n")
	found := -1
	for i := range lines {
		if !c.at(lines[i:]) {
			continue
		}
		if found >= 0 {
			return "", fmt.Errorf("%s has these lines more than once: %q", c.File, c.Old)
		}
		found = i
	}
	if found < 0 {
		return "", fmt.Errorf("%s does not have these lines: %q", c.File, c.Old)
	}
	out := append([]string{}, lines[:found]...)
	out = append(out, c.New...)
	return strings.Join(append(out, lines[found+len(c.Old):]...), "\n"), nil
}

func (c *change) at(lines []string) bool {
	if len(lines) < len(c.Old) {
		return false
	}
	for i, old := range c.Old {
		if strings.TrimSpace(lines[i]) != old {
			return false
		}
	}
	return true
}

// mutate gives the changed texts of the files that m changes. read reads a file.
func (m *mutant) mutate(read func(name string) ([]byte, error)) (map[string]string, error) {
	texts := map[string]string{}
	for i := range m.Changes {
		c := &m.Changes[i]
		text, known := texts[c.File]
		if !known {
			b, err := read(c.File)
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		var err error
		if texts[c.File], err = c.apply(text); err != nil {
			return nil, err
		}
	}
	return texts, nil
}
