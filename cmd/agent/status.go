package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"agent/cmd/internal/show"
	"agent/journal"
)

// status is what --status-file tells: docs/scheduling.md has the fields.
type status struct {
	Version     string     `json:"version"`
	Job         string     `json:"job,omitempty"`
	Command     string     `json:"command"`
	Sources     []string   `json:"sources"`
	Destination string     `json:"destination,omitempty"`
	LastSuccess *time.Time `json:"last_success,omitempty"`
	KeyExpires  *time.Time `json:"api_key_expires,omitempty"`
	TokenLeft   *float64   `json:"token_left_s,omitempty"`

	journal.Outcome
}

// status is how the run ended, as far as it came.
func (t *task) status(code int, err error) *status {
	s := &status{Version: thisEdition().version, Command: t.command(), Sources: t.args}
	if s.Sources == nil {
		s.Sources = []string{}
	}
	if t.outcome != nil {
		s.Outcome = *t.outcome
	} else { // it ended before it began
		s.Outcome = journal.Outcome{Started: t.begun.UTC(), Ended: time.Now().UTC()}
		var shown *shownError
		if err != nil && !errors.As(err, &shown) {
			s.Error, _ = explain(err)
		}
	}
	s.Exit = code
	if t.connection == nil {
		return s
	}
	if t.dest.Bucket != "" {
		s.Destination = t.destination()
	}
	if len(t.files) > 0 || t.down != nil && len(t.down.urls) > 0 {
		s.Job = t.newJob().ID
	}
	if end := t.login.KeyExpires; !end.IsZero() {
		end = end.UTC()
		s.KeyExpires = &end
	}
	s.TokenLeft = t.tokenLeft
	return s
}

// writeStatus replaces file, never half. The last success is kept from what is
// there.
func writeStatus(file string, s *status) error {
	s.LastSuccess = lastSuccess(file)
	if s.Exit == exitDone {
		s.LastSuccess = &s.Ended
	}
	text := s.prom(strings.TrimSuffix(filepath.Base(file), ".prom"))
	if !isProm(file) {
		var err error
		if text, err = show.AsJSON(s, "  "); err != nil {
			return err
		}
	}
	// The collector of Prometheus runs as another user: readable for all.
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func isProm(file string) bool { return strings.HasSuffix(file, ".prom") }

const promPrefix = program + "_run_"

// lastSuccess is what an earlier status file tells of; nil where there is none.
func lastSuccess(file string) *time.Time {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	if !isProm(file) {
		var s status
		if json.Unmarshal(text, &s) != nil {
			return nil
		}
		return s.LastSuccess
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, promPrefix+"last_success_time_seconds{") {
			continue
		}
		fields := strings.Fields(line)
		if sec, err := strconv.ParseFloat(fields[len(fields)-1], 64); err == nil {
			at := time.UnixMilli(int64(sec * 1000)).UTC()
			return &at
		}
	}
	return nil
}

// shownOr puts a mark in the place of what a terminal might obey; of line ends, which
// are escaped, none.
func shownOr(r rune) rune {
	if r != '\n' && !strconv.IsPrint(r) {
		return '\uFFFD'
	}
	return r
}

// prom is the status for Prometheus' textfile collector. The label name is the
// file's: two files never tell of the same series.
func (s *status) prom(name string) []byte {
	var b bytes.Buffer
	label := func(v string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.Map(shownOr, v)) + `"`
	}
	metric := func(metric, help string) {
		fmt.Fprintf(&b, "# HELP %s%s %s\n# TYPE %[1]s%[2]s gauge\n", promPrefix, metric, help)
	}
	value := func(metric, labels string, v float64) {
		fmt.Fprintf(&b, "%s%s{name=%s%s} %s\n", promPrefix, metric, label(name), labels, strconv.FormatFloat(v, 'f', -1, 64))
	}
	one := func(m, help string, v float64) { metric(m, help); value(m, "", v) }
	seconds := func(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

	metric("info", "What the last run was.")
	value("info", fmt.Sprintf(",job=%s,command=%s,destination=%s,version=%s", label(s.Job), label(s.Command), label(s.Destination), label(s.Version)), 1)
	one("exit_code", "Exit code of the last run.", float64(s.Exit))
	one("start_time_seconds", "When the last run began.", seconds(s.Started))
	one("end_time_seconds", "When the last run ended.", seconds(s.Ended))
	if s.LastSuccess != nil {
		one("last_success_time_seconds", "When a run last ended with exit code 0.", seconds(*s.LastSuccess))
	}
	metric("files", "Files of the last run, by what became of them.")
	for _, v := range []struct {
		state string
		n     int64
	}{{"sent", s.FilesSent}, {"there", s.FilesThere}, {"failed", s.FilesFailed}, {"left", s.FilesLeft}, {"deleted", s.FilesDeleted}} {
		value("files", ",state="+label(v.state), float64(v.n))
	}
	metric("bytes", "Bytes of the last run, by what became of them.")
	for _, v := range []struct {
		state string
		n     int64
	}{{"sent", s.BytesSent}, {"there", s.BytesThere}, {"saved", s.BytesSaved}, {"failed", s.BytesFailed}, {"left", s.BytesLeft}, {"deleted", s.BytesDeleted}} {
		value("bytes", ",state="+label(v.state), float64(v.n))
	}
	one("warnings", "Warnings of the last run.", float64(len(s.Warnings)))
	if s.KeyExpires != nil {
		one("api_key_expiry_time_seconds", "When the API key of the login ends.", seconds(*s.KeyExpires))
	}
	if s.TokenLeft != nil {
		one("token_left_seconds", "Life of the credentials in use that was left at the end.", *s.TokenLeft)
	}
	return b.Bytes()
}
