package show

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"agent/transfer"
)

// Summary writes for people what a run has done, in a few aligned lines.
func Summary(w io.Writer, c transfer.Counts, elapsed time.Duration, e Ending) error {
	var rows []row
	add := func(name string, n int, rest string) {
		rows = append(rows, row{name, Count(n) + plural(n), rest})
	}
	would, did, again := "would send", "sent", "sent"
	if e.Fetching {
		would, did, again = "would fetch", "fetched", "fetched"
	}
	if e.DryRun {
		add(would, c.FilesPlanned, Bytes(c.BytesPlanned))
	} else {
		add(did, c.FilesDone, sent(c))
	}
	if c.FilesResumed > 0 || c.BytesSaved > 0 {
		add("resumed", c.FilesResumed, Bytes(c.BytesSaved)+" were there and not "+again+" again")
	}
	if there := c.FilesThere; there > 0 {
		add("already there", there, Bytes(c.BytesThere))
	}
	if c.FilesDeleted > 0 {
		deleted := "deleted"
		if e.DryRun {
			deleted = "would delete"
		}
		add(deleted, c.FilesDeleted, Bytes(c.BytesDeleted))
	}
	if c.FilesFailed > 0 {
		rest := ""
		if e.Shown < c.FilesFailed {
			rest = fmt.Sprintf("%s shown%s", Count(e.Shown), seeLog(e.LogPath))
		}
		add("failed", c.FilesFailed, rest)
	}
	if c.FilesIgnored > 0 {
		add("ignored", c.FilesIgnored, reasons(c.Ignored))
	}
	rows = append(rows, row{"time", short(elapsed), ""})
	if !e.DryRun && c.BytesSent > 0 && elapsed >= time.Second {
		rows[len(rows)-1].rest = Rate(float64(c.BytesSent) / elapsed.Seconds())
	}
	if err := writeRows(w, rows); err != nil || c.FilesFailed == 0 || e.Shown < c.FilesFailed || e.LogPath == "" {
		return err
	}
	_, err := fmt.Fprintf(w, "more in the log: %s\n", Clean(e.LogPath))
	return err
}

// sent is what went over the wire, and how much of it in vain.
func sent(c transfer.Counts) string {
	s := Bytes(c.BytesSent)
	if c.BytesAgain > 0 {
		s += ", " + Bytes(c.BytesAgain) + " of it repeated"
	}
	return s
}

// reasons names the three most frequent ones.
func reasons(by map[string]int) string {
	const named = 3
	keys := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(by[b]-by[a], cmp.Compare(a, b))
	})
	var out []string
	rest := 0
	for i, k := range keys {
		if i < named {
			out = append(out, Count(by[k])+" "+Clean(k))
		} else {
			rest += by[k]
		}
	}
	if rest > 0 {
		out = append(out, Count(rest)+" for other reasons")
	}
	return strings.Join(out, ", ")
}

type row struct{ name, number, rest string }

func writeRows(w io.Writer, rows []row) error {
	names, numbers := 0, 0
	for _, r := range rows {
		names = max(names, utf8.RuneCountInString(r.name))
		numbers = max(numbers, utf8.RuneCountInString(r.number))
	}
	var b strings.Builder
	for _, r := range rows {
		line := fmt.Sprintf("%-*s  %*s  %s", names, r.name, numbers, r.number, r.rest)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func plural(n int) string {
	if n == 1 {
		return " file " // as wide as " files": the numbers stay below each other
	}
	return " files"
}
