// Package show tells a person, or a program, what a job does: one live bar on
// a terminal, a plain line now and then where there is none, or JSON lines.
//
// It knows events and counts. It knows nothing of flags, of errors' meaning
// (Options.Explain does) or of what makes the events.
package show

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"agent/transfer"
)

// Mode is how things are shown.
type Mode uint8

// The modes.
const (
	Auto  Mode = iota // Bar if Options.Err is a terminal that can, else Plain
	Bar               // one line that is redrawn, messages above it
	Plain             // a line every Options.Interval, messages between
	Quiet             // failures and errors only
	JSON              // one JSON object a line on Options.Out, see docs/json.md
)

// Options say where and how. The zero value shows on the process's own
// standard error what suits it.
type Options struct {
	Mode Mode

	// Out takes JSON lines and the plan of a dry run; nil: standard output.
	Out io.Writer
	// Err takes all that is for people; nil: standard error.
	Err io.Writer

	// Width is the terminal's, in columns; nil: asked of Err, else 80.
	Width func() int
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Interval is the time between two progress lines of Plain and JSON; 0: 10 s.
	// The bar has its own pace.
	Interval time.Duration
	// Credentials is the life of those in use; false, or nil: nothing is
	// known of an end. It is called several times a second and must not block.
	Credentials func() (Credentials, bool)

	Name    string // the program's name as invoked, heads error lines; "": agent
	Verbose int    // 1 shows retries too
	LogPath string // where all failures can be read; "": nowhere

	// Fetching says that the bytes come from the store instead of going there.
	Fetching bool

	// DryRun shows each Planned event, on Out, and no bar. Event then waits
	// for a reader who is slower than the plan: no line of a plan may be
	// missing, and nothing is in flight that could suffer.
	DryRun bool

	// Explain maps an error to what is said of it and a hint ("" for none);
	// nil: the error's own text.
	Explain func(error) (what, hint string)
	// Redact takes secrets out of errors, reasons and notices; nil: nothing does.
	Redact func(string) string
	// Env looks up TERM; nil: os.Getenv. NO_COLOR needs no asking: there is
	// no colour.
	Env func(string) string
}

// Start is what a job is, said once at its beginning.
type Start struct {
	Job         string   // the job's id
	Command     string   // "upload"
	Sources     []string // as the user gave them
	Destination string   // "s3://bucket/prefix"
	Version     string   // of this program
	Resumed     bool     // a run before this one did not finish
}

// Ending is how a run ended.
type Ending struct {
	Exit   int  // the exit code
	DryRun bool // nothing was sent: the numbers are a plan
	// Fetching: as in Options.
	Fetching bool
	LogPath  string
	Shown    int // failures that were shown; fewer than there were: LogPath is named
}

// New begins to show. Close or Finish ends it.
func New(o Options) *Sink {
	o.Mode = pick(o)
	o.fill()
	return newSink(o)
}

// pick settles on a mode that Options.Err can take.
func pick(o Options) Mode {
	if o.Mode != Auto && o.Mode != Bar {
		return o.Mode
	}
	env := o.Env
	if env == nil {
		env = os.Getenv
	}
	// A dry run's lines would be drawn over: Out often is the same terminal.
	if o.DryRun || env("TERM") == "dumb" || (o.Mode == Auto && !o.terminal()) {
		return Plain
	}
	return Bar
}

func (o *Options) fill() {
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Err == nil {
		o.Err = os.Stderr
	}
	if o.Width == nil {
		o.Width = widthOf(o.Err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Interval <= 0 {
		o.Interval = 10 * time.Second
	}
	if o.Credentials == nil {
		o.Credentials = func() (Credentials, bool) { return Credentials{}, false }
	}
	if o.Name == "" {
		o.Name = "agent"
	}
	if o.Explain == nil {
		o.Explain = explain
	}
	if o.Redact == nil {
		o.Redact = func(s string) string { return s }
	}
}

// terminal reports whether Err is one.
func (o *Options) terminal() bool {
	if o.Err == nil {
		return term.IsTerminal(int(os.Stderr.Fd()))
	}
	f, ok := o.Err.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width is how many columns the terminal behind w has; 80 where there is none.
func Width(w io.Writer) int { return widthOf(w)() }

// widthOf asks each time, because people resize their windows.
func widthOf(w io.Writer) func() int {
	f, ok := w.(interface{ Fd() uintptr })
	return func() int {
		if ok {
			if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
				return n
			}
		}
		return 80
	}
}

// explain says what err says, without the path, which is shown before it.
func explain(err error) (what, hint string) {
	if err == nil {
		return "unknown error", ""
	}
	if te, ok := errors.AsType[*transfer.Error](err); ok && te.Err != nil {
		return te.Op + ": " + te.Err.Error(), ""
	}
	return err.Error(), ""
}
