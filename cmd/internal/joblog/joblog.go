// Package joblog keeps a job's log: what somebody needs who is woken at night
// because it stopped, and no secret.
//
// It knows events, lines and files. It does not know what the events mean, and
// nothing that happens to the log ever stops a job.
package joblog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gopkg.in/natefinch/lumberjack.v2"

	"agent/cmd/internal/ownfile"
	"agent/transfer"
)

// Options of a log. The zero value is useful.
type Options struct {
	// Verbose writes lines about single items that went well, too. Without it
	// a million files leave no million lines.
	Verbose bool
	// Fetching says that things are fetched, not sent.
	Fetching bool
	// Private tightens the mode of a file that is there already: the job's own
	// log, not one that the user named.
	Private bool
	// Redactor takes secrets out; nil: one of the log's own.
	Redactor *Redactor
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

const (
	maxMegabytes = 10 // of one file
	oldFiles     = 3
	// queued is how many lines may wait for the disk. On one that hangs more
	// are counted and given up, because the job goes on.
	queued = 1 << 14
)

// Log is an open log. Its methods may be called by many goroutines at once and
// never wait for the disk, all but Close.
type Log struct {
	o    Options
	file io.WriteCloser
	w    *Writer

	mu     sync.Mutex
	lines  []string
	lost   int
	closed bool
	since  time.Time // when waiting began

	wake chan struct{}
	done chan struct{}

	errMu sync.Mutex
	err   error // the first of writing
}

// Open opens the log at path, makes its folder, and appends to what is there.
// The files it makes are readable by their owner only. What is no regular file,
// a terminal or /dev/null, is written to and otherwise left as it is. With an
// empty path nothing is kept.
func Open(path string, o Options) (*Log, error) {
	if o.Redactor == nil {
		o.Redactor = new(Redactor)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	file, err := openFile(path, o.Private)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{
		o:    o,
		file: file,
		wake: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
	l.w = o.Redactor.Writer(l.file)
	go l.run()
	return l, nil
}

// nowhere is the log that nobody keeps.
type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

// openFile makes sure that the file is there. Lumberjack takes the mode of the file
// it finds for the ones that follow. A device is neither rotated nor given
// another mode: for root that would break it for everybody.
func openFile(path string, private bool) (io.WriteCloser, error) {
	if path == "" {
		return nowhere{io.Discard}, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := ownfile.Append(path, 0o600)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !fi.Mode().IsRegular() {
		return f, nil
	}
	if private {
		_ = f.Chmod(0o600) // some file systems have no modes: better a log than none
	}
	return &lumberjack.Logger{Filename: path, MaxSize: maxMegabytes, MaxBackups: oldFiles}, f.Close()
}

// Redact registers a secret that must not come into the log.
func (l *Log) Redact(secret string) { l.o.Redactor.Redact(secret) }

// Info writes one line, as Warn, Error and Debug do: text, then pairs of keys and
// values. Debug does so only if the log is verbose.
func (l *Log) Info(text string, pairs ...any) { l.line("info", text, pairs) }

// Warn is for what went wrong and may mend itself.
func (l *Log) Warn(text string, pairs ...any) { l.line("warn", text, pairs) }

// Error is for what went wrong for good.
func (l *Log) Error(text string, pairs ...any) { l.line("error", text, pairs) }

// Debug is for what is one of very many.
func (l *Log) Debug(text string, pairs ...any) {
	if l.o.Verbose {
		l.line("debug", text, pairs)
	}
}

// Event writes what an operator needs of e.
func (l *Log) Event(e transfer.Event) {
	switch e.Kind {
	case transfer.Scanned:
		l.Info("scan ended")
	case transfer.Paced:
		l.Info("lanes", append([]any{"now", e.Lanes, "text", e.Text}, cause(e.Err)...)...)
	case transfer.Notice:
		l.Info(e.Text, "key", e.Key, "path", e.Path)
	case transfer.Retry:
		l.Warn("retry", append([]any{"wait", e.Wait.Round(time.Millisecond), "key", e.Key}, cause(e.Err)...)...)
	case transfer.Deleted: // always: nobody can look at it any more
		l.Info("deleted", "key", e.Key, "path", e.Path, "bytes", e.Bytes, "reason", e.Text)
	case transfer.Failed:
		l.Error("failed", append([]any{"key", e.Key, "path", e.Path, "bytes", e.Bytes}, cause(e.Err)...)...)
	case transfer.Waiting:
		l.mu.Lock()
		if l.since.IsZero() {
			l.since = l.o.Now()
		}
		l.mu.Unlock()
		l.Warn("waiting", "for", e.Text, "hint", e.Hint)
	case transfer.Going:
		l.mu.Lock()
		since := l.since
		l.since = time.Time{}
		l.mu.Unlock()
		if !since.IsZero() {
			l.Info("going", "waited", l.o.Now().Sub(since).Round(time.Millisecond), "with", e.Text)
		}
	default:
		l.item(e)
	}
}

// item writes what there is of each of a million files.
func (l *Log) item(e transfer.Event) {
	if !l.o.Verbose {
		return
	}
	switch e.Kind {
	case transfer.Done:
		did := "sent"
		if l.o.Fetching {
			did = "fetched"
		}
		l.Debug(did, "key", e.Key, "bytes", e.Bytes)
	case transfer.There:
		l.Debug("already there", "key", e.Key, "bytes", e.Bytes, "reason", e.Text)
	case transfer.Ignored:
		l.Debug("ignored", "key", e.Key, "path", e.Path, "reason", e.Text)
	case transfer.Planned:
		l.Debug("planned", "action", e.Action, "key", e.Key, "bytes", e.Bytes, "reason", e.Text)
	case transfer.Started:
		l.Debug("started", "key", e.Key, "path", e.Path, "bytes", e.Bytes)
	case transfer.Saved:
		l.Debug("resumed", "key", e.Key, "saved", e.Bytes)
	}
}

// cause is an error, and what a store's support asks for: the code, the HTTP
// status and the request's id, wherever in the chain they are.
func cause(err error) []any {
	if err == nil {
		return nil
	}
	pairs := []any{"error", err.Error()}
	var code interface{ ErrorCode() string }
	if errors.As(err, &code) {
		pairs = append(pairs, "code", code.ErrorCode())
	}
	var status interface{ HTTPStatusCode() int }
	if errors.As(err, &status) && status.HTTPStatusCode() != 0 {
		pairs = append(pairs, "status", status.HTTPStatusCode())
	}
	var request interface{ ServiceRequestID() string }
	if errors.As(err, &request) {
		pairs = append(pairs, "request", request.ServiceRequestID())
	}
	return pairs
}

func (l *Log) line(level, text string, pairs []any) {
	s := format(l.o.Now(), level, text, pairs)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.lines) >= queued {
		l.lost++
		return
	}
	if l.lost > 0 {
		s += fmt.Sprintf(" lines_lost_before=%d", l.lost)
		l.lost = 0
	}
	l.lines = append(l.lines, s+"\n")
	select {
	case l.wake <- struct{}{}:
	default: // it is awake already
	}
}

// format makes `2026-11-23T19:08:46.123Z level text key=value…`. Pairs with
// an empty value are left out.
func format(at time.Time, level, text string, pairs []any) string {
	var b strings.Builder
	b.WriteString(at.UTC().Format("2006-01-02T15:04:05.000Z"))
	b.WriteString(" " + level + " ")
	b.WriteString(plain(text))
	for i := 0; i+1 < len(pairs); i += 2 {
		v := fmt.Sprint(pairs[i+1])
		if v == "" {
			continue
		}
		b.WriteString(" " + plain(fmt.Sprint(pairs[i])) + "=" + quote(v))
	}
	return b.String()
}

// plain keeps text on its line and off the terminal's controls.
func plain(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) || r == utf8.RuneError {
			q := strconv.Quote(s)
			return q[1 : len(q)-1]
		}
	}
	return s
}

// quote puts quotes around a value only where it would be misread.
func quote(s string) string {
	for _, r := range s {
		if r == ' ' || r == '"' || r == '=' || !strconv.IsPrint(r) || r == utf8.RuneError {
			return strconv.Quote(s)
		}
	}
	return s
}

// run writes to the disk, so that nobody else waits for it.
func (l *Log) run() {
	defer close(l.done)
	for range l.wake {
		l.write()
	}
	l.write()
}

// write writes what is queued, a few lines at a time: lumberjack refuses a
// write that is longer than a file may be.
func (l *Log) write() {
	l.mu.Lock()
	lines := l.lines
	l.lines = nil
	l.mu.Unlock()
	for len(lines) > 0 {
		n, size := 0, 0
		for n < len(lines) && (n == 0 || size+len(lines[n]) < 64<<10) {
			size += len(lines[n])
			n++
		}
		if _, err := l.w.Write([]byte(strings.Join(lines[:n], ""))); err != nil {
			l.remember(err)
		}
		lines = lines[n:]
	}
}

func (l *Log) remember(err error) {
	l.errMu.Lock()
	defer l.errMu.Unlock()
	if l.err == nil {
		l.err = err
	}
}

// Err returns the first error of writing to the disk: from then on the log
// lacks lines. It is for a remark, not for stopping.
func (l *Log) Err() error {
	l.errMu.Lock()
	defer l.errMu.Unlock()
	return l.err
}

// Close writes what is queued and closes the file. Lines that come later are
// dropped.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return l.Err()
	}
	l.closed = true
	close(l.wake) // under the lock: nobody sends on it any more
	l.mu.Unlock()
	<-l.done
	if err := l.file.Close(); err != nil {
		l.remember(err)
	}
	return l.Err()
}
