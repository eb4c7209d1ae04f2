package main

import (
	"fmt"
	"time"

	"agent/cmd/internal/show"
	"agent/transfer"
)

// planLine and leftLine are what --json tells in a dry run, as other commands do.
type (
	planLine struct {
		Type   string    `json:"type"`
		Time   time.Time `json:"time"`
		Action string    `json:"action"`
		Key    string    `json:"key"`
		Path   string    `json:"path,omitempty"`
		Bytes  int64     `json:"bytes"`
		Reason string    `json:"reason"`
	}
	leftLine struct {
		Type   string    `json:"type"`
		Time   time.Time `json:"time"`
		State  string    `json:"state"`
		Key    string    `json:"key"`
		Path   string    `json:"path,omitempty"`
		Reason string    `json:"reason,omitempty"`
		Error  string    `json:"error,omitempty"`
	}
)

// plan prints what would be compared. It asks the store nothing.
func (v *verifying) plan(s std) error {
	v.left = func(e transfer.Entry) {
		if v.o.json {
			v.line(leftLine{Type: "file", Time: time.Now().UTC(), State: "ignored", Key: e.Item.Key, Path: e.Item.Path, Reason: e.Ignored})
			return
		}
		v.text("leave         -  %s  (%s)\n", e.Item.Key, e.Ignored)
	}
	files, failed := 0, 0
	var bytes int64
	for c := range v.claims {
		switch {
		case c.Err != nil:
			failed++
			v.planFailed(c)
		case c.Any:
		default:
			files++
			bytes += c.Size
			v.planned(c)
		}
	}
	if err := v.out.Flush(); err != nil {
		return err
	}
	if !v.o.json && !v.o.quiet {
		ignored := ""
		if v.ignored > 0 {
			ignored = "; ignored: " + show.Count(v.ignored)
		}
		_, _ = fmt.Fprintf(s.err, "would compare: %s, %s%s\n", objects(files), show.Bytes(bytes), ignored)
	}
	if failed > 0 {
		return &shownError{exitFailures}
	}
	return nil
}

func (v *verifying) planned(c transfer.Claim) {
	reason := "its checksum with that of the file"
	if c.Path == "" {
		reason = "its checksum with that of the manifest"
	}
	if v.o.json {
		v.line(planLine{Type: "plan", Time: time.Now().UTC(), Action: transfer.Check.String(), Key: c.Key, Path: c.Path, Bytes: c.Size, Reason: reason})
		return
	}
	v.text("%-5s %9s  %s  (%s)\n", transfer.Check, show.Bytes(c.Size), c.Key, reason)
}

func (v *verifying) planFailed(c transfer.Claim) {
	what, hint := explainItem(c.Err)
	if hint != "" {
		what += " — " + hint
	}
	if v.o.json {
		v.line(leftLine{Type: "file", Time: time.Now().UTC(), State: "failed", Key: c.Key, Path: c.Path, Error: what})
		return
	}
	v.text("%-12s %s (%s)\n", "failed", firstOf(c.Path, c.Key), what)
}

// What can't be written Flush tells.
func (v *verifying) line(l any) { _ = encodeLine(v.out, l) }

func (v *verifying) text(format string, a ...any) {
	for i, x := range a {
		if text, ok := x.(string); ok {
			a[i] = show.Clean(text)
		}
	}
	_, _ = fmt.Fprintf(v.out, format, a...)
}
