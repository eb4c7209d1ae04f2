package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/journal"
	"agent/transfer"
)

func jobsCommand(name string, s std) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List, watch, resume and forget jobs",
		Long: `A job is what the same command makes again: its sources and its destination.
What it has achieved is kept in a folder of its own, so that it can be resumed.
An ID may be cut short, as long as it fits one job only.`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(jobsListCommand(name, s), jobsShowCommand(name, s), jobsResumeCommand(name, s), jobsAttachCommand(name, s),
		jobsAbortCommand(name, s), jobsRemoveCommand(name, s), jobsPruneCommand(name, s))
	return cmd
}

// jobsOptions say where jobs are remembered.
type jobsOptions struct {
	stateDir string
}

func (o *jobsOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.stateDir, "state-dir", "", "where jobs are kept `DIR` (default: "+variable("STATE_DIR")+", else the system's place)")
}

// shelf is where jobs are remembered.
type shelf struct {
	name  string // of the program
	state string
}

func (o *jobsOptions) shelf(name string) (shelf, error) {
	state, err := stateDir(o.stateDir)
	return shelf{name: name, state: state}, err
}

// onShelf makes of cmd a command about the jobs that are remembered.
func onShelf(name string, cmd *cobra.Command, do func(ctx context.Context, sh shelf, args []string) error) *cobra.Command {
	var o jobsOptions
	o.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sh, err := o.shelf(name)
		if err != nil {
			return err
		}
		return do(cmd.Context(), sh, args)
	}
	return cmd
}

// onJob makes of cmd a command about the one job that is named.
func onJob(name string, cmd *cobra.Command, do func(ctx context.Context, sh shelf, v *jobView) error) *cobra.Command {
	cmd.Args = one
	return onShelf(name, cmd, func(ctx context.Context, sh shelf, args []string) error {
		v, err := sh.find(ctx, args[0])
		if err != nil {
			return err
		}
		return do(ctx, sh, v)
	})
}

// ids lists the jobs that have a folder.
func (s shelf) ids() ([]string, error) {
	dir := filepath.Join(s.state, "jobs")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &stateError{what: "the jobs in " + dir + " can't be read", err: plainPath(err)}
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// stateError is that the state directory is of no use to this user.
type stateError struct {
	what string
	err  error
}

func (e *stateError) Error() string   { return e.what + ": " + e.err.Error() }
func (e *stateError) Unwrap() []error { return []error{transfer.ErrLocal, e.err} }
func (e *stateError) hint() string {
	return "name a folder of your own on a local disk: --state-dir DIR, or " + variable("STATE_DIR")
}

// all looks at every job; the last one that did anything comes first.
func (s shelf) all(ctx context.Context) ([]*jobView, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	var jobs []*jobView
	for _, id := range ids {
		v, err := s.look(ctx, id)
		if err != nil {
			return nil, err
		}
		if v != nil {
			jobs = append(jobs, v)
		}
	}
	slices.SortStableFunc(jobs, func(a, b *jobView) int {
		return cmp.Or(b.seen().Compare(a.seen()), cmp.Compare(a.id, b.id))
	})
	return jobs, nil
}

// whole is the one id that begins so.
func (s shelf) whole(id string) (string, error) {
	ids, err := s.ids()
	if err != nil {
		return "", err
	}
	var found []string
	for _, have := range ids {
		if have == id {
			found = []string{have}
			break
		}
		if id != "" && strings.HasPrefix(have, strings.ToLower(id)) {
			found = append(found, have)
		}
	}
	switch len(found) {
	case 0:
		return "", &dest.Mistake{Msg: fmt.Sprintf("there is no job %q", id), Hint: fmt.Sprintf("see '%s jobs list'; jobs are looked for in %s", s.name, s.state)}
	case 1:
	default:
		return "", &dest.Mistake{Msg: fmt.Sprintf("%d jobs begin with %q", len(found), id), Hint: "write more of its id: " + strings.Join(found[:min(5, len(found))], ", ")}
	}
	return found[0], nil
}

// find looks at the one job whose id begins so.
func (s shelf) find(ctx context.Context, id string) (*jobView, error) {
	id, err := s.whole(id)
	if err != nil {
		return nil, err
	}
	v, err := s.look(ctx, id)
	if v == nil && err == nil {
		err = &dest.Mistake{Msg: fmt.Sprintf("nothing is known of job %q", id), Hint: "it may have been removed just now"}
	}
	return v, err
}

// jobView is what is known of one job, without holding it.
type jobView struct {
	id, dir string
	job     journal.Job     // as far as it is known
	command journal.Command // how it was run last; zero where an older program ran it
	glance  journal.Glance  // zero while it runs
	busy    bool            // somebody holds it now
	holder  *journal.Holder // who holds it, or held it until he was killed
	last    *journal.Outcome
	fault   error // why the journal can't be read
	disk    int64
}

// look gathers what is known of a job; nil where there is nothing.
func (s shelf) look(ctx context.Context, id string) (*jobView, error) {
	v := &jobView{id: id, dir: filepath.Join(s.state, "jobs", id)}
	if c, err := journal.ReadCommand(v.dir); err == nil {
		v.command, v.job = c, c.Job
	}
	// The holder before the journal: one that ends meanwhile is not taken for killed.
	if h, err := journal.ReadHolder(v.dir); err == nil {
		v.holder = &h
	}
	var err error
	v.glance, err = journal.Look(ctx, v.dir)
	switch {
	case err == nil:
		v.job = v.glance.Job
		if _, err := journal.ReadHolder(v.dir); err != nil {
			v.holder = nil
		}
	case errors.Is(err, journal.ErrBusy):
		v.busy = true
		if h, err := journal.ReadHolder(v.dir); err == nil {
			v.holder = &h
		}
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !errors.Is(err, fs.ErrNotExist):
		v.fault = err
	case v.command.ID == "":
		return nil, nil // an empty folder, or one with a log alone
	}
	if o, err := journal.ReadOutcome(v.dir); err == nil {
		v.last = &o
	}
	v.disk = sizeOnDisk(v.dir)
	return v, nil
}

func sizeOnDisk(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what can't be seen, or is gone, counts nothing
		}
		if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() {
			sum += fi.Size()
		}
		return nil
	})
	return sum
}

// The states of a job.
const (
	jobRunning    = "running"
	jobWaiting    = "waiting"
	jobFinished   = "finished"
	jobUnfinished = "unfinished"
	jobUnreadable = "unreadable"
)

// endings say in a few words what an exit code means for a job.
var endings = map[int]string{
	exitFailures: "files failed", exitUsage: "wrong use", exitCredentials: "no credentials came", exitUnreachable: "store was away",
	exitStopped: "stopped on purpose", exitRefused: "refused", exitLocal: "local fault", 129: "hung up", 130: "interrupted", 143: "terminated",
}

// state is how the job is, and why if it is not finished.
func (v *jobView) state() (state, why string) {
	switch {
	case v.busy && v.holder != nil && v.holder.Progress.Waiting != "":
		return jobWaiting, v.holder.Progress.Waiting
	case v.busy:
		return jobRunning, ""
	case v.fault != nil:
		return jobUnreadable, v.fault.Error()
	case v.holder != nil: // left by one who did not get to remove it
		return jobUnfinished, "cut short"
	case v.last == nil && v.glance.Mark.Finished:
		return jobFinished, ""
	case v.last == nil:
		return jobUnfinished, "cut short"
	case v.last.Exit == exitDone && v.glance.Mark.Finished:
		return jobFinished, ""
	case v.last.Exit == exitDone:
		return jobUnfinished, "its journal was lost"
	case v.last.Exit == exitFailures && v.last.FilesFailed > 0:
		return jobUnfinished, fmt.Sprintf("%d failed", v.last.FilesFailed)
	case v.last.Exit == exitFailures && v.last.Error != "": // no file: a --delete that deleted nothing
		return jobUnfinished, v.last.Error
	}
	return jobUnfinished, firstOf(endings[v.last.Exit], fmt.Sprintf("exit code %d", v.last.Exit))
}

// seen is when the job did something last.
func (v *jobView) seen() time.Time {
	switch {
	case v.holder != nil:
		return v.holder.Updated
	case v.last != nil:
		return v.last.Ended
	case !v.glance.Changed.IsZero():
		return v.glance.Changed
	}
	return v.job.Started
}

// begun reports whether it is known when the job began: not where its journal was
// rescued without that.
func (v *jobView) begun() bool { return v.job.Started.Unix() > 0 }

// stock is what is stored, and what is left as far as is known.
type stock struct {
	filesDone, bytesDone, filesLeft, bytesLeft int64
	leftKnown                                  bool // something is known of what is left
	all                                        bool // and that is all
}

func (v *jobView) stock() stock {
	st := stock{filesDone: v.glance.Files, bytesDone: v.glance.Bytes}
	for _, u := range v.glance.Uploads {
		st.bytesDone += storedBytes(u.Parts)
	}
	state, _ := v.state()
	switch {
	case v.holder != nil && !v.holder.Updated.IsZero():
		p := v.holder.Progress
		if v.busy {
			st.filesDone, st.bytesDone = p.FilesDone, p.BytesDone
		}
		st.filesLeft, st.bytesLeft, st.leftKnown = max(0, p.FilesFound-p.FilesDone), max(0, p.BytesFound-p.BytesDone), true
	case state == jobFinished:
		st.leftKnown, st.all = true, true
	case v.last != nil:
		st.filesLeft, st.bytesLeft = v.last.FilesLeft+v.last.FilesFailed, v.last.BytesLeft+v.last.BytesFailed
		st.leftKnown, st.all = v.last.Scanned || st.filesLeft > 0, v.last.Scanned
	}
	return st
}

// one is a check of arguments: exactly one job.
func one(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	msg := "no job is named"
	if len(args) > 1 {
		msg = "more than one job is named"
	}
	list := cmd.Parent().CommandPath() + " list"
	return &dest.Mistake{Msg: msg, Hint: "name one by its id: see '" + list + "'"}
}

// none is a check of arguments: there are to be none.
func none(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &dest.Mistake{Msg: fmt.Sprintf("%q is too much", args[0]), Hint: "see '" + cmd.CommandPath() + " --help'"}
}
