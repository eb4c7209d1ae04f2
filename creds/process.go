package creds

import (
	"context"
	"errors"
	"os"
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
	return program(p.Command).Retrieve(ctx)
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
	return program(shared.CredentialProcess)
}

// program is a credential_process. It runs in this process's own environment,
// but without its terminal: there it would take what is pasted into a prompt,
// and write over the bar.
type program string

func (p program) Retrieve(ctx context.Context) (aws.Credentials, error) {
	build := processcreds.DefaultNewCommandBuilder{Args: []string{string(p)}}
	said, w, err := listen()
	if err != nil {
		return aws.Credentials{}, err
	}
	c, err := processcreds.NewProviderCommand(processcreds.NewCommandBuilderFunc(
		func(ctx context.Context) (*exec.Cmd, error) {
			cmd, err := build.NewCommand(ctx)
			if err == nil {
				cmd.WaitDelay = pipePatience
				cmd.Stdin, cmd.Stderr = nil, w
			}
			return cmd, err
		})).Retrieve(ctx)
	_ = w.Close()
	line := said.line()
	if err != nil {
		return aws.Credentials{}, withoutOutput(err, line)
	}
	return c, nil
}

// tail is the end of what a program writes on standard error. It is read
// through a pipe of our own: os/exec would wait for a child that holds it open.
type tail struct {
	r    *os.File
	done chan struct{}
	text []byte // to be read after done
}

const longestTail = 4 << 10

func listen() (*tail, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	t := &tail{r: r, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		for b := make([]byte, longestTail); ; {
			n, err := r.Read(b)
			t.text = append(t.text, b[:n]...)
			t.text = t.text[max(0, len(t.text)-longestTail):]
			if err != nil {
				return
			}
		}
	}()
	return t, w, nil
}

// line ends the listening, and is the last line that says anything, fit to be
// shown. What a child that lives on has still to say is of no interest.
func (t *tail) line() string {
	_ = t.r.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	<-t.done
	_ = t.r.Close()
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return redact(lines[len(lines)-1])
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

// processError is how a credential_process ended, and what it said of it.
type processError struct {
	err  error
	said string // "" where it said nothing
}

func (e *processError) Error() string {
	text := e.err.Error()
	var exit *exec.ExitError
	if errors.As(e.err, &exit) {
		text = "credential_process: " + exit.Error() // without the library's words around it
	}
	if e.said != "" {
		text += ": " + e.said
	}
	return text
}

func (e *processError) Unwrap() error { return e.err }

// withoutOutput lets only those errors of a credential_process through that
// tell how it ended.
func withoutOutput(err error, said string) error {
	var (
		process *processcreds.ProviderError
		known   *processError
	)
	if errors.As(err, &known) || !errors.As(err, &process) {
		return err
	}
	var (
		exit  *exec.ExitError
		start *exec.Error
	)
	if errors.As(err, &exit) || errors.As(err, &start) || errors.Is(err, exec.ErrWaitDelay) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &processError{err: err, said: said}
	}
	return errOutput
}

var (
	_ Source = Process{}
	_ Source = program("")
)
