package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/show"
	"agent/journal"
	"agent/transfer"
)

func jobsListCommand(name string, s std) *cobra.Command {
	var asJSON bool
	cmd := onShelf(name, &cobra.Command{
		Use:     "list",
		Short:   "List the jobs, the last one first",
		Example: fmt.Sprintf("  %[1]s jobs list\n  %[1]s jobs list --json", name),
		Args:    none,
	}, func(ctx context.Context, sh shelf, _ []string) error {
		jobs, err := sh.all(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJobs(s.out, jobs)
		}
		if len(jobs) == 0 {
			fmt.Fprintf(s.err, "there are no jobs in %s\n", show.Clean(sh.state))
			return nil
		}
		return listJobs(s.out, jobs, time.Now())
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// listJobs writes a table, without anything that would make a line ambiguous.
func listJobs(w io.Writer, jobs []*jobView, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "JOB\tSTATE\tLAST RUN\tDONE\tLEFT\tON DISK\tWHAT")
	for _, v := range jobs {
		st := v.stock()
		state, why := v.state()
		if short, _, _ := strings.Cut(why, ":"); short != "" && v.fault == nil { // 'show' has all of it
			state += ": " + short
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.id, show.Clean(state), ago(v.seen(), now),
			amount(st.filesDone, st.bytesDone), st.left(), show.Bytes(v.disk), show.Clean(v.what()))
	}
	return t.Flush()
}

// what is the job in short: its direction, sources and destination.
func (v *jobView) what() string {
	if v.job.ID == "" {
		if to := v.destination(); to != "" {
			return "→ " + to
		}
		return "?"
	}
	return v.job.Direction + " " + strings.Join(v.job.Sources, ", ") + " → " + v.destination()
}

// uploads are those that the job has open in the store; a download has none.
func (v *jobView) uploads() []transfer.Upload {
	if v.job.Dir != "" {
		return nil
	}
	return v.glance.Uploads
}

// destination is where the job goes: a folder, for a download.
func (v *jobView) destination() string {
	switch {
	case v.job.Dir != "":
		return v.job.Dir
	case v.job.ID == "" && v.holder != nil:
		return "s3://" + v.holder.Place.Bucket + "/" + v.holder.Place.Prefix
	case v.job.ID == "":
		return "" // not known
	}
	return "s3://" + v.job.Bucket + "/" + v.job.Prefix
}

func ago(at, now time.Time) string {
	if at.IsZero() {
		return "–"
	}
	if now.Sub(at) < time.Second {
		return "now"
	}
	return show.Duration(now.Sub(at)) + " ago"
}

func amount(files, bytes int64) string {
	if files == 1 {
		return "1 file, " + show.Bytes(bytes)
	}
	return show.Count(int(files)) + " files, " + show.Bytes(bytes)
}

func (st stock) left() string {
	switch {
	case !st.leftKnown:
		return "not known"
	case st.filesLeft == 0 && st.bytesLeft == 0 && st.all:
		return "nothing"
	case !st.all:
		return "≥ " + amount(st.filesLeft, st.bytesLeft)
	}
	return amount(st.filesLeft, st.bytesLeft)
}

func storedBytes(parts []transfer.Part) (sum int64) {
	for _, p := range parts {
		sum += p.Size
	}
	return sum
}

// jobLine is a job as JSON: see docs/jobs.md.
type jobLine struct {
	Type        string           `json:"type"` // "job"
	Job         string           `json:"job"`
	State       string           `json:"state"`
	Why         string           `json:"why,omitempty"`
	Direction   string           `json:"direction,omitempty"`
	Sources     []string         `json:"sources"`
	Destination string           `json:"destination"`
	Endpoint    string           `json:"endpoint,omitempty"`
	Begun       *time.Time       `json:"begun,omitempty"`
	FilesDone   int64            `json:"files_done"`
	BytesDone   int64            `json:"bytes_done"`
	FilesLeft   *int64           `json:"files_left,omitempty"`
	BytesLeft   *int64           `json:"bytes_left,omitempty"`
	LeftFinal   bool             `json:"left_is_final"`
	OpenUploads []openUploadLine `json:"open_uploads"`
	Unfinished  []unfinishedLine `json:"unfinished_files,omitempty"`
	DiskBytes   int64            `json:"disk_bytes"`
	Folder      string           `json:"folder"`
	Running     *journal.Holder  `json:"running,omitempty"`
	Last        *journal.Outcome `json:"last,omitempty"`
	Resumable   bool             `json:"resumable"`
	Arguments   []string         `json:"arguments,omitempty"`
	LeftOut     []string         `json:"arguments_left_out,omitempty"`
	Directory   string           `json:"directory,omitempty"`
}

// unfinishedLine is a file that a download has begun and not finished.
type unfinishedLine struct {
	Path string `json:"path"`
	Size int64  `json:"bytes"`
}

type openUploadLine struct {
	Key       string    `json:"key"`
	ID        string    `json:"id"`
	Begun     time.Time `json:"begun"`
	Parts     int       `json:"parts"`
	BytesDone int64     `json:"bytes_done"`
	Bytes     int64     `json:"bytes"`
}

func (v *jobView) line() jobLine {
	st := v.stock()
	l := jobLine{
		Type: "job", Job: v.id, Direction: v.job.Direction, Sources: v.job.Sources, Destination: v.destination(),
		Endpoint: v.job.Endpoint, FilesDone: st.filesDone, BytesDone: st.bytesDone, LeftFinal: st.all,
		OpenUploads: []openUploadLine{}, DiskBytes: v.disk, Folder: v.dir, Last: v.last,
		Arguments: v.command.Args, LeftOut: v.command.LeftOut, Directory: v.command.Dir,
	}
	l.State, l.Why = v.state()
	l.Resumable = l.State == jobUnfinished && len(v.command.Args) > 0
	if l.Sources == nil {
		l.Sources = []string{}
	}
	if v.begun() {
		l.Begun = &v.job.Started
	}
	if st.leftKnown {
		l.FilesLeft, l.BytesLeft = &st.filesLeft, &st.bytesLeft
	}
	if v.busy {
		l.Running = v.holder
	}
	for _, u := range v.uploads() {
		l.OpenUploads = append(l.OpenUploads, openUploadLine{u.Key, u.ID, u.Begun, len(u.Parts), storedBytes(u.Parts), u.Stat.Size})
	}
	for _, left := range v.leftovers() {
		l.Unfinished = append(l.Unfinished, unfinishedLine{left.Path, left.Size})
	}
	return l
}

func writeJobs(w io.Writer, jobs []*jobView) error {
	for _, v := range jobs {
		if err := encodeLine(w, v.line()); err != nil {
			return err
		}
	}
	return nil
}

func jobsShowCommand(name string, s std) *cobra.Command {
	var asJSON bool
	cmd := onJob(name, &cobra.Command{
		Use:     "show ID",
		Short:   "Show all that is known of a job, also while it runs",
		Example: fmt.Sprintf("  %[1]s jobs show 6kuw", name),
	}, func(_ context.Context, _ shelf, v *jobView) error {
		if asJSON {
			return writeJobs(s.out, []*jobView{v})
		}
		return v.write(s.out, name, time.Now())
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// write shows all of a job to a person.
func (v *jobView) write(w io.Writer, name string, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what, text string) {
		if text != "" {
			fmt.Fprintf(t, "%s\t%s\n", what, show.Clean(text))
		}
	}
	st := v.stock()
	state, why := v.state()
	if why != "" {
		state += ": " + why
	}
	row("job", v.id+"  "+state)
	row("what", v.what())
	row("endpoint", v.job.Endpoint)
	if v.begun() {
		row("begun", moment(v.job.Started)+", "+ago(v.job.Started, now))
	}
	if v.busy && v.holder != nil {
		row("held by", fmt.Sprintf("process %d on %s since %s, last heard of %s", v.holder.PID, v.holder.Host, moment(v.holder.Started), ago(v.holder.Updated, now)))
	}
	row("last run", v.lastRun(now))
	row("done", amount(st.filesDone, st.bytesDone))
	row("left", st.left())
	v.writeUploads(row)
	v.writeFailures(row)
	row("folder", v.dir+", "+show.Bytes(v.disk))
	v.writeCommand(row, name)
	return t.Flush()
}

func moment(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05") }

// lastRun is how the last run that ended did so.
func (v *jobView) lastRun(now time.Time) string {
	if !v.busy && v.holder != nil {
		return fmt.Sprintf("process %d on %s was cut short after %s, %s", v.holder.PID, v.holder.Host, moment(v.holder.Updated), ago(v.holder.Updated, now))
	}
	if v.last == nil {
		return ""
	}
	o := v.last
	text := fmt.Sprintf("ended %s with exit code %d after %s", moment(o.Ended), o.Exit, show.Duration(o.Ended.Sub(o.Started)))
	if o.Error != "" {
		text += ": " + o.Error
	}
	return text
}

func (v *jobView) writeUploads(row func(what, text string)) {
	for i, l := range v.leftovers() {
		what := " "
		if i == 0 {
			what = "unfinished"
		}
		if i == remembered {
			row(what, "and more (--json has all)")
			return
		}
		row(what, l.Path+", "+show.Bytes(l.Size))
	}
	for i, u := range v.uploads() {
		what := ""
		if i == 0 {
			what = "open uploads"
		}
		if i == remembered {
			row(" ", fmt.Sprintf("and %d more (--json has all)", len(v.uploads())-i))
			return
		}
		row(firstOf(what, " "), fmt.Sprintf("%s: %s of %s, upload %s", u.Key, show.Bytes(storedBytes(u.Parts)), show.Bytes(u.Stat.Size), u.ID))
	}
}

func (v *jobView) writeFailures(row func(what, text string)) {
	if v.last == nil {
		return
	}
	for i, f := range v.last.Failures {
		what := " "
		if i == 0 {
			what = "failed"
		}
		row(what, firstOf(f.Path, f.Key)+": "+f.Error)
	}
	if more := v.last.FilesFailed - int64(len(v.last.Failures)); more > 0 && len(v.last.Failures) > 0 {
		row(" ", fmt.Sprintf("and %d more: see the log in the job's folder", more))
	}
}

func (v *jobView) writeCommand(row func(what, text string), name string) {
	if len(v.command.Args) == 0 {
		row("command", "not known: an older "+program+" ran it")
		return
	}
	quoted := make([]string, len(v.command.Args))
	for i, a := range v.command.Args {
		quoted[i] = shellWord(a)
	}
	row("command", name+" "+strings.Join(quoted, " "))
	row("run in", v.command.Dir)
	if len(v.command.LeftOut) > 0 {
		row("not kept", strings.Join(v.command.LeftOut, ", ")+": there may be secrets in it")
	}
	if state, _ := v.state(); state == jobUnfinished {
		row("go on with", name+" jobs resume "+v.id)
	}
}
