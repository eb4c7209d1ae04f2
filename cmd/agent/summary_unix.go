//go:build unix

package main

import (
	"fmt"
	"io"
	"log/syslog"
	"os"
	"syscall"
)

// toSyslog sends a line to the machine's log, where network and address are "".
func toSyslog(network, address string, how severity, line string) error {
	w, err := syslog.Dial(network, address, syslog.LOG_USER|syslog.Priority(how), program)
	if err != nil {
		return err
	}
	_, err = w.Write([]byte(line))
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}

// hasSyslog reports whether somebody takes lines for the machine's log.
func hasSyslog() bool {
	for _, path := range []string{"/dev/log", "/var/run/syslog", "/var/run/log"} { // where log/syslog looks
		if fi, err := os.Stat(path); err == nil && fi.Mode()&os.ModeSocket != 0 {
			return true
		}
	}
	return false
}

// isJournal reports whether w is a stream of systemd's journal, of which the
// variable JOURNAL_STREAM has device and inode: a redirection is none.
func isJournal(w io.Writer, stream string) bool {
	f, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	fi, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && fmt.Sprintf("%d:%d", st.Dev, st.Ino) == stream
}
