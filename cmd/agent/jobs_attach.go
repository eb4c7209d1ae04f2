package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"agent/cmd/internal/show"
	"agent/journal"
)

func jobsAttachCommand(name string, s std) *cobra.Command {
	var asJSON bool
	cmd := onJob(name, &cobra.Command{
		Use:   "attach ID",
		Short: "Watch a running job until it ends",
		Long: `Shows how far a job is that another process runs, until it ends, and then how it
ended. On a terminal that is one line that is redrawn; elsewhere a line every ten
seconds. ^C ends the watching, not the job.

The exit code is that of the run; 8 if it was cut short and left none. A job that
nobody runs is told of at once.

With --json it prints one object a line, as 'jobs show --json' does: one whenever
the run tells how far it is, which is every two seconds, and one for its end.`,
		Example: fmt.Sprintf("  %[1]s jobs attach 6kuw", name),
	}, func(ctx context.Context, sh shelf, v *jobView) error {
		ctx, stop := untilSignal(ctx)
		defer stop()
		a := attaching{w: s.err, terminal: isTerminal(s.err), look: func(ctx context.Context) (*jobView, error) { return sh.look(ctx, v.id) }}
		if asJSON {
			a.terminal, a.json = false, s.out
		}
		return a.run(ctx, v)
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// attachEvery is how often a running job is looked at: as often as it tells.
const attachEvery = holderEvery

// attachLine is the time between two lines off a terminal.
const attachLine = 10 * time.Second

// attaching watches one job.
type attaching struct {
	w        io.Writer
	terminal bool
	json     io.Writer                               // takes objects in place of lines for people; nil for none
	look     func(context.Context) (*jobView, error) // nil: the job was removed
	drawn    time.Time
	rate     rate
}

func (a *attaching) run(ctx context.Context, v *jobView) error {
	watched := v.busy
	for v != nil && v.busy {
		if err := a.draw(v, time.Now()); err != nil {
			return err
		}
		select {
		case <-time.After(attachEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
		var err error
		if v, err = a.look(ctx); err != nil {
			return err
		}
	}
	a.clear()
	if v == nil {
		fmt.Fprintln(a.w, "the job was removed")
		return nil
	}
	return a.ended(v, watched)
}

// ended tells how the run ended.
func (a *attaching) ended(v *jobView, watched bool) error {
	state, why := v.state()
	if a.json != nil {
		if err := writeJobs(a.json, []*jobView{v}); err != nil {
			return err
		}
		return v.endedAs(state)
	}
	if !watched {
		fmt.Fprintf(a.w, "nobody runs job %s\n", v.id)
	}
	line := fmt.Sprintf("job %s is %s", v.id, state)
	if why != "" {
		line += ": " + why
	}
	st := v.stock()
	fmt.Fprintf(a.w, "%s; %s stored, left: %s\n", show.Clean(line), amount(st.filesDone, st.bytesDone), st.left())
	return v.endedAs(state)
}

// endedAs is the error with the exit code of the last run.
func (v *jobView) endedAs(state string) error {
	switch {
	case v.holder != nil || v.last == nil && state != jobFinished: // it was killed
		return &shownError{exitLocal}
	case v.last != nil && v.last.Exit != exitDone:
		return &shownError{v.last.Exit}
	}
	return nil
}

// draw shows how far the job is: at once, and then in its time.
func (a *attaching) draw(v *jobView, now time.Time) error {
	if v.holder == nil { // held, and nothing told yet
		return nil
	}
	if a.json != nil {
		if !v.holder.Updated.After(a.drawn) {
			return nil
		}
		a.drawn = v.holder.Updated
		return writeJobs(a.json, []*jobView{v})
	}
	a.rate.observe(v.holder.Updated, v.holder.Progress.BytesDone)
	if !a.terminal && now.Sub(a.drawn) < attachLine && !a.drawn.IsZero() {
		return nil
	}
	a.drawn = now
	line := show.Clean(progressLine(*v.holder, a.rate.perSecond(), now))
	if a.terminal {
		fmt.Fprintf(a.w, "\r\x1b[K%s", shortened(line, columnsOf(a.w)-1)) // so that no line wraps
		return nil
	}
	fmt.Fprintln(a.w, line)
	return nil
}

// columnsOf is the width of a terminal; 80 where it does not tell.
func columnsOf(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 1 {
			return columns
		}
	}
	return 80
}

func (a *attaching) clear() {
	if a.terminal {
		fmt.Fprint(a.w, "\r\x1b[K")
	}
}

// told is how old a word of a run may be before that is said.
const told = 15 * time.Second

func progressLine(h journal.Holder, perSecond float64, now time.Time) string {
	p := h.Progress
	line := fmt.Sprintf("%s/%s files  %s/%s", show.Count(int(p.FilesDone)), show.Count(int(p.FilesFound)), show.Bytes(p.BytesDone), show.Bytes(p.BytesFound))
	if perSecond > 0 && p.Waiting == "" {
		line += "  " + show.Rate(perSecond)
	}
	if old := now.Sub(h.Updated); old > told {
		line += "  last heard of " + show.Duration(old) + " ago"
	}
	if p.Waiting != "" {
		line += "  waiting for " + p.Waiting
	}
	return line
}

// rate is the speed over what was observed within the last half minute.
type rate struct {
	at    []time.Time
	bytes []int64
}

func (r *rate) observe(at time.Time, bytes int64) {
	if n := len(r.at); n > 0 && !at.After(r.at[n-1]) {
		return
	}
	r.at, r.bytes = append(r.at, at), append(r.bytes, bytes)
	for len(r.at) > 2 && at.Sub(r.at[0]) > 30*time.Second {
		r.at, r.bytes = r.at[1:], r.bytes[1:]
	}
}

func (r *rate) perSecond() float64 {
	n := len(r.at)
	if n < 2 {
		return 0
	}
	return float64(r.bytes[n-1]-r.bytes[0]) / r.at[n-1].Sub(r.at[0]).Seconds()
}
