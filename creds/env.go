package creds

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Environment is the source of the static keys in the environment:
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and
// AWS_CREDENTIAL_EXPIRATION (RFC 3339) where whoever exported them knew it.
type Environment struct {
	Getenv func(string) string // os.Getenv when nil
}

func (e Environment) String() string { return "environment" }

// Renews is false: a process's environment stays as it is.
func (e Environment) Renews() bool { return false }

// Retrieve reads the variables. An expiration that can't be read is passed
// over: the store's refusal is the truth anyway.
func (e Environment) Retrieve(context.Context) (aws.Credentials, error) {
	get := func(names ...string) string {
		for _, name := range names {
			if v := e.getenv(name); v != "" {
				return v
			}
		}
		return ""
	}
	// The second spellings are old, and the SDK still reads them.
	c := aws.Credentials{
		AccessKeyID:     get("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"),
		SecretAccessKey: get("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"),
		SessionToken:    get("AWS_SESSION_TOKEN"),
		AccountID:       get("AWS_ACCOUNT_ID"),
		Source:          e.String(),
	}
	switch {
	case c.AccessKeyID == "" && c.SecretAccessKey == "":
		return aws.Credentials{}, absent("AWS_ACCESS_KEY_ID is not set")
	case c.AccessKeyID == "":
		return aws.Credentials{}, errors.New("AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not")
	case c.SecretAccessKey == "":
		return aws.Credentials{}, errors.New("AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not")
	}
	if t, err := time.Parse(time.RFC3339, get("AWS_CREDENTIAL_EXPIRATION")); err == nil {
		c.CanExpire, c.Expires = true, t
	}
	return c, nil
}

func (e Environment) getenv(name string) string {
	if e.Getenv != nil {
		return e.Getenv(name)
	}
	return os.Getenv(name)
}

var (
	_ Source = Environment{}
	_ Source = (*Chain)(nil)
	_ Source = aws.CredentialsProvider(nil)

	_ aws.CredentialsProvider = (*Provider)(nil)
	_ fmt.Stringer            = Environment{}
)
