package filter

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// What a pattern can't be: each of them would match nothing.
var (
	ErrEmpty     = errors.New("the pattern is empty")
	ErrBracket   = errors.New("a [ has no ], or names no class of characters")
	ErrBackslash = errors.New("nothing follows the last \\")
	ErrDots      = errors.New("no path has . or .. or nothing for a part")
)

// pattern is one gitignore pattern, without the '!' that may lead it.
type pattern struct {
	name bool // it has no slash but at its end: it is about the last part of a path
	dir  bool // it is about directories only
	segs []segment
}

// segment is what a pattern has between two slashes.
type segment struct {
	deep bool // **: any number of parts of the path; at the end at least one
	// literal is the whole segment, where tokens is nil.
	literal string
	tokens  []token
}

type tokenKind uint8

const (
	tokenRune tokenKind = iota
	tokenAny            // ?
	tokenStar           // *
	tokenSet            // [...]
)

type token struct {
	kind tokenKind
	char rune
	set  *set
}

func parse(text string) (pattern, error) {
	var p pattern
	if body, ok := strings.CutSuffix(text, "/"); ok {
		p.dir, text = true, body
	}
	p.name = !strings.Contains(text, "/")
	text = strings.TrimPrefix(text, "/")
	if text == "" {
		return p, ErrEmpty
	}
	var tokens []token
	for {
		if text == "" || text[0] == '/' || strings.HasPrefix(text, `\/`) {
			s, err := newSegment(tokens)
			if err != nil {
				return p, err
			}
			p.segs = append(p.segs, s)
			if text == "" {
				return p, nil
			}
			tokens, text = nil, text[strings.IndexByte(text, '/')+1:]
			continue
		}
		t, n, err := nextToken(text)
		if err != nil {
			return p, err
		}
		tokens, text = append(tokens, t), text[n:]
	}
}

// nextToken reads the token that text begins with, and its length.
func nextToken(text string) (token, int, error) {
	switch text[0] {
	case '*':
		return token{kind: tokenStar}, 1, nil
	case '?':
		return token{kind: tokenAny}, 1, nil
	case '[':
		s, n, err := parseSet(text)
		return token{kind: tokenSet, set: s}, n, err
	case '\\':
		if len(text) == 1 {
			return token{}, 0, ErrBackslash
		}
		c, n := char(text[1:])
		return token{char: c}, 1 + n, nil
	}
	c, n := char(text)
	return token{char: c}, n, nil
}

// char is the first character of text. A byte that is no UTF-8 is a character
// beyond all others.
func char(text string) (rune, int) {
	c, n := utf8.DecodeRuneInString(text)
	if c == utf8.RuneError && n == 1 {
		c = utf8.MaxRune + 1 + rune(text[0])
	}
	return c, n
}

func newSegment(tokens []token) (segment, error) {
	stars, plain := 0, true
	var literal []byte
	for _, t := range tokens {
		switch {
		case t.kind == tokenStar:
			stars++
		case t.kind != tokenRune:
			plain = false
		case t.char > utf8.MaxRune:
			literal = append(literal, byte(t.char-utf8.MaxRune-1)) //nolint:gosec // it was one byte, see char
		default:
			literal = utf8.AppendRune(literal, t.char)
		}
	}
	if plain && stars == 0 {
		if l := string(literal); l != "" && l != "." && l != ".." {
			return segment{literal: l}, nil
		}
		return segment{}, ErrDots
	}
	return segment{deep: stars > 1 && stars == len(tokens), tokens: tokens}, nil
}

// match reports whether the pattern matches the path of these parts itself;
// what lies below a path that it matches is another question.
func (p *pattern) match(parts []string, dir bool) bool {
	if p.dir && !dir {
		return false
	}
	if p.name {
		return p.segs[0].deep || p.segs[0].match(parts[len(parts)-1])
	}
	// Only the last ** has to be tried at several places: whatever follows the
	// ones before it is as well off with the rest of the path being longer.
	seg, part, deep, from := 0, 0, -1, 0
	for part < len(parts) {
		switch {
		case seg < len(p.segs) && p.segs[seg].deep:
			if seg == len(p.segs)-1 {
				return true
			}
			deep, from = seg, part
			seg++
		case seg < len(p.segs) && p.segs[seg].match(parts[part]):
			seg++
			part++
		case deep >= 0:
			from++
			seg, part = deep+1, from
		default:
			return false
		}
	}
	return seg == len(p.segs)
}

// match reports whether the segment matches one part of a path. As in match
// above, only the last star has to be tried at several places.
func (s *segment) match(part string) bool {
	if s.tokens == nil {
		return s.literal == part
	}
	at, star, rest := 0, -1, ""
	for part != "" {
		if at < len(s.tokens) && s.tokens[at].kind == tokenStar {
			star, rest = at, part
			at++
			continue
		}
		c, n := char(part)
		if at < len(s.tokens) && s.tokens[at].match(c) {
			at++
			part = part[n:]
			continue
		}
		if star < 0 {
			return false
		}
		_, n = char(rest)
		rest = rest[n:]
		at, part = star+1, rest
	}
	for at < len(s.tokens) && s.tokens[at].kind == tokenStar {
		at++
	}
	return at == len(s.tokens)
}

func (t *token) match(c rune) bool {
	switch t.kind {
	case tokenRune:
		return t.char == c
	case tokenSet:
		return t.set.match(c)
	default:
		return true
	}
}
