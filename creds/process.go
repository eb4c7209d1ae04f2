package creds

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
)

// pipePatience is how long a killed credential_process may keep its output
// open. A child that it left behind holds the pipe, and the SDK waits for the
// pipe, without end.
const pipePatience = 2 * time.Second

// Process is one credential_process that was given by itself, without a
// profile. It is run anew at every call.
type Process struct {
	Command string // a line for the shell, as in an AWS profile
}

func (p Process) String() string { return "credential_process" }

// Renews is true: giving new sets is what such a program is for.
func (p Process) Renews() bool { return true }

// Retrieve runs the program. No error holds anything of its output.
func (p Process) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if strings.TrimSpace(p.Command) == "" {
		return aws.Credentials{}, errors.New("no command is given")
	}
	c, err := command(p.Command).Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, withoutOutput(err)
	}
	return c, nil
}

// processOf is the profile's credential_process under a context that reaches
// it and with a bound on its children; nil where the chain is not just that.
// The SDK's own is behind a cache that passes no cancellation on.
func processOf(cfg aws.Config, from []aws.CredentialSource) aws.CredentialsProvider {
	if !slices.Equal(from, []aws.CredentialSource{aws.CredentialSourceProfileProcess, aws.CredentialSourceProcess}) {
		return nil
	}
	shared := sharedOf(cfg)
	if shared.CredentialProcess == "" || shared.RoleARN != "" {
		return nil
	}
	return command(shared.CredentialProcess)
}

// command runs the program in this process's own environment.
func command(line string) aws.CredentialsProvider {
	build := processcreds.DefaultNewCommandBuilder{Args: []string{line}}
	return processcreds.NewProviderCommand(processcreds.NewCommandBuilderFunc(
		func(ctx context.Context) (*exec.Cmd, error) {
			cmd, err := build.NewCommand(ctx)
			if err == nil {
				cmd.WaitDelay = pipePatience
			}
			return cmd, err
		}))
}

func sharedOf(cfg aws.Config) config.SharedConfig {
	for _, s := range cfg.ConfigSources {
		if shared, ok := s.(config.SharedConfig); ok {
			return shared
		}
	}
	return config.SharedConfig{}
}

// errOutput replaces what the SDK says of a process's output, because the SDK
// quotes that output: whole credentials, when only their end is missing.
var errOutput = errors.New(`credential_process: its output is not {"Version": 1, "AccessKeyId": …, "SecretAccessKey": …}`)

// withoutOutput lets only those errors of a credential_process through that
// tell how it ended.
func withoutOutput(err error) error {
	var process *processcreds.ProviderError
	if !errors.As(err, &process) {
		return err
	}
	var (
		exit  *exec.ExitError
		start *exec.Error
	)
	if errors.As(err, &exit) || errors.As(err, &start) || errors.Is(err, exec.ErrWaitDelay) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return errOutput
}

var _ Source = Process{}
