package creds

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
)

// escape is what terminals mix into input: colours, and the marks of a
// bracketed paste.
var escape = regexp.MustCompile(`\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\-_]`)

// plain takes out what pages, editors and terminals put into a text unseen, and
// makes quotes, blanks and line ends plain ones.
func plain(text string) string {
	if strings.HasPrefix(text, "\xff\xfe") { // PowerShell's redirection writes UTF-16
		text = fromUTF16(text[2:])
	}
	text = escape.ReplaceAllString(text, "")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text)
	text = strings.Map(func(r rune) rune {
		switch r {
		case '\n', '\t':
			return r
		case '‘', '’', '‚', '‛', '′', '`', '´':
			return '\''
		case '“', '”', '„', '‟', '″', '«', '»':
			return '"'
		case '：':
			return ':'
		case '＝':
			return '='
		}
		switch {
		case unicode.Is(unicode.Cf, r) || unicode.IsControl(r): // zero widths, joiners, marks of direction
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}

func fromUTF16(text string) string {
	units := make([]uint16, 0, len(text)/2)
	for i := 0; i+1 < len(text); i += 2 {
		units = append(units, uint16(text[i])|uint16(text[i+1])<<8)
	}
	return string(utf16.Decode(units))
}

var (
	example = regexp.MustCompile(`(?i)^(?:e\.?g\.?|example|for example)[:,]?[ \t]+`)
	// A line that may be the rest of a value: base64 and its URL form.
	piece = regexp.MustCompile(`^[A-Za-z0-9+/=_-]+$`)
	// An assignment of something else. A token's padding is followed by nothing.
	assignment = regexp.MustCompile(`^(?:export |set |\$env:|-e )?["']?[A-Za-z][A-Za-z0-9 _-]*["']?\s*[:=]\s*[^=\s]`)
	// Buttons of the page, which come along when all of it is selected.
	button = regexp.MustCompile(`(?i)^(?:copy|copied|close|ok|done|cancel|dismiss|download|show|hide|refresh|help)\W*$`)
	// Some other word of the page. The end of a token hardly ever looks like one.
	pageWord = regexp.MustCompile(`^[A-Z]?[a-z]{3,}$`)
	// What stands before a label on its line.
	before = regexp.MustCompile(`(?i)^\s*(?:[-*>]\s*)?(?:export|set|setx|setenv|set -gx|-e|--env|aws configure set|\$env:|[#$>%])?\s*(?:\$env:)?["'{]?$`)
	// What may follow a value on its line.
	trailing = regexp.MustCompile(`(?i)^(?:#|//|&&|;|\\|\||\)|,|-e\b|--|export\b|set\b|setx\b|setenv\b|/m\b|\$env:|copy\b)`)
)

const (
	sentence    = 16  // a first word shorter than this, followed by others, begins a sentence
	widestWrap  = 400 // columns; no terminal is wider
	narrowWrap  = 20
	closingMark = `"',;)]}\`
)

// line is the first line that holds anything.
func (f *found) line() string {
	for line := range strings.Lines(f.rest) {
		if line = strings.TrimSpace(line); line != "" {
			line = strings.Trim(line, closingMark+" ")
			return example.ReplaceAllString(line, "")
		}
	}
	return ""
}

// value is the label's value: "" for a label in a sentence or with nothing
// after it. what says what is wrong with it.
func (f *found) value() (v, what string) {
	rest := strings.TrimLeft(f.rest, " \t")
	if loc := example.FindStringIndex(rest); loc != nil {
		rest = rest[loc[1]:]
	}
	if trimmed := strings.TrimLeft(rest, " \t\n"); trimmed != "" && (trimmed[0] == '"' || trimmed[0] == '\'') {
		return quoted(trimmed)
	}
	v, what = f.bare(rest)
	switch v {
	case "null", "None", "undefined", "nil":
		return "", ""
	}
	if what == "" {
		what = badPaste(v)
	}
	return v, what
}

// quoted is the text up to the closing quote. Inside, line ends can only be a
// terminal's or an editor's doing.
func quoted(text string) (v, what string) {
	inner, _, closed := strings.Cut(text[1:], text[:1])
	var b strings.Builder
	for line := range strings.Lines(inner) {
		b.WriteString(strings.TrimRight(strings.TrimSpace(line), `\`))
	}
	v = example.ReplaceAllString(b.String(), "")
	switch {
	case !closed && v != "":
		return v, "has no closing quote: the text is cut short"
	default:
		return v, badPaste(v)
	}
}

// bare is a value without quotes: the first word of the line, and those lines
// below that a wrap has parted from it.
func (f *found) bare(rest string) (v, what string) {
	lines := strings.Split(rest, "\n")
	if last := len(lines) - 1; f.more && last > 0 && before.MatchString(lines[last]) {
		lines = lines[:last] // that is the next label's line
	}
	first := strings.Fields(lines[0])
	if len(first) > 1 && !f.open && !trailing.MatchString(first[1]) && (len(first[0]) < sentence || !pageWord.MatchString(first[1])) {
		if len(first[0]) < sentence {
			return "", ""
		}
		return strings.Join(first, " "), "holds a space"
	}
	width := 0
	if len(first) > 0 {
		v = first[0]
		width = f.lead + len([]rune(strings.TrimRight(lines[0], " \t")))
		// A comma, a quote or another word ends the value: nothing was wrapped.
		if len(first) > 1 || f.open || strings.ContainsAny(v[len(v)-1:], closingMark) {
			return strings.TrimRight(v, closingMark), ""
		}
	}
	below := pieces(lines[1:])
	if v == "" {
		if len(below) == 0 {
			return otherLine(lines[1:]), ""
		}
		v, width, below = below[0], len(below[0]), below[1:]
	}
	if len(below) == 0 {
		return v, ""
	}
	if joined := v + strings.Join(below, ""); byWrap(width, below) {
		return joined, ""
	}
	if pageWord.MatchString(below[0]) {
		return v, ""
	}
	return v, "may go on in the next line: copy it again, without line breaks"
}

// pieces are the lines that may be the rest of a value.
func pieces(lines []string) []string {
	var all []string
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" && i == 0 {
			continue // a table's label and value have a line between them
		}
		if button.MatchString(line) || assignment.MatchString(line) {
			break
		}
		bare := strings.TrimRight(line, closingMark)
		if !piece.MatchString(bare) {
			break
		}
		all = append(all, bare)
		if bare != line {
			break
		}
	}
	return all
}

// otherLine is a value of other signs than base64's, on the line after its label.
func otherLine(lines []string) string {
	for _, line := range lines {
		line = strings.Trim(strings.TrimSpace(line), closingMark)
		line = example.ReplaceAllString(line, "")
		switch {
		case line == "":
		case button.MatchString(line) || assignment.MatchString(line) || strings.ContainsAny(line, " \t"):
			return ""
		default:
			return line
		}
	}
	return ""
}

// byWrap reports that a wrap at one width explains the lines: all are full but
// the last. The first may be shorter, where the copy began in mid-line.
func byWrap(width int, below []string) bool {
	full, last := len(below[0]), len(below[len(below)-1])
	for _, p := range below[:len(below)-1] {
		if len(p) != full {
			return false
		}
	}
	if len(below) == 1 {
		full = width
	}
	return width <= full && last <= full && full >= narrowWrap && full <= widestWrap &&
		(last >= narrowWrap || len(below) > 1 || strings.ContainsAny(below[0], "0123456789+/="))
}

// badPaste is damage, and the signs that no value in a paste has.
func badPaste(v string) string {
	if what := damage(v); what != "" && v != "" {
		return what
	}
	if strings.ContainsAny(v, "\"'`<>(){}[]\\;,|") {
		return "holds a character that no key has"
	}
	return ""
}
