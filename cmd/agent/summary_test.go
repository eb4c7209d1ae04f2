//go:build unix

package main

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agent/cmd/internal/dest"
	"agent/journal"
	"agent/transfer"
)

func TestSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := toSyslog("unixgram", path, severityOf(exitBusy), "upload a → b: not run"); err != nil {
		t.Fatal(err)
	}
	_ = l.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 1000)
	n, err := l.Read(b)
	// Facility user (1), severity notice (5).
	if got := string(b[:n]); err != nil || !strings.HasPrefix(got, "<13>") || !strings.Contains(got, " agent[") || !strings.HasSuffix(got, "]: upload a → b: not run\n") {
		t.Errorf("%q, %v", got, err)
	}
	if err := toSyslog("unixgram", path+"x", info, "x"); err == nil {
		t.Error("a log that is not there takes a line")
	}
}

// What files are called, and what servers say, makes no second line and reaches
// no terminal's controls.
func TestSummaryIsOneLine(t *testing.T) {
	at := time.Date(2026, 11, 25, 2, 30, 0, 0, time.UTC)
	tk := &task{args: []string{"a\nexit 0", "\x1b[2J"}, connection: &connection{dest: dest.Dest{Bucket: "b", Prefix: "ws/x", Workspace: "ws"}},
		outcome: &journal.Outcome{Started: at, Ended: at.Add(182 * time.Second), Error: strings.Repeat("ö\r", 500),
			Sums: journal.Sums{FilesSent: 12, FilesThere: 3402, BytesSent: 1288490188, Scanned: true}}}
	got := tk.summary(exitUnreachable, transfer.ErrUnreachable)
	if strings.ContainsAny(got, "\n\r\x1b") || len(got) > 1500 {
		t.Errorf("%q", got)
	}
	if !strings.HasPrefix(got, `upload a\nexit 0 \x1b[2J → ws/x: 12 sent, 3402 there, 0 failed, 1.20 GiB in 3m2s, exit 5: ö`) {
		t.Errorf("%q", got)
	}
	if got := tk.summary(exitBusy, &journal.BusyError{}); !strings.Contains(got, ": not run: another run holds the job, exit 75") {
		t.Errorf("%q", got)
	}
	if err := checkSummary(filepath.Join(t.TempDir(), "no", "log")); !errors.As(err, new(*dest.Mistake)) {
		t.Error(err)
	}
}
