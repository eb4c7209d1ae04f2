package creds

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"unicode"
)

// Secret is a text that shows only its length, by whatever verb or encoder it
// is shown. string(s) is the way to the text, easy to find in a review.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return "none"
	}
	return fmt.Sprintf("[%d characters]", len(s))
}

// GoString keeps %#v from the text.
func (s Secret) GoString() string { return s.String() }

// Format keeps every other verb from it; %x would otherwise spell it out.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalJSON writes the length in place of the text.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// MarshalText does so for the other encoders, and for keys of maps.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue does so for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

const (
	saidLength = 200 // of a server's own words in an error
	tellRun    = 8   // a run of a secret this long gives it away
)

var (
	longRun = regexp.MustCompile(`[A-Za-z0-9+/=_-]{12,}`)
	userAt  = regexp.MustCompile(`//[^/@\s]+@`) // user and password in a URL
)

// redact makes a server's text fit to be shown: printable, short, and without
// anything that looks like a credential. Where a piece of one of the secrets
// still shows, nothing of the text is left.
func redact(text string, secrets ...Secret) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, string(s), s.String())
		}
	}
	text = userAt.ReplaceAllString(text, "//[user]@")
	text = longRun.ReplaceAllStringFunc(text, func(run string) string {
		if looksSecret(run) {
			return Secret(run).String()
		}
		return run
	})
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		default:
			return -1
		}
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > saidLength {
		text = string(r[:saidLength]) + "…"
	}
	for _, s := range secrets {
		if shows(text, string(s)) {
			return ""
		}
	}
	return text
}

// looksSecret tells keys and tokens from long words such as
// AssumeRoleWithWebIdentity, which explain the error.
func looksSecret(run string) bool {
	for _, start := range []string{"eyJ", "ASIA", "AKIA", "IQoJ", "FwoG"} {
		if strings.HasPrefix(run, start) {
			return true
		}
	}
	return len(run) >= 32 || len(run) >= 16 && strings.ContainsAny(run, "0123456789+=")
}

func shows(text, secret string) bool {
	if secret != "" && len(secret) < tellRun {
		return strings.Contains(text, secret)
	}
	for i := 0; i+tellRun <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+tellRun]) {
			return true
		}
	}
	return false
}
