// Package creds holds the sources of credentials and the provider that keeps
// the live ones: it asks the sources ahead of expiry, swaps new ones in, drops
// those that were refused, and lets everybody wait for the next. It knows
// nothing of S3 or files to send.
package creds

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// ErrNone says that there are no live credentials now. Errors that carry what
// the sources answered are of type *NoneError.
var ErrNone = errors.New("no live credentials")

// ErrClosed is what waiting ends with once the provider is closed.
var ErrClosed = errors.New("credentials provider is closed")

// Source is one place that issues credentials. Retrieve asks it anew: a source
// keeps no copy of its own. It is called by one goroutine at a time.
//
// A source may also have
//   - String() string, its name for people;
//   - Files() []string, the files whose change makes it worth asking again;
//   - Renews() bool, whether it is expected to give new sets with nobody's
//     help; false when it has no such method. Any goroutine may ask that;
//   - Dedicated() bool, whether its credentials were given for this very
//     destination, so that they may step in for those of an earlier source.
type Source interface {
	Retrieve(ctx context.Context) (aws.Credentials, error)
}

// Answer is what one source said when it had nothing to give.
type Answer struct {
	Source string
	Err    error // without secrets
}

// Answers are those of one round, in the order the sources were asked.
type Answers []Answer

// String is what went wrong. Sources that are not set up are left out, unless
// there are no others.
func (a Answers) String() string {
	var said, names []string
	for _, one := range a {
		names = append(names, one.Source)
		if !errors.Is(one.Err, ErrAbsent) {
			said = append(said, fmt.Sprintf("%s: %v", one.Source, one.Err))
		}
	}
	if len(said) == 0 && len(names) > 0 {
		return "none are set up (" + strings.Join(names, ", ") + ")"
	}
	return strings.Join(said, "; ")
}

// ErrAbsent is the answer of a source that is not set up: nothing is wrong with
// it, there just is nothing to ask.
var ErrAbsent = errors.New("is not set up")

// absent is ErrAbsent in the source's own words.
type absent string

func (e absent) Error() string        { return string(e) }
func (e absent) Is(target error) bool { return target == ErrAbsent }

// NoneError is ErrNone with the last round of answers.
type NoneError struct {
	Asked Answers // empty when no source was asked yet
	Cause error   // why the waiting ended: the context's error, or ErrClosed; may be nil
}

func (e *NoneError) Error() string {
	text := ErrNone.Error()
	if len(e.Asked) > 0 {
		text += ": " + e.Asked.String()
	}
	return text
}

func (e *NoneError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrNone}
	}
	return []error{ErrNone, e.Cause}
}

// Kind says what an Event is about.
type Kind uint8

// The kinds.
const (
	Waiting Kind = iota + 1 // credentials are wanted and no source has live ones: Asked says why; told again when that changes
	Going                   // a live set is back after Waiting: Info says which
)

// Event is something people should know. It never holds a secret.
type Event struct {
	Kind  Kind
	Asked Answers
	Info  Info
}

// Info describes a set of credentials without its secrets. The lengths of time
// are by the server's clock as far as it is known.
type Info struct {
	Source  string
	Key     string        // the access key id, shortened
	Account string        // of whoever the key belongs to; "" when the source does not say
	Expires time.Time     // by the server's clock; zero when it is not known
	Left    time.Duration // until Expires; 0 when that is not known, or past
	Refresh time.Duration // until the sources are asked for the next set; 0 when that is now, or not known
	Life    time.Duration // from when it was installed to Expires; 0 when that is not known
}

// Describe names a set for people: "key ASIA…WXYZ from paste, account
// 123456789012". It holds no secret.
func Describe(c aws.Credentials) string {
	text := "key " + ShortKey(c.AccessKeyID)
	if c.Source != "" {
		text += " from " + c.Source
	}
	if c.AccountID != "" {
		text += ", account " + c.AccountID
	}
	return text
}

// ConfigError is a setting that people wrote and that can't be used: a profile
// that does not exist, a file that can't be read.
type ConfigError struct {
	Profile string // "" where it does not concern one profile
	File    string // "" where it is not known which file is at fault
	Err     error
}

func (e *ConfigError) Error() string {
	var at []string
	if e.Profile != "" {
		at = append(at, fmt.Sprintf("profile %q", e.Profile))
	}
	if e.File != "" {
		at = append(at, e.File)
	}
	text := strings.Join(strings.Fields(e.Err.Error()), " ") // the SDK's may have several lines
	return strings.Join(at, " in ") + ": " + text
}

func (e *ConfigError) Unwrap() error { return e.Err }

// nameOf is what people call the source.
func nameOf(s Source) string {
	if n, ok := s.(fmt.Stringer); ok {
		return n.String()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", s), "*")
}

// ShortKey is enough of an access key id to recognise it by. The id is no
// secret, but whole ids in logs invite copying.
func ShortKey(id string) string {
	const ends = 4
	if len(id) < 3*ends {
		return "…" + id[len(id)-min(len(id), 2):]
	}
	return id[:ends] + "…" + id[len(id)-ends:]
}
