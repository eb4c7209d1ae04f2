package main

import (
	"errors"
	"io"
)

func toSyslog(_, _ string, _ severity, _ string) error {
	return errors.New("there is no syslog on Windows")
}

func hasSyslog() bool { return false }

func isJournal(io.Writer, string) bool { return false }
