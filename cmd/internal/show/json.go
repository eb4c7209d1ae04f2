package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"agent/transfer"
)

// The lines, as docs/json.md promises them: fields are added, never changed or
// removed. A test holds the examples there against these types.
type (
	head struct {
		Type string `json:"type"`
		Time string `json:"time"`
	}
	// place is what a line is about. PathBytes is there only where Path had
	// to be mended to be UTF-8.
	place struct {
		Key       string `json:"key,omitempty"`
		Path      string `json:"path,omitempty"`
		PathBytes []byte `json:"path_bytes,omitempty"`
	}
	startLine struct {
		head
		Job          string   `json:"job"`
		Command      string   `json:"command"`
		Sources      []string `json:"sources"`
		SourcesBytes [][]byte `json:"sources_bytes,omitempty"`
		Destination  string   `json:"destination"`
		Version      string   `json:"version"`
		Resumed      bool     `json:"resumed"`
		DryRun       bool     `json:"dry_run"`
	}
	foundLine struct {
		head
		Files int   `json:"files"`
		Bytes int64 `json:"bytes"`
	}
	counts struct {
		FilesFound   int   `json:"files_found"`
		FilesSent    int   `json:"files_sent"`
		FilesThere   int   `json:"files_there"`
		FilesFailed  int   `json:"files_failed"`
		FilesIgnored int   `json:"files_ignored"`
		FilesResumed int   `json:"files_resumed"`
		FilesPlanned int   `json:"files_planned"`
		BytesFound   int64 `json:"bytes_found"`
		BytesDone    int64 `json:"bytes_done"`
		BytesSent    int64 `json:"bytes_sent"`
		BytesAgain   int64 `json:"bytes_again"`
		BytesThere   int64 `json:"bytes_there"`
		BytesSaved   int64 `json:"bytes_saved"`
		BytesPlanned int64 `json:"bytes_planned"`
		FilesDeleted int   `json:"files_deleted,omitempty"`
		BytesDeleted int64 `json:"bytes_deleted,omitempty"`
		Retries      int   `json:"retries"`
		LinesLost    int   `json:"lines_lost"`
	}
	progressLine struct {
		head
		counts
		Scanned   bool     `json:"scanned"`
		PerSecond int64    `json:"bytes_per_s"`
		Left      *float64 `json:"left_s,omitempty"`
		Token     *float64 `json:"token_s,omitempty"`
		Refresh   float64  `json:"refresh_s,omitempty"`
		Tokens    int      `json:"tokens,omitempty"`
		Waiting   string   `json:"waiting,omitempty"`
	}
	fileLine struct {
		head
		State string `json:"state"`
		place
		Bytes  int64  `json:"bytes"`
		Reason string `json:"reason,omitempty"`
		Error  string `json:"error,omitempty"`
		Hint   string `json:"hint,omitempty"`
	}
	retryLine struct {
		head
		place
		Wait  float64 `json:"wait_s"`
		Error string  `json:"error"`
	}
	noticeLine struct {
		head
		place
		Text string `json:"text"`
	}
	waitingLine struct {
		head
		For  string `json:"for"`
		Hint string `json:"hint,omitempty"`
	}
	goingLine struct {
		head
		Waited float64 `json:"waited_s"`
	}
	planLine struct {
		head
		Action string `json:"action"`
		place
		Bytes  int64  `json:"bytes"`
		Reason string `json:"reason"`
	}
	errorLine struct {
		head
		Error string `json:"error"`
		Hint  string `json:"hint,omitempty"`
	}
	summaryLine struct {
		head
		counts
		Ignored   map[string]int `json:"ignored,omitempty"`
		Elapsed   float64        `json:"elapsed_s"`
		PerSecond int64          `json:"bytes_per_s"`
		DryRun    bool           `json:"dry_run"`
		Exit      int            `json:"exit_code"`
	}
)

// jsonView writes one object a line to Out.
type jsonView struct {
	o       *Options
	out     *stream
	next    time.Time
	waiting waits
	found   bool // the found line was written
}

func (v *jsonView) wants(k transfer.Kind) bool {
	switch k {
	case transfer.Done, transfer.There, transfer.Failed, transfer.Ignored, transfer.Retry,
		transfer.Notice, transfer.Waiting, transfer.Going, transfer.Deleted:
		return true
	case transfer.Planned:
		return v.o.DryRun
	}
	return false
}

func (v *jsonView) start(at time.Time, s Start) {
	l := startLine{
		head: newHead("start", at), Job: s.Job, Command: s.Command, Sources: s.Sources,
		Destination: s.Destination, Version: s.Version, Resumed: s.Resumed, DryRun: v.o.DryRun,
	}
	if l.Sources == nil {
		l.Sources = []string{}
	}
	for _, p := range s.Sources {
		if !utf8.ValidString(p) {
			for _, p := range s.Sources {
				l.SourcesBytes = append(l.SourcesBytes, []byte(p))
			}
			break
		}
	}
	v.put(l)
}

func (v *jsonView) event(at time.Time, e transfer.Event) {
	where, reason := placeOf(e), v.o.Redact(e.Text)
	switch e.Kind {
	case transfer.Done:
		state := "sent"
		if v.o.Fetching {
			state = "fetched"
		}
		v.put(fileLine{head: newHead("file", at), State: state, place: where, Bytes: e.Bytes, Reason: reason})
	case transfer.There:
		v.put(fileLine{head: newHead("file", at), State: "there", place: where, Bytes: e.Bytes, Reason: reason})
	case transfer.Deleted:
		v.put(fileLine{head: newHead("file", at), State: "deleted", place: where, Bytes: e.Bytes, Reason: reason})
	case transfer.Ignored:
		v.put(fileLine{head: newHead("file", at), State: "ignored", place: where, Bytes: e.Bytes, Reason: reason})
	case transfer.Failed:
		what, hint := v.explain(e.Err)
		v.put(fileLine{head: newHead("file", at), State: "failed", place: where, Bytes: e.Bytes,
			Reason: reason, Error: what, Hint: hint})
	case transfer.Retry:
		what, _ := v.explain(e.Err)
		v.put(retryLine{head: newHead("retry", at), place: where, Wait: seconds(e.Wait), Error: what})
	case transfer.Notice:
		v.put(noticeLine{head: newHead("notice", at), place: where, Text: reason})
	case transfer.Planned:
		v.put(planLine{head: newHead("plan", at), Action: e.Action.String(), place: where, Bytes: e.Bytes, Reason: reason})
	case transfer.Waiting:
		if v.waiting.begin(at, e.Text) {
			v.put(waitingLine{newHead("waiting", at), reason, e.Hint}) // the hint is our own words
		}
	case transfer.Going:
		if d, ok := v.waiting.end(at); ok {
			v.put(goingLine{newHead("going", at), seconds(d)})
		}
	}
}

func (v *jsonView) progress(p progress) {
	v.totals(p)
	if p.at.Before(v.next) {
		return
	}
	v.next = p.at.Add(v.o.Interval)
	l := progressLine{
		head: newHead("progress", p.at), counts: countsOf(p), Scanned: p.Scanned,
		PerSecond: int64(p.rate), Waiting: v.o.Redact(p.Waiting),
	}
	if p.leftKnown && p.Waiting == "" {
		s := seconds(p.left)
		l.Left = &s
	}
	if p.credsKnown {
		s := seconds(p.creds.Left)
		l.Token, l.Refresh, l.Tokens = &s, seconds(max(0, p.creds.Refresh)), p.tokens
	}
	v.put(l)
}

// totals says once what the scan has found.
func (v *jsonView) totals(p progress) {
	if p.Scanned && !v.found {
		v.found = true
		v.put(foundLine{newHead("found", p.at), p.FilesFound, p.BytesFound})
	}
}

func (v *jsonView) fault(at time.Time, what, hint string) {
	v.put(errorLine{newHead("error", at), what, hint})
}

func (v *jsonView) finish(p progress, e Ending) {
	v.totals(p)
	l := summaryLine{
		head: newHead("summary", p.at), counts: countsOf(p), Ignored: p.Ignored,
		Elapsed: seconds(p.elapsed), DryRun: e.DryRun, Exit: e.Exit,
	}
	if p.elapsed > 0 {
		l.PerSecond = int64(float64(p.BytesSent) / p.elapsed.Seconds())
	}
	v.put(l)
}

func (v *jsonView) clear() {}

func (v *jsonView) explain(err error) (what, hint string) {
	what, hint = v.o.Explain(err)
	return v.o.Redact(what), v.o.Redact(hint)
}

// put writes one line. The types above hold nothing that can't be encoded, so
// an error would be a mistake in this file; the line is then missing.
func (v *jsonView) put(line any) {
	from := v.out.Len()
	if encode(&v.out.Buffer, line, "") != nil {
		v.out.Truncate(from)
	}
}

// AsJSON is v as JSON with a line end, for whatever may come to be looked at on a
// terminal: what that might obey is escaped. Without an indent it is one line.
func AsJSON(v any, indent string) ([]byte, error) {
	var out bytes.Buffer
	err := encode(&out, v, indent)
	return out.Bytes(), err
}

func encode(out *bytes.Buffer, v any, indent string) error {
	from := out.Len()
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return err
	}
	if b := out.Bytes()[from:]; !harmless(b) {
		safe := escape(b)
		out.Truncate(from)
		out.Write(safe)
	}
	return nil
}

// harmless reports whether b is ASCII: JSON has escaped its control characters
// already, all but DEL.
func harmless(b []byte) bool {
	for _, c := range b {
		if c >= 0x7f {
			return false
		}
	}
	return true
}

// escape writes as \u what JSON may leave as it is and a terminal may obey: C1
// controls and marks that turn the direction of writing. They can only stand
// in strings, so the meaning is the same.
func escape(b []byte) []byte {
	out := make([]byte, 0, len(b)+16)
	for _, r := range string(b) {
		if r < 0x7f || clean(string(r)) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, u := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, u)
		}
	}
	return out
}

func newHead(kind string, at time.Time) head {
	return head{Type: kind, Time: at.UTC().Format("2006-01-02T15:04:05.000Z")}
}

func placeOf(e transfer.Event) place {
	p := place{Key: e.Key, Path: e.Path}
	if !utf8.ValidString(e.Path) {
		p.PathBytes = []byte(e.Path)
	}
	return p
}

func countsOf(p progress) counts {
	return counts{
		FilesFound: p.FilesFound, FilesSent: p.FilesDone, FilesThere: p.FilesThere,
		FilesFailed: p.FilesFailed, FilesIgnored: p.FilesIgnored, FilesResumed: p.FilesResumed,
		FilesPlanned: p.FilesPlanned,
		BytesFound:   p.BytesFound, BytesDone: p.BytesDone, BytesSent: p.BytesSent, BytesAgain: p.BytesAgain,
		BytesThere: p.BytesThere, BytesSaved: p.BytesSaved, BytesPlanned: p.BytesPlanned,
		FilesDeleted: p.FilesDeleted, BytesDeleted: p.BytesDeleted,
		Retries: p.Retries, LinesLost: p.lost,
	}
}

// seconds has three decimals: more would claim too much.
func seconds(d time.Duration) float64 {
	return math.Round(d.Seconds()*1000) / 1000
}
