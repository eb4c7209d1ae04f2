package main

import (
	"time"

	"github.com/spf13/cobra"
)

// runOptions are the flags of whatever moves files, in either direction. They
// mean the same everywhere.
type runOptions struct {
	connection connectionOptions
	filter     filterOptions
	unattended unattendedOptions
	limitOptions
	detachOptions

	dryRun, restart     bool
	partSize            partBytes
	parallel            laneCount
	patience, waitCreds time.Duration
	onWait              string

	quiet, json bool
	verbose     int
	logFile     string
}

// runWords is what their help says otherwise in one direction.
type runWords struct {
	nothing  string // what a dry run does not do
	partSize string
	parallel string
}

func (o *runOptions) addFlags(cmd *cobra.Command, w runWords) {
	o.connection.addFlags(cmd)
	o.filter.addFlags(cmd)
	o.unattended.addFlags(cmd)
	o.limitOptions.addFlags(cmd)
	o.detachOptions.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "print what would be done and why; "+w.nothing)
	f.BoolVar(&o.restart, "restart", false, "forget what earlier runs did")
	f.Var(&o.partSize, "part-size", w.partSize)
	f.Var(&o.parallel, "parallel", w.parallel)
	f.DurationVar(&o.patience, "patience", 0, "how long the store may be away, e.g. 2h (default: without end on a terminal, else 24h)")
	f.DurationVar(&o.waitCreds, "wait-credentials", 0, "how long to wait for new credentials (default: without end on a terminal, 10m in a systemd unit, else 24h)")
	f.StringVar(&o.onWait, "on-wait", "", "run `COMMAND` each time it begins to wait for credentials, with the reason on its standard input")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print errors, and what is waited for, only")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
	f.CountVarP(&o.verbose, "verbose", "v", "print retries too; -vv logs every file")
	f.StringVar(&o.logFile, "log-file", "", "write the log to `FILE` (default: in the job's folder)")
}
