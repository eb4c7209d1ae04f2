package show

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Clean makes text from file names and servers fit for a terminal: whatever is
// not printable (control characters, escape sequences, line ends, marks that
// turn the direction of writing, spaces that are none) is shown the way Go's
// %q shows it, without the quotes, and so is each byte that is not UTF-8.
//
// Backslashes stay single, because Windows paths are full of them: the result
// is to be read by people, not to be read back. JSON lines are for that.
func Clean(s string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			b.WriteString(strconv.FormatUint(uint64(s[0])|0x100, 16)[1:]) // always two digits
		case strconv.IsPrint(r):
			b.WriteString(s[:n])
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[n:]
	}
	return b.String()
}

// clean reports whether Clean has nothing to do.
func clean(s string) bool {
	for i, r := range s {
		if !strconv.IsPrint(r) {
			return false
		}
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return false
			}
		}
	}
	return true
}

// columns is how many columns of a terminal s takes, for text that went
// through Clean. It errs on the wide side where terminals differ: a line that
// is too short looks odd, one that wraps leaves rubbish behind.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if r < 0x1100 {
		return 1
	}
	for _, w := range wide {
		if r >= w[0] && r <= w[1] {
			return 2
		}
	}
	return 1
}

// wide are the blocks whose characters take two columns: Unicode's East Asian
// Width W and F, rounded to whole blocks, and the emoji.
var wide = [][2]rune{
	{0x1100, 0x115F}, {0x231A, 0x231B}, {0x23E9, 0x23F3}, {0x2600, 0x27BF},
	{0x2B00, 0x2BFF}, {0x2E80, 0xA4CF}, {0xA960, 0xA97F}, {0xAC00, 0xD7A3},
	{0xF900, 0xFAFF}, {0xFE10, 0xFE6F}, {0xFF00, 0xFFE6}, {0x16FE0, 0x18CFF},
	{0x1AFF0, 0x1B2FF}, {0x1F000, 0x1FAFF}, {0x20000, 0x3FFFD},
}

// clip cuts s to at most n columns and shows by "…" that it did.
func clip(s string, n int) string {
	if columns(s) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	used := 1 // the ellipsis
	for i, r := range s {
		used += runeColumns(r)
		if used > n {
			return s[:i] + "…"
		}
	}
	return s
}
