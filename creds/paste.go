package creds

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// ParsePaste reads a set out of text that people copied: the platform's page,
// .env and export lines, PowerShell, Python, JSON, with whatever quotes, line
// ends and line wraps came along. An end that is missing, or without a time
// zone, is taken to be an hour after now, and Assumed says so. A set without a
// session token that names no end has none: only temporary keys have a token.
//
// What is wrong is told as a ValuesError where it concerns single values. No
// error holds anything of the text.
func ParsePaste(text string, now time.Time) (Set, error) {
	if len(text) > longestText {
		return Set{}, errLong
	}
	text = plain(text)
	if text == "" {
		return Set{}, errEmpty
	}
	if isHTML(text) {
		return Set{}, errHTML
	}
	s, err := pastedJSON(text, now)
	if err != nil {
		if s, err = pastedText(text, now); err != nil {
			return Set{}, err
		}
	}
	if s.SessionToken == "" && temporaryID(s.AccessKeyID) {
		return Set{}, ValuesError{{Name: nameToken, What: missing}}
	}
	if !s.CanExpire && s.SessionToken != "" {
		s.ends("", now)
	}
	return s, nil
}

// Complete reports that the text holds a whole set with a session token, so
// that a prompt may end by itself. Ask it when a bracketed paste has ended or
// the input pauses: the first half of an unquoted token looks like a whole one.
func Complete(text string) bool {
	s, err := ParsePaste(text, time.Time{})
	return err == nil && s.SessionToken != ""
}

var errNoValues = errors.New("has no credentials in it: copy all of what the page shows")

// temporaryID reports an id that AWS gives only together with a token.
func temporaryID(id string) bool { return strings.HasPrefix(id, "ASIA") }

func isHTML(text string) bool {
	start := strings.ToLower(text[:min(len(text), 512)])
	return strings.HasPrefix(start, "<!doctype") || strings.Contains(start, "<html")
}

// pastedJSON reads JSON, also where a known object wraps the values.
func pastedJSON(text string, now time.Time) (Set, error) {
	if text[0] != '{' {
		return Set{}, errNotJSON
	}
	for _, path := range []string{"", "Credentials", "storage.credentials"} {
		if s, err := parseJSON([]byte(text), path, now); err == nil {
			return s, nil
		}
	}
	return Set{}, errNotJSON
}

// A label and what stands between it and its value. The groups are secret, id,
// token, expiry, and the separator. Longer names come first, because the first
// that fits is taken.
var label = regexp.MustCompile(`(?im)\b(?:aws[ _-]?)?(?:` +
	`(secret[ _-]?(?:access[ _-]?)?key)|` +
	`(access[ _-]?key[ _-]?id|access[ _-]?key|access[ _-]?id)|` +
	`((?:session|security)[ _-]?token)|` +
	`((?:credentials?[ _-]?)?expir(?:ation|es|y)(?:[ _-]?(?:date|time|at|on))?)` +
	`)\b["']?([ \t]*(?:=>|[:=])[ \t]*|[ \t]+|$)`)

var labelNames = []string{nameSecret, nameID, nameToken, nameExpiry}

const (
	nameExpiry = "expiration"
	mostLabels = 200 // the whole help page has some twenty
)

// found is one label of the text with what follows it, up to the next.
type found struct {
	name string
	lead int    // width of its line up to the value
	rest string // from the value on
	open bool   // another label ends the rest on the same line
	more bool   // another label follows
}

// labels splits the text at its labels.
func labels(text string) []found {
	var all []found
	matches := label.FindAllStringSubmatchIndex(text, mostLabels) // each costs a look back along its line
	matches = slices.DeleteFunc(matches, func(m []int) bool { return !isLabel(text, m) })
	for i, m := range matches {
		next := len(text)
		if i+1 < len(matches) {
			next = matches[i+1][0]
		}
		f := found{
			lead: len([]rune(text[strings.LastIndexByte(text[:m[1]], '\n')+1 : m[1]])),
			rest: text[m[1]:next],
		}
		for g, name := range labelNames {
			if m[2*(g+1)] >= 0 {
				f.name = name
			}
		}
		f.more = next < len(text)
		f.open = f.more && !strings.Contains(f.rest, "\n")
		all = append(all, f)
	}
	return all
}

// isLabel tells a label from the same words in a sentence. Blanks part a
// variable's name from its value (setenv, aws configure set); words for people
// need a colon, or a tab or a line's end as tables leave it behind.
func isLabel(text string, m []int) bool {
	sep := text[m[10]:m[11]]
	if strings.ContainsAny(sep, ":=") {
		return true
	}
	if sep == " " || strings.Trim(sep, " ") == "" && sep != "" {
		return strings.Contains(text[m[0]:m[10]], "_")
	}
	return strings.TrimSpace(text[strings.LastIndexByte(text[:m[0]], '\n')+1:m[0]]) == ""
}

// pastedText reads labelled values.
func pastedText(text string, now time.Time) (Set, error) {
	values, broken := map[string][]string{}, map[string]ValueError{}
	seen := map[string]bool{}
	for _, f := range labels(text) {
		seen[f.name] = true
		if f.name == nameExpiry {
			values[f.name] = append(values[f.name], f.line())
			continue
		}
		v, what := f.value()
		switch {
		case what != "":
			broken[f.name] = ValueError{Name: f.name, Length: len([]rune(v)), What: what}
		case v != "" && !slices.Contains(values[f.name], v):
			values[f.name] = append(values[f.name], v)
		}
	}
	if len(seen) == 0 {
		return Set{}, errNoValues
	}
	var wrong ValuesError
	one := func(name string, need bool) string {
		v := values[name]
		b, isBroken := broken[name]
		switch {
		case len(v) == 1:
			return v[0]
		case len(v) > 1:
			wrong = append(wrong, ValueError{Name: name, What: "is there twice, with different values: paste one set"})
		case isBroken:
			wrong = append(wrong, b)
		case need:
			wrong = append(wrong, ValueError{Name: name, What: missing})
		}
		return ""
	}
	s := Set{Credentials: aws.Credentials{AccessKeyID: one(nameID, true), SecretAccessKey: one(nameSecret, true)}}
	s.SessionToken = one(nameToken, seen[nameToken] || temporaryID(s.AccessKeyID))
	if len(wrong) > 0 {
		return Set{}, wrong
	}
	if told := values[nameExpiry]; len(told) > 0 {
		s.ends(earliest(told), now)
	}
	return s, nil
}

// earliest of the ends that can be read: a text with two has an older set's too.
func earliest(told []string) string {
	best := told[0]
	at, known := parseExpiry(best)
	for _, text := range told[1:] {
		if t, ok := parseExpiry(text); ok && (!known || t.Before(at)) {
			best, at, known = text, t, true
		}
	}
	return best
}
