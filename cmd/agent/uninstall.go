package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/prompt"
	"agent/cmd/internal/show"
	"agent/journal"
)

// uninstallOptions are the flags of uninstall.
type uninstallOptions struct {
	jobsOptions
	state, binary bool
	yes, dryRun   bool
}

func (o *uninstallOptions) addFlags(cmd *cobra.Command) {
	o.jobsOptions.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.state, "state", false, "remove the jobs too: their journals and logs, without which nothing can be resumed")
	f.BoolVar(&o.binary, "binary", false, "remove the program itself too")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "print what would be removed; remove nothing")
}

func uninstallCommand(name string, s std) *cobra.Command {
	var o uninstallOptions
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove schedules, logins and pasted tokens; with --state the jobs too",
		Long: `Removes what this program has left on this machine for this user: schedules
(systemd, crontab, Slurm scripts), API keys, also from the keyring, pasted tokens,
and what completion remembers. It shows them and asks first. Nothing is removed
from any store.

Jobs stay, so that a later installation goes on where this one was; --state
removes them too, unless one is running. Uploads that are open in the store are
named before that, because afterwards nobody knows of them.

The configuration file and the program are named, with how to remove them.

Ends with 1 if something could not be removed, or if the answer was no.`,
		Example: fmt.Sprintf("  %[1]s uninstall --dry-run\n  %[1]s uninstall --state --binary", name),
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return runUninstall(ctx, name, o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func runUninstall(ctx context.Context, name string, o uninstallOptions, s std) error {
	if o.binary && runtime.GOOS == "windows" {
		return &dest.Mistake{Msg: "Windows removes no program that is running", Hint: "leave --binary out; what is left to do by hand is then named"}
	}
	sh, err := o.shelf(name)
	if err != nil {
		return err
	}
	u := &uninstall{shelf: sh, o: o}
	if err := u.find(ctx); err != nil {
		return err
	}
	u.show(s)
	switch {
	case o.dryRun:
		return u.ended(s)
	case len(u.traces) == 0:
		fmt.Fprintln(s.err, "there is nothing to remove")
		return u.ended(s)
	case !o.yes:
		if err := u.ask(ctx, s); err != nil {
			return err
		}
	}
	for _, t := range u.traces {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.remove(ctx); err != nil {
			u.failed = append(u.failed, fmt.Errorf("could not remove %s: %w", t.what, err))
			continue
		}
		fmt.Fprintf(s.err, "removed %s\n", show.Clean(t.what))
	}
	return u.ended(s)
}

// trace is something that this program has left on the machine.
type trace struct {
	what   string
	remove func(ctx context.Context) error
}

// uninstall is one removal.
type uninstall struct {
	shelf
	o      uninstallOptions
	traces []trace  // in the order in which they are removed
	left   []string // stays, and how to remove it
	failed []error
}

func (u *uninstall) show(s std) {
	if len(u.traces) > 0 {
		fmt.Fprintln(s.err, "to be removed:")
	}
	for _, t := range u.traces {
		fmt.Fprintf(s.err, "  %s\n", show.Clean(t.what))
	}
	if len(u.left) > 0 {
		fmt.Fprintln(s.err, "not removed:")
	}
	for _, text := range u.left {
		fmt.Fprintf(s.err, "  %s\n", show.Clean(text))
	}
}

func (u *uninstall) ask(ctx context.Context, s std) error {
	term := s.asker()
	if term == nil {
		return &dest.Mistake{Msg: "there is no terminal to ask on, and nothing was removed", Hint: "--yes agrees beforehand, --dry-run only shows"}
	}
	answer, err := term.Line(ctx, "Remove them? [y/N] ")
	if err != nil && !errors.Is(err, prompt.ErrNoInput) {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		fmt.Fprintln(s.err, "nothing was removed")
		return &shownError{exitFailures}
	}
	return nil
}

// ended names what went wrong.
func (u *uninstall) ended(s std) error {
	for _, err := range u.failed {
		what, hint := explain(err)
		fmt.Fprintf(s.err, "%s: %s\n", u.name, show.Clean(what))
		if hint != "" {
			fmt.Fprintf(s.err, "  %s\n", show.Clean(hint))
		}
	}
	if len(u.failed) > 0 {
		return &shownError{exitFailures}
	}
	return nil
}

// heldError is that jobs are not to be removed, because they run.
type heldError struct {
	running []string
	name    string
}

func (e *heldError) Error() string {
	return "nothing was removed: still running: " + strings.Join(e.running, "; ")
}
func (e *heldError) Unwrap() error { return journal.ErrBusy }
func (e *heldError) hint() string {
	return fmt.Sprintf("let it end (%s jobs attach ID), or stop it; or leave the jobs where they are, without --state", e.name)
}

// rootError is something that only root may remove.
type rootError struct{ command string }

func (e *rootError) Error() string { return "that is for root" }
func (e *rootError) Unwrap() error { return os.ErrPermission }
func (e *rootError) hint() string  { return "run: sudo " + e.command }
