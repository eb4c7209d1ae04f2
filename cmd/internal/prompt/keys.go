package prompt

// key is what a byte from the terminal amounts to.
type key int

const (
	keyNone       key = iota // nothing, or not yet
	keyText                  // the byte is text
	keyEnter                 // a line end, pasted or typed
	keyErase                 // backspace
	keyForget                // ^U
	keyEnd                   // ^D
	keyInterrupt             // ^C
	keyPasteBegan            // the mark before a pasted text
	keyPasteEnded            // the mark after it
)

const (
	ctrlC     = 0x03
	ctrlD     = 0x04
	ctrlH     = 0x08
	ctrlU     = 0x15
	escape    = 0x1b
	backspace = 0x7f
)

// longest is how many bytes of an escape sequence are waited for. Those of
// keys have fewer than ten.
const longest = 16

// keys tells text from keys in what a terminal in raw modes sends, one byte at
// a time. The zero one is ready.
//
// Escape sequences (arrow keys, the marks around a pasted text) are no text,
// nor are control characters that are typed. Pasted ones are, ^C excepted:
// whoever reads the text may judge them.
type keys struct {
	seq     []byte // an escape sequence that has begun
	cr      bool   // the byte before was a CR, so that a LF adds nothing
	pasting bool   // between the marks
}

func (k *keys) next(c byte) key {
	if c == escape {
		k.seq, k.cr = append(k.seq[:0], c), false
		return keyNone
	}
	if len(k.seq) > 0 {
		if key, ok := k.sequence(c); ok {
			return key
		}
	}
	afterCR := k.cr
	k.cr = c == '\r'
	switch {
	case c == '\n' && afterCR:
		return keyNone
	case c == '\r', c == '\n':
		return keyEnter
	case c == ctrlC:
		return keyInterrupt
	case k.pasting:
		return keyText
	case c == ctrlD:
		return keyEnd
	case c == ctrlU:
		return keyForget
	case c == ctrlH, c == backspace:
		return keyErase
	case c < ' ' && c != '\t':
		return keyNone
	}
	return keyText
}

// sequence takes c as part of the escape sequence that has begun. It is false
// if c is none: then the sequence is over, for instance after the Escape key.
func (k *keys) sequence(c byte) (key, bool) {
	final := c >= 0x40 && c <= 0x7e
	switch {
	case len(k.seq) == 1 && (c == '[' || c == 'O' && !k.pasting):
		k.seq = append(k.seq, c)
		return keyNone, true
	case len(k.seq) == 1:
	case k.seq[1] == 'O' && final:
		k.seq = k.seq[:0]
		return keyNone, true
	case k.seq[1] == '[' && c >= 0x20 && c < 0x40 && len(k.seq) < longest:
		k.seq = append(k.seq, c)
		return keyNone, true
	case k.seq[1] == '[' && final:
		params := string(k.seq[2:])
		k.seq = k.seq[:0]
		switch params + string(c) {
		case "200~":
			k.pasting = true
			return keyPasteBegan, true
		case "201~":
			k.pasting = false
			return keyPasteEnded, true
		}
		return keyNone, true
	}
	k.seq = k.seq[:0]
	return keyNone, false
}
