package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/ownfile"
	"agent/cmd/internal/show"
	"agent/journal"
	"agent/transfer"
)

// detachOptions is the flag of runs that may go on without their terminal.
type detachOptions struct {
	detach bool
}

func (o *detachOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.detach, "detach", false, "go on in the background, also after logout: prints the job's ID and returns")
}

// outputName is the file in a job's folder that has what a detached run prints.
const outputName = "output"

// detachPoll is how often the parent looks whether the child holds the job.
const detachPoll = 20 * time.Millisecond

// detachSettle is how long a child that holds the job is still watched: what is
// refused at once is shown here, and not found the next morning.
const detachSettle = 2 * time.Second

// detached starts the command again as a process of its own, waits until that
// holds the job or has ended, and says how it is watched and stopped. The task
// is resolved, so that mistakes show here; the child resolves it again.
func (t *task) detached(ctx context.Context, job journal.Job, dir string) error {
	switch {
	case t.o.dryRun:
		return &dest.Mistake{Msg: "--detach and --dry-run can't go together", Hint: "a dry run is there to be read"}
	case t.o.filter.filesFrom == "-":
		return &dest.Mistake{Msg: "--detach can't read standard input (--files-from -)", Hint: "write the list to a file first"}
	}
	// Whoever finds the job held by another leaves no trace, and no child.
	if _, err := journal.Look(ctx, dir); errors.Is(err, journal.ErrBusy) || ctx.Err() != nil {
		return err
	}
	made := !exists(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &journal.UnusableError{Dir: dir, Err: err}
	}
	path := filepath.Join(dir, outputName)
	out, err := ownfile.Fresh(path, 0o600)
	if err != nil {
		return &journal.UnusableError{Dir: dir, Err: err}
	}
	// What a full disk does not take would be lost, and with it every reason.
	if _, err = out.WriteString(strings.Repeat("\n", 4<<10)); err == nil {
		err = out.Truncate(0)
	}
	if err != nil {
		_ = out.Close()
		_ = os.Remove(path)
		return &journal.UnusableError{Dir: dir, Err: err}
	}
	child, err := t.child(out)
	if err == nil {
		err = child.Start()
	}
	_ = out.Close()
	if err != nil {
		return fmt.Errorf("%w: the background process can't be started: %w", transfer.ErrLocal, err)
	}
	t.handedOver = true
	ended, err := waitDetached(ctx, child, dir)
	if err != nil {
		return err
	}
	if ended {
		return t.endedEarly(child.ProcessState.ExitCode(), path, made)
	}
	return t.sayDetached(job, dir, child.Process.Pid)
}

// child is this command without --detach, with nothing of this terminal.
func (t *task) child(out *os.File) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, undetached(rootCommand(t.name, t.std), t.std.args)...) //nolint:gosec,noctx // it is to outlive us
	cmd.Args[0] = t.name
	cmd.Stdout, cmd.Stderr = out, out // standard input is the null device
	cmd.SysProcAttr = apart()
	return cmd, nil
}

// undetached is args without --detach, however that is written.
func undetached(root *cobra.Command, args []string) []string {
	cmd, rest, err := root.Find(args)
	if err != nil {
		return args
	}
	kept := strings.Fields(strings.TrimPrefix(cmd.CommandPath(), root.Name()))
	for _, w := range words(cmd, rest) {
		if w.flag != "detach" {
			kept = append(kept, w.raw...)
		}
	}
	return kept
}

// waitDetached waits until the child holds the job in dir, or has ended. When
// ctx ends first, so does the child: nobody would know of it.
func waitDetached(ctx context.Context, child *exec.Cmd, dir string) (ended bool, err error) {
	over := make(chan struct{})
	go func() { // ends with the child, or with this process
		_ = child.Wait() // its state says how it went
		close(over)
	}()
	ctx, stop := untilSignal(ctx)
	defer stop()
	var settled <-chan time.Time
	for {
		if h, err := journal.ReadHolder(dir); settled == nil && err == nil && h.PID == child.Process.Pid {
			settled = time.After(detachSettle)
		}
		select {
		case <-over:
			return true, nil
		case <-settled:
			return false, nil
		case <-time.After(detachPoll):
		case <-ctx.Done():
			hangUp(child.Process)
			<-over
			return true, ctx.Err()
		}
	}
}

// endedEarly shows what a child said that has ended already: it had little to
// do, or found that it can't.
func (t *task) endedEarly(code int, path string, made bool) error {
	text, err := os.ReadFile(path)
	if err == nil {
		w := t.std.err
		if t.o.json && bytes.HasPrefix(text, []byte("{")) {
			w = t.std.out
		}
		_, _ = w.Write(text)
		_ = os.Remove(path)
	}
	if made {
		_ = os.Remove(filepath.Dir(path)) // unless it has become a job
	}
	switch {
	case code < 0: // by a signal
		code = exitLocal
	case code == exitDone:
		return nil
	}
	return &shownError{code}
}

// sayDetached tells of the run that goes on.
func (t *task) sayDetached(job journal.Job, dir string, pid int) error {
	output, log := filepath.Join(dir, outputName), firstOf(t.o.logFile, filepath.Join(dir, "log"))
	stop := fmt.Sprintf("kill %d", pid)
	if runtime.GOOS == "windows" {
		stop = fmt.Sprintf("taskkill /F /PID %d", pid)
	}
	notes := sessionNotes(os.DirFS("/"), os.Getuid(), os.Getenv, t.name)
	if t.login.Workspace == "" && t.uses(fromPaste) {
		notes = append(notes, fmt.Sprintf("it has no terminal: when it needs new credentials it waits for '%s creds paste %s'", t.name, t.pasteArguments()))
	}
	switch {
	case t.o.json:
		return encodeLine(t.std.out, struct {
			Type   string    `json:"type"` // "detached"
			Time   time.Time `json:"time"`
			Job    string    `json:"job"`
			PID    int       `json:"pid"`
			Output string    `json:"output"`
			Log    string    `json:"log"`
			Notes  []string  `json:"notes,omitempty"`
		}{"detached", time.Now().UTC().Truncate(time.Millisecond), job.ID, pid, output, log, notes})
	case t.o.quiet:
		_, err := fmt.Fprintln(t.std.out, job.ID)
		return err
	}
	say := func(format string, a ...any) { fmt.Fprintln(t.std.err, show.Clean(fmt.Sprintf(format, a...))) }
	state := ""
	if t.o.connection.named("state-dir", t.o.connection.stateDir) {
		state = " --state-dir " + shellWord(t.state)
	}
	say("%s %s → %s, job %s, goes on in the background as process %d", job.Direction, strings.Join(t.args, " "), t.destination(), job.ID, pid)
	say("  watch   %s jobs attach %s%s", t.name, job.ID, state)
	say("  stop    %s; to go on: %s jobs resume %s%s", stop, t.name, job.ID, state)
	say("  output  %s", output)
	say("  log     %s", log)
	for _, n := range notes {
		say("note: %s", n)
	}
	return nil
}
