package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/show"
	"agent/transfer"
)

// unattendedOptions are the flags of runs that nobody watches.
type unattendedOptions struct {
	maxDuration span   // 0: without end
	statusFile  string // "" for none
	summary     string // where a line goes: see summary.go
}

func (o *unattendedOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(&o.maxDuration, "max-duration", "stop at a part's end after this long, e.g. 50m, 12h; exit code 6 if work is left")
	f.StringVar(&o.statusFile, "status-file", "", "write to `FILE` how the run ended: JSON, or Prometheus' text format if it ends in .prom")
	f.StringVar(&o.summary, "summary", "", summaryHelp)
}

// check finds before the run what would fail after it.
func (o *unattendedOptions) check() error {
	if err := checkSummary(o.summary); err != nil {
		return err
	}
	if o.statusFile == "" {
		return nil
	}
	fi, err := os.Stat(filepath.Dir(o.statusFile))
	if err == nil && !fi.IsDir() {
		err = errors.New("it is no directory")
	}
	if err != nil {
		return &dest.Mistake{Msg: fmt.Sprintf("--status-file %s: its directory can't be used: %v", o.statusFile, err), Hint: "make it, or name another file"}
	}
	return nil
}

// overtime is how long what is in flight may go on after --max-duration. Only
// what moves is waited for: whoever waits for the store or a token leaves at once.
const overtime = 2 * time.Minute

// limit stops the run when --max-duration is over.
func (s *session) limit(stopper *stopper) (cancel func()) {
	d := time.Duration(s.o.unattended.maxDuration)
	if d <= 0 {
		return func() {}
	}
	timer := time.AfterFunc(d-time.Since(s.begun), func() {
		if stopper.expire() {
			s.notice("stopping after --max-duration " + s.o.unattended.maxDuration.String() + ": what is in flight may finish")
		}
	})
	return func() { timer.Stop() }
}

// outOfTime reports an error that is but the end of --max-duration.
func (s *session) outOfTime(err error) bool {
	return s.stopper.expired() && s.stopper.code() == 0 && !transfer.Fatal(err) &&
		(errors.Is(err, transfer.ErrStopped) || s.stopper.killed() && err != nil)
}

// reported writes the status file and the summary line of a run that ended with
// err, and gives the command's error.
func (t *task) reported(err error) error {
	if t.o.dryRun || t.handedOver {
		return err
	}
	err = t.reportStatus(err)
	t.summarize(exitCode(err), err)
	return err
}

func (t *task) reportStatus(err error) error {
	file := t.o.unattended.statusFile
	code := exitCode(err)
	// One that found the job held leaves the file to the run that holds it.
	if file == "" || code == exitBusy {
		return err
	}
	werr := writeStatus(file, t.status(code, err))
	if werr == nil {
		return err
	}
	fmt.Fprintf(t.std.err, "%s: the status file can't be written: %s\n", t.name, show.Clean(werr.Error()))
	if err == nil {
		return &shownError{exitLocal}
	}
	return err
}
