package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/show"
	"agent/journal"
)

func jobsResumeCommand(name string, s std) *cobra.Command {
	var all bool
	cmd := onShelf(name, &cobra.Command{
		Use:   "resume ID | --all",
		Short: "Run a job's command again: it goes on from the last part",
		Long: `Runs the command of an unfinished job again, in the directory where it was
started and with the settings it had then (endpoint, region, profile and the like,
where nothing else is set now). Credentials are this run's own.

The values of ` + "--" + strings.Join(secretFlags, " and --") + ` are not kept, because there may
be secrets in them: such a job is run again by hand, or with the variable
` + variable("CREDENTIAL_PROCESS") + `.

With --all it resumes every unfinished job that nobody runs, one after the other.
The exit code is the job's; with --all that of the first one that did not end
with 0. A signal ends the job that runs, and no other is begun.`,
		Example: fmt.Sprintf("  %[1]s jobs resume 6kuw\n  %[1]s jobs resume --all", name),
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return none(cmd, args)
			}
			return one(cmd, args)
		},
	}, func(ctx context.Context, sh shelf, args []string) error {
		if all {
			return sh.resumeAll(ctx, s)
		}
		v, err := sh.find(ctx, args[0])
		if err != nil {
			return err
		}
		if err := v.resumable(name); err != nil {
			return err
		}
		return v.resume(ctx, sh, s)
	})
	cmd.Flags().BoolVar(&all, "all", false, "every unfinished job that nobody runs")
	return cmd
}

// resumable says why a job can't be run again from what is kept of it.
func (v *jobView) resumable(name string) error {
	switch {
	case v.busy:
		return v.heldError()
	case len(v.command.Args) == 0:
		return &dest.Mistake{Msg: "how job " + v.id + " was started is not known: an older " + program + " ran it",
			Hint: "run its command again by hand: " + v.what()}
	case len(v.command.LeftOut) > 0 && os.Getenv(variable("CREDENTIAL_PROCESS")) == "":
		return &dest.Mistake{Msg: fmt.Sprintf("job %s was started with %s, which is not kept: there may be secrets in it", v.id, strings.Join(v.command.LeftOut, ", ")),
			Hint: fmt.Sprintf("run its command again by hand (%s jobs show %s), or set %s", name, v.id, variable("CREDENTIAL_PROCESS"))}
	}
	return nil
}

func (v *jobView) heldError() error {
	e := &journal.BusyError{Dir: v.dir}
	if v.holder != nil {
		e.Holder = *v.holder
	}
	return e
}

// resume runs the job's command in this process. It is the job's own run that
// speaks; the error is a *shownError, or why there was no run.
func (v *jobView) resume(ctx context.Context, sh shelf, s std) error {
	leave, err := v.enter(sh)
	if err != nil {
		return err
	}
	defer leave()
	s.job = v.id
	if code := run(ctx, append([]string{sh.name}, v.command.Args...), s); code != exitDone {
		return &shownError{code}
	}
	return nil
}

// enter goes to where the job was started, with the settings it had then.
func (v *jobView) enter(sh shelf) (leave func(), err error) {
	here, err := os.Getwd()
	if err != nil {
		here = sh.state
	}
	if err := os.Chdir(v.command.Dir); err != nil {
		return nil, &dest.Mistake{Msg: fmt.Sprintf("job %s was started in a directory that can't be entered: %v", v.id, err),
			Hint: "bring it back, or run the job's command again elsewhere"}
	}
	set := map[string]string{}
	for name, value := range v.command.Env {
		if os.Getenv(name) == "" {
			set[name] = value
		}
	}
	set[variable("STATE_DIR")] = sh.state // where we found it
	restore := environ(set, nil)
	return func() {
		restore()
		_ = os.Chdir(here)
	}, nil
}

// mayRun refuses another job than the one that is to be resumed.
func (s std) mayRun(j journal.Job) error {
	if s.job == "" || s.job == j.ID {
		return nil
	}
	return &dest.Mistake{Msg: fmt.Sprintf("here the command of job %s would be another job, %s: to s3://%s/%s at %s", s.job, j.ID, j.Bucket, j.Prefix, firstOf(j.Endpoint, "AWS")),
		Hint: "endpoint, bucket or sources are not what they were: check the environment (AWS_ENDPOINT_URL, " + variable("BUCKET") + ") and the AWS files"}
}

// resumeAll resumes what is unfinished and idle, one after the other.
func (sh shelf) resumeAll(ctx context.Context, s std) error {
	jobs, err := sh.all(ctx)
	if err != nil {
		return err
	}
	code, tried := exitDone, 0
	for _, v := range jobs {
		state, _ := v.state()
		if state == jobRunning || state == jobWaiting || state == jobFinished {
			continue
		}
		tried++
		err := v.fault
		if err == nil {
			err = v.resumable(sh.name)
		}
		if err == nil {
			err = v.resume(ctx, sh, s)
		}
		if errors.Is(err, journal.ErrBusy) {
			continue // somebody was faster
		}
		var shown *shownError
		if err != nil && !errors.As(err, &shown) {
			what, hint := explain(err)
			fmt.Fprintf(s.err, "%s: %s\n  %s\n", sh.name, show.Clean(what), show.Clean(hint))
		}
		if got := exitCode(err); code == exitDone {
			code = got
		}
		if got := exitCode(err); got > exitSignal || ctx.Err() != nil {
			code = got
			break
		}
	}
	if tried == 0 {
		fmt.Fprintln(s.err, "no job is unfinished and idle")
	}
	if code != exitDone {
		return &shownError{code}
	}
	return nil
}
