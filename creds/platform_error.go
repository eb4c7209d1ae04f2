package creds

import (
	"strings"
	"time"
)

// PlatformKind is what went wrong with the platform, for the advice to give.
type PlatformKind uint8

// The kinds. Only Unreachable and Broken may pass by themselves.
const (
	NoLogin      PlatformKind = iota + 1 // nobody logged in for this workspace
	BadLogin                             // the stored login, the key file or a setting can't be used
	TokenIDGiven                         // a Token ID (a UUID) stands where the API key should
	KeyRefused                           // the key is wrong, revoked or over its 30 days, or of another workspace
	LoginOver                            // the login behind the key has ended: log in on the web page, make a new key
	LoginPage                            // a login page answered: the base URL is wrong, or the key is not for it
	NoWorkspace                          // no such workspace, or no such API at the base URL
	WrongMethod                          // the base URL leads to something else
	Unreachable                          // no answer
	Broken                               // the platform answers with an error of its own
	Unreadable                           // the answer holds no credentials, or no store
)

var platformTexts = map[PlatformKind]string{
	NoLogin:      "there is no login",
	BadLogin:     "the login can't be used",
	TokenIDGiven: "the key given is a Token ID, not an API key, and was refused",
	KeyRefused:   "the API key was refused",
	LoginOver:    "the login behind the API key has ended",
	LoginPage:    "a login page answered",
	NoWorkspace:  "there is no such workspace",
	WrongMethod:  "the base URL does not lead to the platform's API",
	Unreachable:  "no answer",
	Broken:       "the platform failed",
	Unreadable:   "the answer can't be used",
}

func (k PlatformKind) String() string {
	if text, ok := platformTexts[k]; ok {
		return text
	}
	return "unknown"
}

// Lasting reports that asking again changes nothing until somebody acts.
func (k PlatformKind) Lasting() bool { return k != Unreachable && k != Broken && k != Unreadable }

// PlatformError is what the platform, or the way to it, said in place of
// credentials. It holds no secret.
type PlatformError struct {
	Kind       PlatformKind
	Status     int       // of the answer; 0 where there was none
	Said       string    // the platform's own words, made fit to be shown; often ""
	KeyExpires time.Time // when the login's key ends, as was said at login; zero when not known
	Err        error     // more of what is wrong; may be nil
}

func (e *PlatformError) Error() string {
	parts := []string{e.Kind.String()}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if e.Status >= 300 {
		parts = append(parts, statusText(e.Status))
	}
	if e.Said != "" {
		parts = append(parts, e.Said)
	}
	return strings.Join(parts, ": ")
}

func (e *PlatformError) Unwrap() error { return e.Err }

// Is makes a missing login ErrAbsent.
func (e *PlatformError) Is(target error) bool { return target == ErrAbsent && e.Kind == NoLogin }
