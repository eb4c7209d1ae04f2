package creds

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	longestText  = 1 << 20 // bytes of an answer or a paste; real ones have some 2,000
	deepestJSON  = 32
	assumedLife  = time.Hour     // what the platform gives, where the end is not told
	firstEpoch   = 1_000_000_000 // 2001; below it a number is no point in time
	epochInMilli = 100_000_000_000
)

// Set is one set of credentials, and where they are for, as far as the issuer
// says. However it is printed, it shows no secret.
type Set struct {
	aws.Credentials
	Assumed bool // Expires is a guess: the end was not told, or without its time zone

	Bucket, Prefix, Region, Endpoint string // "" where not told
}

func (s Set) String() string {
	text := "key " + ShortKey(s.AccessKeyID)
	if s.CanExpire {
		text += " until " + s.Expires.UTC().Format(time.RFC3339)
	}
	return text
}

// Format keeps every verb from the secrets.
func (s Set) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalJSON writes String; the hand-over has its own form.
func (s Set) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// LogValue is String for slog.
func (s Set) LogValue() slog.Value { return slog.StringValue(s.String()) }

// The values of a set, as people know them.
const (
	nameID     = "access key id"
	nameSecret = "secret access key"
	nameToken  = "session token"
)

// ValueError says what is wrong with one value, by name and length only.
type ValueError struct {
	Name   string // "session token"
	Length int    // in characters; 0 when the value is missing
	What   string // "is missing"; "holds a space"
}

func (e ValueError) Error() string {
	if e.Length == 0 {
		return e.Name + " " + e.What
	}
	return fmt.Sprintf("%s (%d characters) %s", e.Name, e.Length, e.What)
}

// ValuesError is everything that is wrong with the values of one text.
type ValuesError []ValueError

func (e ValuesError) Error() string {
	said := make([]string, len(e))
	for i, one := range e {
		said[i] = one.Error()
	}
	return strings.Join(said, "; ")
}

const missing = "is missing"

// Errors of parseJSON. None quotes the text: it may be a secret, cut or mistyped.
var (
	errEmpty   = errors.New("is empty")
	errLong    = errors.New("is longer than 1 MiB")
	errHTML    = errors.New("is a web page, not credentials")
	errNotJSON = errors.New("is not a JSON object")
	errDeep    = errors.New("is nested too deeply")
	errUnwrap  = errors.New("has nothing at the unwrap path")
)

// The spellings of each value, normalised, the plainest first.
var (
	idNames       = []string{"accesskeyid", "accesskey", "accessid", "access"}
	secretNames   = []string{"secretaccesskey", "secretkey", "secret"}
	tokenNames    = []string{"sessiontoken", "token"}
	expiryNames   = []string{"expiration", "expirationdate", "expiresat"}
	bucketNames   = []string{"bucket", "bucketname"}
	prefixNames   = []string{"prefix"}
	regionNames   = []string{"region", "regionname"}
	endpointNames = []string{"endpoint", "endpointurl"}
)

// parseJSON reads the credentials in an issuer's answer, whichever of the known
// spellings its keys have. unwrap is the dotted path to the object that holds
// them. An end that can't be read, or has no time zone, is taken to be an hour
// after received; one that is not told at all leaves the set without an end.
func parseJSON(b []byte, unwrap string, received time.Time) (Set, error) {
	v, err := decode(b)
	if err != nil {
		return Set{}, err
	}
	obj, err := unwrapped(v, unwrap)
	if err != nil {
		return Set{}, err
	}
	f := fields{}
	f.fill(obj)
	s := Set{
		Credentials: aws.Credentials{
			AccessKeyID:     f.value(nameID, idNames),
			SecretAccessKey: f.value(nameSecret, secretNames),
			SessionToken:    f.value(nameToken, tokenNames),
		},
		Bucket:   f.text(bucketNames),
		Prefix:   f.text(prefixNames),
		Region:   f.text(regionNames),
		Endpoint: f.text(endpointNames),
	}
	for _, need := range []struct{ name, value string }{{nameID, s.AccessKeyID}, {nameSecret, s.SecretAccessKey}} {
		if need.value == "" && !f.told(need.name) {
			f.wrong = append(f.wrong, ValueError{Name: need.name, What: missing})
		}
	}
	if len(f.wrong) > 0 {
		return Set{}, f.wrong
	}
	if told, there := f.find(expiryNames); there && told != "" {
		s.ends(told, received)
	}
	return s, nil
}

// ends sets the end from what was told of it.
func (s *Set) ends(told string, now time.Time) {
	s.CanExpire = true
	var known bool
	if s.Expires, known = parseExpiry(told); !known {
		s.Expires, s.Assumed = now.Add(assumedLife), true
	}
}

// decode reads JSON of bounded size and depth.
func decode(b []byte) (any, error) {
	b = bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
	switch {
	case len(b) == 0:
		return nil, errEmpty
	case len(b) > longestText:
		return nil, errLong
	case b[0] == '<':
		return nil, errHTML
	case tooDeep(b):
		return nil, errDeep
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // a float would round an epoch in ms
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errNotJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotJSON // something follows: the text may be two answers
	}
	return v, nil
}

func tooDeep(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > deepestJSON {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// unwrapped follows the path; a number in it is an index.
func unwrapped(v any, path string) (map[string]any, error) {
	for step := range strings.SplitSeq(path, ".") {
		if step == "" {
			continue
		}
		switch at := v.(type) {
		case map[string]any:
			v = member(at, step)
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				return nil, errUnwrap
			}
			v = at[i]
		default:
			return nil, errUnwrap
		}
	}
	obj, ok := v.(map[string]any)
	switch {
	case ok:
		return obj, nil
	case path != "":
		return nil, errUnwrap
	default:
		return nil, errNotJSON
	}
}

// member prefers the exact name; the other spellings come in a fixed order.
func member(obj map[string]any, name string) any {
	if v, ok := obj[name]; ok {
		return v
	}
	var names []string
	for k := range obj {
		if normalise(k) == normalise(name) {
			names = append(names, k)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return obj[slices.Min(names)]
}

// normalise makes accessKeyId, access_key_id and AWS_ACCESS_KEY_ID one name.
func normalise(key string) string {
	key = strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(strings.TrimSpace(key)))
	return strings.TrimPrefix(key, "aws")
}

// fields are the members of an object by their normalised names.
type fields struct {
	values map[string][]string // more than one where spellings of one name differ in value
	odd    map[string]bool     // names whose value is no text
	wrong  ValuesError
}

func (f *fields) fill(obj map[string]any) {
	f.values, f.odd = map[string][]string{}, map[string]bool{}
	for key, v := range obj {
		key = normalise(key)
		var text string
		switch v := v.(type) {
		case string:
			text = strings.TrimSpace(v)
		case json.Number:
			text = v.String()
		case nil: // the same as not being there
			continue
		default:
			f.odd[key] = true
			continue
		}
		if text != "" && !slices.Contains(f.values[key], text) {
			f.values[key] = append(f.values[key], text)
		}
	}
}

// find is the first of the spellings that is there.
func (f *fields) find(names []string) (string, bool) {
	for _, n := range names {
		if v := f.values[n]; len(v) > 0 {
			return slices.Min(v), true
		}
	}
	return "", false
}

func (f *fields) text(names []string) string {
	v, _ := f.find(names)
	return v
}

// value is one that a request will carry: it must be whole.
func (f *fields) value(name string, spellings []string) string {
	for _, n := range spellings {
		v := f.values[n]
		switch {
		case len(v) > 1:
			f.wrong = append(f.wrong, ValueError{Name: name, What: "is there twice, with different values"})
			return ""
		case len(v) == 1:
			if what := damage(v[0]); what != "" {
				f.wrong = append(f.wrong, ValueError{Name: name, Length: len([]rune(v[0])), What: what})
				return ""
			}
			return v[0]
		case f.odd[n]:
			f.wrong = append(f.wrong, ValueError{Name: name, What: "is not a text"})
			return ""
		}
	}
	return ""
}

func (f *fields) told(name string) bool {
	return slices.ContainsFunc(f.wrong, func(e ValueError) bool { return e.Name == name })
}
