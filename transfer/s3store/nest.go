package s3store

// nest follows a text that should be XML, byte by byte, and counts how many
// elements are open. A parser keeps each of them in memory.
type nest struct {
	open  int
	at    nestState
	quote byte // the one that the value we are in ends with; 0 outside
	last  byte
}

type nestState uint8

const (
	inText   nestState = iota
	inMark             // behind "<"
	inStart            // in <name …
	inEnding           // in </…, <!… or <?…
)

// deeper reports whether more than most elements are open anywhere in b.
func (n *nest) deeper(b []byte, most int) bool {
	for _, c := range b {
		switch n.at {
		case inText:
			if c == '<' {
				n.at = inMark
			}
		case inMark:
			n.mark(c)
		case inStart:
			n.start(c)
		case inEnding:
			if c == '>' {
				n.at = inText
			}
		}
		if n.last = c; n.open > most {
			return true
		}
	}
	return false
}

func (n *nest) mark(c byte) {
	switch c {
	case '/':
		n.at = inEnding
		n.open--
	case '!', '?':
		n.at = inEnding
	default:
		n.at = inStart
		n.open++
	}
}

func (n *nest) start(c byte) {
	switch {
	case n.quote != 0:
		if c == n.quote {
			n.quote = 0
		}
	case c == '"' || c == '\'':
		n.quote = c
	case c == '>':
		n.at = inText
		if n.last == '/' {
			n.open--
		}
	}
}
