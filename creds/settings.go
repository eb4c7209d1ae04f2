package creds

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Settings are what environment and AWS files say beside the credentials.
// Each is "" where neither says anything.
type Settings struct {
	Region   string
	Endpoint string // the URL for S3
	CABundle string // path of the PEM file to trust besides the system's
}

// LoadSettings reads them by the SDK's rules: the environment before the
// profile, a setting for S3 before one for every service. profile "" is
// AWS_PROFILE, or the default. The client may be nil; it is asked for nothing,
// unless the files say that the region comes from the instance.
func LoadSettings(ctx context.Context, profile string, client aws.HTTPClient) (Settings, error) {
	cfg, err := load(ctx, profile, client, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	if err != nil {
		return Settings{}, err
	}
	s := Settings{Region: cfg.Region, CABundle: os.Getenv("AWS_CA_BUNDLE")}
	if s.CABundle == "" {
		s.CABundle = sharedOf(cfg).CustomCABundle
	}
	s.Endpoint, err = endpoint(ctx, cfg)
	return s, err
}

// endpoint follows the S3 client, whose own code for it is not exported.
func endpoint(ctx context.Context, cfg aws.Config) (string, error) {
	ignore, _, err := config.GetIgnoreConfiguredEndpoints(ctx, cfg.ConfigSources)
	if err != nil || ignore {
		return "", err
	}
	for _, s := range cfg.ConfigSources {
		p, ok := s.(interface {
			GetServiceBaseEndpoint(context.Context, string) (string, bool, error)
		})
		if !ok {
			continue
		}
		if url, found, err := p.GetServiceBaseEndpoint(ctx, "S3"); err != nil || found {
			return url, err
		}
	}
	return aws.ToString(cfg.BaseEndpoint), nil
}

// awsFiles are the config and the credentials file.
func awsFiles() []string {
	files := []string{os.Getenv("AWS_CONFIG_FILE"), os.Getenv("AWS_SHARED_CREDENTIALS_FILE")}
	if files[0] == "" {
		files[0] = config.DefaultSharedConfigFilename()
	}
	if files[1] == "" {
		files[1] = config.DefaultSharedCredentialsFilename()
	}
	return files
}

// checkFiles finds what the SDK passes over in silence: it takes a file that it
// can't open for an empty one, and skips every line that it does not
// understand, so that people look for a profile they can plainly see.
func checkFiles() error {
	for _, path := range awsFiles() {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // the path is in ConfigError
		}
		if err == nil {
			err = checkText(text)
		}
		if err != nil {
			return &ConfigError{File: path, Err: err}
		}
	}
	return nil
}

// checkText never quotes a line: it may be a secret.
func checkText(text []byte) error {
	if bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
		return errors.New("begins with a byte order mark: save it as UTF-8 without one")
	}
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return errors.New("is not UTF-8 text")
	}
	section, n := false, 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			if !strings.Contains(line, "]") {
				return fmt.Errorf("line %d: a [section] without its ]", n)
			}
			section = true
		case !section:
			return fmt.Errorf("line %d: stands before the first [section]", n)
		}
	}
	return nil
}

// configError names what the SDK's error is about.
func configError(profile string, err error) error {
	profile = cmp.Or(profile, (&Chain{}).profile(), config.DefaultSharedConfigProfile)
	var (
		missing config.SharedConfigProfileNotExistError
		file    config.SharedConfigLoadError
	)
	switch {
	case errors.As(err, &file):
		return &ConfigError{File: file.Filename, Err: err}
	case errors.As(err, &missing):
		return &ConfigError{Profile: missing.Profile, File: strings.Join(awsFiles(), " or "), Err: noProfile{err}}
	default:
		return &ConfigError{Profile: profile, Err: err}
	}
}

// noProfile says shortly what the error within says at length.
type noProfile struct{ error }

func (noProfile) Error() string   { return "no such profile" }
func (e noProfile) Unwrap() error { return e.error }
