package s3store

import "strings"

// nest follows a text that should be XML, byte by byte, and counts how many
// elements are open. A parser keeps each of them in memory.
type nest struct {
	open  int
	at    nestState
	quote byte // the one that the value we are in ends with; 0 outside
	last  byte

	begin string  // what is behind "<!", as far as it decides
	end   string  // what ends the comment, CDATA or "<?" that we are in
	tail  [3]byte // the last bytes of it
	loose bool    // something was declared, whose end only a parser knows: no end is believed any more
}

type nestState uint8

const (
	inText   nestState = iota
	inMark             // behind "<"
	inStart            // in <name …
	inEnding           // in </… or in <!NAME …
	inBang             // behind "<!"
	inRest             // in a comment, in CDATA or in <?…
)

const (
	commentMark = "--"
	cdataMark   = "[CDATA["
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
		case inBang:
			n.bang(c)
		case inRest:
			n.rest(c)
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
		n.close()
	case '!':
		n.at, n.begin = inBang, ""
	case '?':
		n.until("?>")
	default:
		n.at = inStart
		n.open++
	}
}

func (n *nest) close() {
	if !n.loose {
		n.open--
	}
}

func (n *nest) bang(c byte) {
	n.begin += string([]byte{c})
	switch {
	case n.begin == commentMark:
		n.until("-->")
	case n.begin == cdataMark:
		n.until("]]>")
	case !strings.HasPrefix(commentMark, n.begin) && !strings.HasPrefix(cdataMark, n.begin):
		n.at, n.loose = inEnding, true
		if c == '>' {
			n.at = inText
		}
	}
}

func (n *nest) until(end string) { n.at, n.end, n.tail = inRest, end, [3]byte{} }

func (n *nest) rest(c byte) {
	n.tail = [3]byte{n.tail[1], n.tail[2], c}
	if string(n.tail[len(n.tail)-len(n.end):]) == n.end {
		n.at = inText
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
			n.close()
		}
	}
}
