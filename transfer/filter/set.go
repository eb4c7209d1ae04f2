package filter

import "strings"

// set is what stands between brackets.
type set struct {
	not    bool
	ranges [][2]rune
	named  []func(rune) bool
}

// parseSet reads the set that text begins with, and its length.
func parseSet(text string) (*set, int, error) {
	s := &set{}
	at := 1
	if strings.HasPrefix(text[at:], "!") || strings.HasPrefix(text[at:], "^") {
		s.not = true
		at++
	}
	last := rune(-1) // what a range may begin with
	for first := true; ; first = false {
		rest := text[at:]
		switch {
		case rest == "":
			return nil, 0, ErrBracket
		case rest[0] == ']' && !first:
			return s, at + 1, nil
		case rest[0] == '-' && last >= 0 && len(rest) > 1 && rest[1] != ']':
			c, n, err := setChar(rest[1:])
			if err != nil {
				return nil, 0, err
			}
			s.ranges = append(s.ranges, [2]rune{last, c})
			at += 1 + n
			last = -1
			continue
		case strings.HasPrefix(rest, "[:"):
			n, known, err := s.addNamed(rest)
			if err != nil {
				return nil, 0, err
			}
			if known {
				at += n
				last = -1
				continue
			}
		}
		c, n, err := setChar(rest)
		if err != nil {
			return nil, 0, err
		}
		s.ranges = append(s.ranges, [2]rune{c, c})
		at += n
		last = c
	}
}

// setChar reads one character of a set, perhaps behind a backslash.
func setChar(text string) (rune, int, error) {
	if text[0] != '\\' {
		c, n := char(text)
		return c, n, nil
	}
	if len(text) == 1 {
		return 0, 0, ErrBracket
	}
	c, n := char(text[1:])
	return c, n + 1, nil
}

// addNamed adds a class such as [:digit:], which text seems to begin with. It
// is none where the next ] does not follow a colon.
func (s *set) addNamed(text string) (n int, known bool, err error) {
	end := strings.IndexByte(text, ']')
	if end < 0 {
		return 0, false, ErrBracket
	}
	if end < 3 || text[end-1] != ':' {
		return 0, false, nil
	}
	in, ok := classes[text[2:end-1]]
	if !ok {
		return 0, false, ErrBracket
	}
	s.named = append(s.named, in)
	return end + 1, true, nil
}

func (s *set) match(c rune) bool {
	for _, r := range s.ranges {
		if r[0] <= c && c <= r[1] {
			return !s.not
		}
	}
	for _, in := range s.named {
		if in(c) {
			return !s.not
		}
	}
	return s.not
}

// classes are those of POSIX, of ASCII characters as in git.
var classes = map[string]func(rune) bool{
	"alnum":  func(c rune) bool { return isLower(c) || isUpper(c) || isDigit(c) },
	"alpha":  func(c rune) bool { return isLower(c) || isUpper(c) },
	"blank":  func(c rune) bool { return c == ' ' || c == '\t' },
	"cntrl":  func(c rune) bool { return c < ' ' || c == 0x7f },
	"digit":  isDigit,
	"graph":  isGraph,
	"lower":  isLower,
	"print":  func(c rune) bool { return c == ' ' || isGraph(c) },
	"punct":  func(c rune) bool { return isGraph(c) && !isLower(c) && !isUpper(c) && !isDigit(c) },
	"space":  func(c rune) bool { return c == ' ' || '\t' <= c && c <= '\r' },
	"upper":  isUpper,
	"xdigit": func(c rune) bool { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' },
}

func isLower(c rune) bool { return 'a' <= c && c <= 'z' }
func isUpper(c rune) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c rune) bool { return '0' <= c && c <= '9' }
func isGraph(c rune) bool { return '!' <= c && c <= '~' }
