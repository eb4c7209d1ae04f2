package creds

import (
	"encoding/json"
	"errors"
	"time"
)

// Login is what a login leaves behind.
type Login struct {
	Base       string // https://host/api
	Workspace  string
	Key        Secret    // the API key
	KeyExpires time.Time // as people said; zero when not known
}

// KeyEnding reports that the key ends within five days, or has ended, and how
// long there is left.
func (l Login) KeyEnding(now time.Time) (left time.Duration, soon bool) {
	if l.KeyExpires.IsZero() {
		return 0, false
	}
	left = l.KeyExpires.Sub(now)
	return left, left <= untilKeyWarning
}

// storedLogin is the form of the file. Login itself would show no key.
type storedLogin struct {
	Base       string `json:"base"`
	Workspace  string `json:"workspace"`
	Key        string `json:"api_key"`
	KeyExpires string `json:"api_key_expires,omitempty"`
}

var errStored = errors.New("is not what this program wrote")

// ReadLogin reads a stored login. The error is a *FileError; one that is
// fs.ErrNotExist says that nobody logged in.
func ReadLogin(path string) (Login, error) {
	text, err := readPrivate(path, 64<<10)
	if err != nil {
		return Login{}, err
	}
	var s storedLogin
	if err := json.Unmarshal(text, &s); err != nil {
		return Login{}, fileError(path, errStored) // the decoder's own would quote the text
	}
	key, err := checkKey("the API key", s.Key)
	if err != nil {
		return Login{}, fileError(path, err)
	}
	l := Login{Base: s.Base, Workspace: s.Workspace, Key: key}
	if s.KeyExpires != "" {
		if l.KeyExpires, err = time.Parse(time.RFC3339, s.KeyExpires); err != nil {
			return Login{}, fileError(path, errStored)
		}
	}
	return l, nil
}

// WriteLogin stores a login for this user only. Where the file system has no
// modes others can read it all the same: HasModes tells.
func WriteLogin(path string, l Login) error {
	key, err := checkKey("the API key", string(l.Key))
	if err != nil {
		return err
	}
	s := storedLogin{Base: l.Base, Workspace: l.Workspace, Key: string(key)}
	if !l.KeyExpires.IsZero() {
		s.KeyExpires = l.KeyExpires.UTC().Format(time.RFC3339)
	}
	text, err := json.MarshalIndent(s, "", "  ") //nolint:gosec // the file is there to hold it
	if err != nil {
		return err
	}
	return writePrivate(path, append(text, '\n'))
}
