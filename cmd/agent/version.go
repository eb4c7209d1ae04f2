package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"strings"
)

// What the build knows of itself (-ldflags "-X main.version=…"): see the
// Makefile. All empty where nobody told, as with 'go install'.
var version, commit, date string

// edition is which build of the program this is.
type edition struct {
	version string // v1.2.3, or what 'git describe' says; "dev" where nobody knows
	commit  string // the whole hash; "" where nobody knows
	date    string // of the commit, RFC 3339 in UTC, so that the same commit gives the same program; "" likewise
}

// thisEdition is what was built in, and for the rest what Go noted by itself.
func thisEdition() edition {
	info, _ := debug.ReadBuildInfo()
	return edition{version, commit, date}.or(info)
}

// or fills in what is missing from what Go notes: the module's version where it
// was installed by version, the state of the work tree where it was built in one.
func (e edition) or(info *debug.BuildInfo) edition {
	if info == nil {
		info = &debug.BuildInfo{}
	}
	noted := map[string]string{}
	for _, s := range info.Settings {
		noted[s.Key] = s.Value
	}
	if e.version == "" && info.Main.Version != "(devel)" {
		e.version = info.Main.Version
	}
	if e.commit == "" {
		// A date of one commit says nothing of another.
		e.commit, e.date = noted["vcs.revision"], cmp.Or(e.date, noted["vcs.time"])
		if e.version == "" && noted["vcs.modified"] == "true" {
			e.version = "dev-dirty"
		}
	}
	e.version = cmp.Or(e.version, "dev")
	return e
}

// String is the line of --version.
func (e edition) String() string {
	var more []string
	if e.commit != "" {
		more = append(more, "commit "+e.commit[:min(12, len(e.commit))])
	}
	if e.date != "" {
		more = append(more, e.date)
	}
	if len(more) == 0 {
		return program + " " + e.version
	}
	return fmt.Sprintf("%s %s (%s)", program, e.version, strings.Join(more, ", "))
}
