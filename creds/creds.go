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
// A source may also have String() string, its name for people, and
// Files() []string, the files whose change makes it worth asking again.
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

func (a Answers) String() string {
	said := make([]string, 0, len(a))
	for _, one := range a {
		said = append(said, fmt.Sprintf("%s: %v", one.Source, one.Err))
	}
	return strings.Join(said, "; ")
}

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
	Waiting Kind = iota + 1 // credentials are wanted and no source has live ones: Asked says why
	Going                   // a live set is back after Waiting: Info says which
)

// Event is something people should know. It never holds a secret.
type Event struct {
	Kind  Kind
	Asked Answers
	Info  Info
}

// Info describes a set of credentials without its secrets.
type Info struct {
	Source  string
	Key     string    // the access key id, shortened
	Expires time.Time // by the server's clock; zero when it is not known
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

// shortKey is enough of an access key id to recognise it by. The id is no
// secret, but whole ids in logs invite copying.
func shortKey(id string) string {
	const ends = 4
	if len(id) < 3*ends {
		return "…" + id[len(id)-min(len(id), 2):]
	}
	return id[:ends] + "…" + id[len(id)-ends:]
}
