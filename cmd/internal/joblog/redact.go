package joblog

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// gone stands where a secret was.
const gone = "[redacted]"

// shortest is the length below which a registered secret is not looked for: it
// would tear holes into ordinary words, and nothing so short is a secret.
const shortest = 6

// Redactor takes secrets out of text: those it was told (Redact), and whatever
// looks like a credential. The zero Redactor is ready; it may be used by many
// goroutines at once.
type Redactor struct {
	mu      sync.RWMutex
	secrets []string // as they may be written, the longest first
}

// Redact registers a secret. It is found in the spellings that logs give it:
// as it is, in a URL, quoted by Go, and in JSON; and in those that a server
// might: in hex and, also amid other text, in base64; and with its end cut off, if
// 24 bytes are left. Shorter than 6 bytes it is ignored.
func (r *Redactor) Redact(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Lines are what is looked at, so a secret of several is several.
	for line := range strings.Lines(secret) {
		line = strings.TrimRight(line, "\r\n")
		if len(line) < shortest {
			continue
		}
		for _, s := range spellings(line) {
			if !slices.Contains(r.secrets, s) {
				r.secrets = append(r.secrets, s)
			}
		}
	}
	// The longest first: one that begins with another would leave its end.
	slices.SortStableFunc(r.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

func spellings(s string) []string {
	quoted := strconv.Quote(s)
	inURL, inPath := url.QueryEscape(s), url.PathEscape(s)
	out := []string{s, inURL, inPath, lowerHex(inURL), lowerHex(inPath), quoted[1 : len(quoted)-1]}
	if j, err := json.Marshal(s); err == nil {
		out = append(out, string(j[1:len(j)-1]))
	}
	hexed := hex.EncodeToString([]byte(s))
	out = append(out, hexed, strings.ToUpper(hexed))
	return append(out, inBase64(s)...)
}

// inBase64 is what base64 makes of s whatever stands around it: of each of three
// offsets those characters that are made of s alone.
func inBase64(s string) []string {
	var out []string
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := enc.EncodeToString(append(make([]byte, before), s...))
			first, last := (before*8+5)/6, (before+len(s))*8/6
			out = append(out, text[first:last])
		}
	}
	return out
}

var percentHex = regexp.MustCompile(`%[0-9A-F]{2}`)

func lowerHex(s string) string { return percentHex.ReplaceAllStringFunc(s, strings.ToLower) }

// pattern is one look that credentials have.
type pattern struct {
	hint []string // in lower case: without one of them the text is not searched
	re   *regexp.Regexp
	with string
}

// patterns know secrets that nobody registered. Each keeps the name and takes
// the value. Values end where a URL, a header, JSON or a shell would end them.
var patterns = []pattern{
	// Parameters of presigned URLs, and headers and JSON fields of the names.
	{
		[]string{"x-amz-"},
		regexp.MustCompile(`(?i)(x-amz-(?:security-token|signature|credential)["'\\]*\s*[=:]\s*(?:\[\]string\{)?["'\\\[]*)[^\s&"'\\,;\])}>]+`),
		"${1}" + gone,
	},
	// A header's value has spaces in it: it goes to the end of its string or line.
	{
		[]string{"authorization"},
		regexp.MustCompile(`(?i)(authorization["'\\]*\s*[=:]\s*(?:\[\]string\{)?["'\\\[]*)[^\r\n"'\\\]}]+`),
		"${1}" + gone,
	},
	{
		[]string{"bearer"},
		regexp.MustCompile(`(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}`),
		"${1}" + gone,
	},
	// Environment variables, lines of a credentials file, and the JSON that
	// credential_process and STS speak.
	{
		[]string{"secret", "session", "token"},
		regexp.MustCompile(`(?i)((?:aws_?)?(?:secret[_ -]?access[_ -]?key|session[_ -]?token|security[_ -]?token)["'\\]*\s*[=:]\s*["'\\]*)[^\s&"'\\,;\])}>]+`),
		"${1}" + gone,
	},
	{
		[]string{"secretaccesskey", "sessiontoken"},
		regexp.MustCompile(`(?i)(<(?:SecretAccessKey|SessionToken)>)[^<]*`),
		"${1}" + gone,
	},
	// The ends of an access key's id tell an operator which key it was.
	{
		[]string{"akia", "asia"},
		regexp.MustCompile(`\b(A[KS]IA)[A-Z0-9]{8,}([A-Z0-9]{4})\b`),
		"${1}…${2}",
	},
	// A URL's password. One with a slash is no URL, and yet people write it;
	// what tells it from host:port/path@more is that a port is all digits.
	{
		[]string{"://"},
		regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/?#:@\[]*:)(?:[^\s/?#"'<>]+|[0-9]*[^\s"'<>0-9/?#][^\s"'<>]*)@`),
		"${1}" + gone + "@",
	},
}

// String returns s without its secrets.
func (r *Redactor) String(s string) string {
	r.mu.RLock()
	for _, secret := range r.secrets {
		s = strings.ReplaceAll(s, secret, gone)
	}
	s = r.beginnings(s)
	r.mu.RUnlock()
	low := strings.ToLower(s)
	for _, p := range patterns {
		if slices.ContainsFunc(p.hint, func(h string) bool { return strings.Contains(low, h) }) {
			s = p.re.ReplaceAllString(s, p.with)
		}
	}
	return s
}

// leastHead is how many bytes of a secret's beginning are taken for it: a server's
// words are cut to a length, and the cut may go through a token that is in them.
const leastHead = 24

// beginnings takes out secrets whose ends are missing. The caller holds mu.
func (r *Redactor) beginnings(s string) string {
	for _, secret := range r.secrets {
		if len(secret) <= leastHead {
			continue
		}
		for {
			i := strings.Index(s, secret[:leastHead])
			if i < 0 {
				break
			}
			// Several may begin alike, as all tokens of one issuer do.
			n := 0
			for _, other := range r.secrets {
				n = max(n, common(s[i:], other))
			}
			s = s[:i] + gone + s[i+n:]
		}
	}
	return s
}

// common is how many bytes a and b have in common at their beginning.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// longest is how long a line may be before it is left out as a whole: cut
// anywhere, the cut could go through a secret and hide it.
const longest = 1 << 20

// Writer is a Redactor before an io.Writer. It passes on whole lines only, so
// that a secret split over several writes is still one. Close passes on what
// has no line end. It is not for a live bar, which has none at all.
type Writer struct {
	r *Redactor

	mu   sync.Mutex
	w    io.Writer
	line []byte
	skip bool // the line was too long, its rest goes too
}

// Writer returns a writer to w that takes secrets out.
func (r *Redactor) Writer(w io.Writer) *Writer { return &Writer{r: r, w: w} }

// Write takes all of p, whatever becomes of it further on; the error is that
// of the writer behind.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []byte
	for rest := p; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		end := i < 0
		if end {
			i = len(rest) - 1
		}
		w.take(rest[:i+1])
		rest = rest[i+1:]
		if !end {
			out = w.complete(out)
		}
	}
	if len(out) == 0 {
		return len(p), nil
	}
	_, err := w.w.Write(out)
	return len(p), err
}

// take keeps a piece of a line.
func (w *Writer) take(piece []byte) {
	if w.skip || len(w.line)+len(piece) > longest {
		w.skip, w.line = true, nil
		return
	}
	w.line = append(w.line, piece...)
}

// complete ends the line and appends what may be seen of it.
func (w *Writer) complete(out []byte) []byte {
	if w.skip {
		w.skip = false
		return append(out, "[a line of more than 1 MiB was left out]\n"...)
	}
	out = append(out, w.r.String(string(w.line))...)
	w.line = w.line[:0]
	return out
}

// Close writes a last line that has no end. It does not close what is behind.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.line) == 0 && !w.skip {
		return nil
	}
	_, err := w.w.Write(w.complete(nil))
	return err
}
