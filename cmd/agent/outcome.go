package main

import (
	"errors"
	"os"
	"sync"
	"time"

	"agent/journal"
	"agent/transfer"
)

// remembered is how many failures, and how many warnings, are kept of a run.
const remembered = 10

// collector keeps of a run's events what is to be known after its end. The
// zero collector is ready.
type collector struct {
	mu       sync.Mutex
	failures []journal.Failure
	warnings []string
	parts    int
}

func (c *collector) event(e transfer.Event, redact func(string) string) {
	switch e.Kind {
	case transfer.PartDone:
		c.mu.Lock()
		c.parts++
		c.mu.Unlock()
	case transfer.Failed:
		what, _ := explainItem(e.Err)
		c.mu.Lock()
		if len(c.failures) < remembered {
			c.failures = append(c.failures, journal.Failure{Key: e.Key, Path: e.Path, Error: redact(what)})
		}
		c.mu.Unlock()
	case transfer.Notice:
		text := redact(e.Text)
		if where := firstOf(e.Path, e.Key); where != "" {
			text = where + ": " + text
		}
		c.mu.Lock()
		if len(c.warnings) < remembered {
			c.warnings = append(c.warnings, text)
		}
		c.mu.Unlock()
	}
}

// describe keeps in the job's folder how it is run: what others can read while
// we hold the journal, and what makes the same run again.
func (s *session) describe() {
	if s.db == nil || s.o.dryRun {
		return
	}
	c := journal.Command{Job: s.job, Destination: s.dest.String(), Version: thisEdition().version}
	c.Args, c.LeftOut = again(rootCommand(s.name, s.std), s.std.args)
	c.Env, _ = ambient()
	var err error
	if c.Dir, err = os.Getwd(); err == nil {
		err = journal.WriteCommand(s.dir, c)
	}
	if err != nil {
		s.log.Warn("job.json can't be written", "error", err.Error())
	}
	// At once: whoever started this run in the background waits for it.
	if err := s.db.WriteHolder(s.holder()); err != nil {
		s.log.Warn("run.json can't be written", "error", err.Error())
	}
}

// remember keeps how the run ended, for 'jobs' and the status file.
func (s *session) remember(code int, err error) {
	if s.o.dryRun {
		return
	}
	o := &journal.Outcome{Exit: code, Started: s.begun.UTC(), Ended: time.Now().UTC(), Sums: s.sums(code)}
	var shown *shownError
	switch {
	case code > exitSignal:
		o.Error = "stopped by a signal"
	case err != nil && !errors.As(err, &shown):
		what, _ := explain(err)
		o.Error = s.redact.String(what)
	}
	s.collector.mu.Lock()
	o.Failures, o.Warnings = s.collector.failures, s.collector.warnings
	s.collector.mu.Unlock()
	s.outcome = o
	if life, known := s.life(); known {
		left := life.Left.Round(time.Second).Seconds()
		s.tokenLeft = &left
	}
	if s.db == nil {
		return
	}
	if err := journal.WriteOutcome(s.dir, *o); err != nil {
		s.log.Warn("last.json can't be written", "error", err.Error())
	}
}

func (s *session) sums(code int) journal.Sums {
	c := s.sink.Counts()
	n := journal.Sums{
		FilesSent: int64(c.FilesDone), FilesThere: int64(c.FilesThere), FilesFailed: int64(c.FilesFailed),
		FilesLeft: max(0, int64(c.FilesFound-c.FilesDone-c.FilesThere-c.FilesFailed)),
		BytesSent: c.BytesSent, BytesThere: c.BytesThere, BytesSaved: c.BytesSaved, BytesFailed: c.BytesFailed,
		BytesLeft: c.Remaining(), Scanned: c.Scanned, FilesDeleted: int64(c.FilesDeleted), BytesDeleted: c.BytesDeleted,
	}
	if code == exitDone || code == exitFailures {
		n.FilesLeft, n.BytesLeft, n.Scanned = 0, 0, true
	}
	s.collector.mu.Lock()
	n.Progress = c.FilesDone > 0 || c.FilesDeleted > 0 || s.collector.parts > 0
	s.collector.mu.Unlock()
	return n
}
