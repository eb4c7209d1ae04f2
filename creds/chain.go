package creds

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/smithy-go/logging"
)

// metadataPatience bounds the instance metadata service. Off EC2 nothing
// answers there, and its SDK client tries three times.
const metadataPatience = 5 * time.Second

// Chain is the SDK's own chain over files, profiles, credential_process, SSO,
// web identity, container and instance roles. It is built anew at every call,
// so that rewritten files and new processes are seen.
//
// The environment's static keys are not part of it: the SDK prefers them to
// any file, and once they are dead they would hide every other source.
type Chain struct {
	Profile string         // "" for AWS_PROFILE, or the default
	HTTP    aws.HTTPClient // for SSO, STS and the metadata services; the SDK's own when nil

	renews atomic.Bool // the last set that was got came from something that renews
}

func (c *Chain) String() string {
	if p := c.profile(); p != "" {
		return "profile " + p
	}
	return "AWS files and roles"
}

// Retrieve builds the chain and asks it. A *ConfigError says what is wrong with
// the files.
func (c *Chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	profile, shadowed, err := c.chosen()
	if err != nil {
		return aws.Credentials{}, err
	}
	cfg, err := load(ctx, profile, c.HTTP)
	if err != nil {
		var missing config.SharedConfigProfileNotExistError
		if shadowed && c.profile() == "" && errors.As(err, &missing) {
			return aws.Credentials{}, errNoFiles
		}
		return aws.Credentials{}, err
	}
	from := sourcesOf(cfg)
	if shadowed && ambient(from) {
		return aws.Credentials{}, errNoFiles
	}
	provider := cfg.Credentials
	if own := processOf(cfg, from); own != nil {
		provider = own
	}
	if slices.Contains(from, aws.CredentialSourceIMDS) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, metadataPatience)
		defer cancel()
	}
	got, err := provider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, c.plain(ctx, from, err)
	}
	c.renews.Store(slices.ContainsFunc(from, renewing))
	return got, nil
}

// Renews is true once a set came from something that gives new ones by itself,
// and false of a profile's static keys.
func (c *Chain) Renews() bool { return c.renews.Load() }

// renewing tells the sources that give new sets from those that hold one.
func renewing(s aws.CredentialSource) bool {
	switch s {
	case aws.CredentialSourceUndefined, aws.CredentialSourceCode, aws.CredentialSourceEnvVars,
		aws.CredentialSourceProfile, aws.CredentialSourceProfileSourceProfile:
		return false
	default:
		return true
	}
}

// errNoFiles is the answer where the environment's keys are dead and no file
// has others. The machine's own role is not tried then: whoever exported keys
// chose an identity, and the role's is another, most likely without the right
// to the same data, so that a wait would turn into a refusal.
var errNoFiles error = absent("no profile in the AWS files has credentials")

// errNoRole stands for the SDK's long text about its metadata client.
var errNoRole error = absent("no profile in the AWS files has credentials, and no instance role answers")

// chosen is the profile to name to the SDK, and whether the environment holds
// static keys. The SDK passes them over only for a profile that is named in
// the call, not for AWS_PROFILE, so then a name must be given.
func (c *Chain) chosen() (profile string, shadowed bool, err error) {
	env, err := config.NewEnvConfig()
	if err != nil {
		return "", false, err
	}
	shadowed = c.Profile == "" && env.Credentials.HasKeys()
	switch {
	case !shadowed:
		return c.Profile, false, nil
	case env.SharedConfigProfile != "":
		return env.SharedConfigProfile, true, nil
	default:
		return config.DefaultSharedConfigProfile, true, nil
	}
}

func (c *Chain) profile() string {
	for _, p := range []string{c.Profile, os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE")} {
		if p != "" {
			return p
		}
	}
	return ""
}

// Files are those whose change makes the chain worth asking again.
func (c *Chain) Files() []string {
	files := awsFiles()
	// `aws sso login` writes its token there, under a hashed name.
	files = append(files, filepath.Join(filepath.Dir(config.DefaultSharedConfigFilename()), "sso", "cache"))
	if f := os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"); f != "" {
		files = append(files, f)
	}
	return files
}

// plain makes the error of the chain fit to be shown.
func (c *Chain) plain(ctx context.Context, from []aws.CredentialSource, err error) error {
	if ctx.Err() == nil {
		err = withoutOutput(err, "")
	}
	if slices.Equal(from, []aws.CredentialSource{aws.CredentialSourceIMDS}) && c.profile() == "" {
		return errNoRole
	}
	return err
}

// load reads environment and files as the SDK does.
func load(ctx context.Context, profile string, client aws.HTTPClient, more ...func(*config.LoadOptions) error) (aws.Config, error) {
	if err := checkFiles(); err != nil {
		return aws.Config{}, err
	}
	opts := append([]func(*config.LoadOptions) error{
		config.WithLogger(logging.Nop{}), // it would write to the terminal
		config.WithSharedConfigProfile(profile),
		// The SDK's caches report an end five minutes early; a container's
		// credentials would be dead here while their issuer still repeats them.
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 0 }),
	}, more...)
	if client = forSDK(client); client != nil {
		opts = append(opts, config.WithHTTPClient(client),
			// The one for containers does not take it from there, and follows redirects with the token.
			config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = client }))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return aws.Config{}, configError(profile, err)
	}
	return cfg, nil
}

// forSDK is the client in the one type for which the SDK accepts a CA bundle,
// if the client has that form. With any other, AWS_CA_BUNDLE makes loading fail.
func forSDK(client aws.HTTPClient) aws.HTTPClient {
	if b, ok := client.(interface {
		Buildable() *awshttp.BuildableClient
	}); ok {
		return b.Buildable()
	}
	return client
}

func sourcesOf(cfg aws.Config) []aws.CredentialSource {
	if s, ok := cfg.Credentials.(aws.CredentialProviderSource); ok {
		return s.ProviderSources()
	}
	return nil
}

// ambient reports that the credentials would be the machine's, which no file
// asked for.
func ambient(from []aws.CredentialSource) bool {
	return len(from) == 1 && (from[0] == aws.CredentialSourceIMDS || from[0] == aws.CredentialSourceHTTP)
}
