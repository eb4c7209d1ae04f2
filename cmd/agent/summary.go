package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/ownfile"
	"agent/cmd/internal/show"
	"agent/journal"
)

// Where a run's summary line goes, if it does not go to a file.
const (
	summaryAuto   = "auto" // to standard error where that is systemd's journal
	summaryStderr = "stderr"
	summarySyslog = "syslog"
	summaryOff    = "off"
)

// isSummaryWord tells those from a file's name.
func isSummaryWord(to string) bool {
	return slices.Contains([]string{"", summaryAuto, summaryStderr, summarySyslog, summaryOff}, to)
}

const summaryHelp = "one line at the end of each run: to stderr, syslog or a `FILE`, or off (default: to stderr where that is systemd's journal)"

// checkSummary finds before the run what would fail after it.
func checkSummary(to string) error {
	if isSummaryWord(to) {
		return nil
	}
	fi, err := os.Stat(filepath.Dir(to))
	if err == nil && !fi.IsDir() {
		err = errors.New("it is no directory")
	}
	if err != nil {
		return &dest.Mistake{Msg: fmt.Sprintf("--summary %s: its directory can't be used: %v", to, plainPath(err)), Hint: "make it, or write stderr, syslog or off"}
	}
	return nil
}

// plainPath is an error without the path, which was said already.
func plainPath(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// severity is how much a summary line is to be noticed, as syslog counts.
type severity int

const (
	severe severity = 3 // something is not done, and somebody has to look
	notice severity = 5 // something is not done, and the next run goes on
	info   severity = 6
)

func severityOf(code int) severity {
	switch code {
	case exitDone:
		return info
	case exitStopped, exitBusy:
		return notice
	}
	return severe
}

// summarize writes the line of a run that ended with err. What goes wrong with
// that is told, and changes nothing else: the status file is what to rely on.
func (t *task) summarize(code int, err error) {
	to := t.o.unattended.summary
	if (to == "" || to == summaryAuto) && isJournal(t.std.err, os.Getenv("JOURNAL_STREAM")) {
		// Without the name, which the journal knows; with what it sorts by.
		_, _ = fmt.Fprintf(t.std.err, "<%d>%s\n", severityOf(code), t.summary(code, err))
		return
	}
	var werr error
	switch to {
	case "", summaryAuto, summaryOff:
	case summaryStderr:
		_, werr = fmt.Fprintf(t.std.err, "%s: %s\n", t.name, t.summary(code, err))
	case summarySyslog:
		werr = toSyslog("", "", severityOf(code), t.summary(code, err))
	default:
		werr = appendLine(to, fmt.Sprintf("%s %s[%d]: %s\n", time.Now().Format(time.RFC3339), t.name, os.Getpid(), t.summary(code, err)))
	}
	if werr != nil {
		fmt.Fprintf(t.std.err, "%s: the summary can't be written to %s: %s\n", t.name, show.Clean(to), show.Clean(plainPath(werr).Error()))
	}
}

// appendLine adds a line in one write, so that those of two runs never mix.
func appendLine(path, line string) error {
	f, err := ownfile.Append(path, 0o644) // no secrets are in it, and others watch
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, line)
	return errors.Join(err, f.Close())
}

// longestCause is how much of an error, in characters, a summary line has.
const longestCause = 200

// summary is the run in one line, without its end.
func (t *task) summary(code int, err error) string {
	s := t.status(code, err)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", s.Command, strings.Join(t.args, " "))
	if t.connection != nil && t.down == nil && t.dest.Workspace != "" && strings.HasPrefix(t.dest.Prefix, t.dest.Workspace+"/") {
		s.Destination = t.dest.Prefix // as it is written
	}
	if s.Destination != "" {
		fmt.Fprintf(&b, " → %s", s.Destination)
	}
	b.WriteString(": ")
	switch {
	case errors.Is(err, journal.ErrBusy):
		b.WriteString("not run: " + heldBy(err))
	case t.outcome == nil:
		b.WriteString("not run")
	default:
		fmt.Fprintf(&b, "%d %s, %d there, %d failed", s.FilesSent, t.moved(), s.FilesThere, s.FilesFailed)
		if s.FilesDeleted > 0 {
			fmt.Fprintf(&b, ", %d deleted", s.FilesDeleted)
		}
		if s.FilesLeft > 0 {
			fmt.Fprintf(&b, ", %d left", s.FilesLeft)
		}
		if !s.Scanned {
			b.WriteString(", not all counted")
		}
		fmt.Fprintf(&b, ", %s in %s", show.Bytes(s.BytesSent), s.Ended.Sub(s.Started).Round(time.Second))
	}
	fmt.Fprintf(&b, ", exit %d", code)
	if s.Error != "" && code != exitBusy {
		fmt.Fprintf(&b, ": %s", shortened(s.Error, longestCause))
	}
	if s.Job != "" {
		fmt.Fprintf(&b, " (job %s)", s.Job)
	}
	return show.Clean(b.String())
}

// heldBy says who holds the job.
func heldBy(err error) string {
	var busy *journal.BusyError
	if !errors.As(err, &busy) || busy.Holder.PID == 0 {
		return "another run holds the job"
	}
	h := busy.Holder
	return fmt.Sprintf("process %d on %s holds the job since %s", h.PID, h.Host, moment(h.Started))
}

// shortened is text with at most n characters.
func shortened(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}
