package creds

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// EnvFile is a file with the lines that the platform's page copies
// (ACCESS_KEY_ID=…), or with any other text that ParsePaste takes. It is read
// anew each time, and refused when others can read it.
type EnvFile struct {
	Path string
}

func (e EnvFile) String() string { return "env file " + e.Path }

// Files is the file.
func (e EnvFile) Files() []string { return []string{e.Path} }

// Renews is false: somebody has to write the file.
func (e EnvFile) Renews() bool { return false }

// Retrieve reads the file. The errors are of type *FileError. An end that is
// not in the file, or not with its time zone, is not guessed at: a guess would
// slide with every reading, so the store's refusal is the truth.
func (e EnvFile) Retrieve(context.Context) (aws.Credentials, error) {
	text, err := readPrivate(e.Path, longestText)
	if err != nil {
		return aws.Credentials{}, err
	}
	s, err := ParsePaste(string(text), time.Time{})
	if err != nil {
		return aws.Credentials{}, fileError(e.Path, err)
	}
	if s.Assumed {
		s.CanExpire, s.Expires = false, time.Time{}
	}
	s.Source = e.String()
	return s.Credentials, nil
}

var _ Source = EnvFile{}
