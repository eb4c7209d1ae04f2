// Command sandbox is a local stand-in for the platform the agent uploads to: a
// real S3 server (versitygw), the platform's token API in front of it, and
// short-lived session tokens the S3 server enforces itself.
//
// It knows nothing of the agent: tests, demonstrations and benchmarks start it
// as a child process and talk to it over HTTP only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes of the command.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default handling is back, so a second one
	// ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run chooses the command and turns its error into a line and an exit code.
// Without a command, or with flags only, it serves.
func run(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
	command := runServe
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			args = args[1:]
		case "token":
			command, args = runToken, args[1:]
		}
	}
	err := command(ctx, args, stdout, stderr)
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsageShown):
		return exitUsage
	case errors.As(err, &usage):
		say(stderr, "sandbox: %v\n", err)
		return exitUsage
	default:
		say(stderr, "sandbox: %v\n", err)
		return exitError
	}
}

// usageError marks a command line that can't be run as written.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// errUsageShown is a usage error the flag package has already told about.
var errUsageShown = errors.New("usage shown")

// parseFlags parses a command line that takes flags only.
func parseFlags(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return errUsageShown
	case fs.NArg() > 0:
		return &usageError{fmt.Errorf("unexpected argument %q", fs.Arg(0))}
	}
	return nil
}

// say writes for people; a terminal that is gone is not worth an error.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
