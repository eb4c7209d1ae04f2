package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Command is how a job was run last: enough to run it again, and what is known
// of it while another agent holds the journal. Never a secret is in it.
type Command struct {
	Job
	Destination string            `json:"destination"`           // s3://bucket/prefix
	Args        []string          `json:"arguments"`             // after the program's name
	LeftOut     []string          `json:"left_out,omitempty"`    // flags that are not among Args, because their values may be secret
	Dir         string            `json:"directory"`             // where it was run
	Env         map[string]string `json:"environment,omitempty"` // settings, no secrets
	Version     string            `json:"version,omitempty"`     // of the agent
}

// Outcome is how a job's last run ended. A run that was killed leaves none, and
// its Holder instead.
type Outcome struct {
	Exit    int       `json:"exit_code"`
	Started time.Time `json:"start"`
	Ended   time.Time `json:"end"`
	Error   string    `json:"error,omitempty"` // what ended it, beside single files
	Sums

	Failures []Failure `json:"failures,omitempty"` // the first ten
	Warnings []string  `json:"warnings,omitempty"` // likewise
}

// Sums are what one run has done and what it left.
type Sums struct {
	FilesSent    int64 `json:"files_sent"`
	FilesThere   int64 `json:"files_there"`
	FilesFailed  int64 `json:"files_failed"`
	FilesLeft    int64 `json:"files_left"`
	BytesSent    int64 `json:"bytes_sent"` // over the wire, repetitions too
	BytesThere   int64 `json:"bytes_there"`
	BytesSaved   int64 `json:"bytes_saved"` // of begun files, stored by earlier runs
	BytesFailed  int64 `json:"bytes_failed"`
	BytesLeft    int64 `json:"bytes_left"`
	FilesDeleted int64 `json:"files_deleted,omitempty"` // because the other side does not have them
	BytesDeleted int64 `json:"bytes_deleted,omitempty"`
	Scanned      bool  `json:"scanned"`  // the scan had ended: else more is left than is known
	Progress     bool  `json:"progress"` // something is stored now that was not before
}

// Failure is one file that failed.
type Failure struct {
	Key   string `json:"key,omitempty"`
	Path  string `json:"path,omitempty"`
	Error string `json:"error"`
}

// WriteCommand replaces what is told in dir of the command.
func WriteCommand(dir string, c Command) error { return tell(filepath.Join(dir, commandName), c) }

// ReadCommand reads what WriteCommand wrote.
func ReadCommand(dir string) (Command, error) { return hear[Command](filepath.Join(dir, commandName)) }

// WriteOutcome replaces what is told in dir of the last run.
func WriteOutcome(dir string, o Outcome) error { return tell(filepath.Join(dir, outcomeName), o) }

// ReadOutcome reads what WriteOutcome wrote.
func ReadOutcome(dir string) (Outcome, error) { return hear[Outcome](filepath.Join(dir, outcomeName)) }

// tell replaces path, never half. It makes no folder: one that was removed
// meanwhile stays so.
func tell(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return replace(path, append(printable(text), '\n'))
}

// replace replaces path by way of a file beside it, which is made anew: what
// has that name, a link for example, is removed and never written to.
func replace(path string, text []byte) error {
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	return err
}

// printable is JSON in which a terminal finds nothing to obey, for whoever looks
// at the file: encoding/json leaves some controls as they are. They can only
// stand in strings, so the meaning is the same.
func printable(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r == '\n' || strconv.IsPrint(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, u := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, u)
		}
	}
	return out
}

func hear[T any](path string) (v T, err error) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	return v, err
}
