package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/show"
)

// keepers are all places where there may be schedules.
func (s shelf) keepers() []keeper {
	all := []keeper{slurm{dir: s.schedules()}}
	if runtime.GOOS == "windows" {
		return all
	}
	if k, err := newSystemd(false); err == nil {
		all = append(all, k)
	}
	return append(all, systemd{dir: systemUnits}, crontab{})
}

func scheduleListCommand(name string, s std) *cobra.Command {
	var asJSON bool
	cmd := onShelf(name, &cobra.Command{
		Use:     "list",
		Short:   "List the schedules, and how the last run of each ended",
		Example: fmt.Sprintf("  %[1]s schedule list\n  %[1]s schedule list --json", name),
		Args:    none,
	}, func(ctx context.Context, sh shelf, _ []string) error {
		return sh.listSchedules(ctx, s, asJSON)
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// scheduleLine is a schedule as JSON: see docs/scheduling.md.
type scheduleLine struct {
	Type    string  `json:"type"` // "schedule"
	Name    string  `json:"name"`
	Kind    string  `json:"kind"`
	When    string  `json:"when"`
	Command string  `json:"command"`
	Last    *status `json:"last,omitempty"`
}

func (s shelf) listSchedules(ctx context.Context, std std, asJSON bool) error {
	t := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	n := 0
	for _, k := range s.keepers() {
		all, err := k.list(ctx)
		if err != nil {
			fmt.Fprintf(std.err, "note: %s\n", show.Clean(err.Error()))
			continue
		}
		for _, sc := range all {
			if asJSON {
				if err := encodeLine(std.out, scheduleLine{"schedule", sc.name, sc.kind, sc.when, sc.command, s.lastStatus(sc.name)}); err != nil {
					return err
				}
				continue
			}
			if n++; n == 1 {
				fmt.Fprintln(t, "NAME\tKIND\tWHEN\tLAST RUN\tCOMMAND")
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", show.Clean(sc.name), sc.kind, show.Clean(sc.when), s.lastOf(sc.name), show.Clean(sc.command))
		}
	}
	if n == 0 && !asJSON {
		fmt.Fprintln(std.err, "there are no schedules")
	}
	return t.Flush()
}

// lastStatus is how the last run of a schedule ended, after its own status file;
// nil where there is none.
func (s shelf) lastStatus(name string) *status {
	text, err := os.ReadFile(filepath.Join(s.schedules(), name+".json"))
	var st status
	if err != nil || json.Unmarshal(text, &st) != nil {
		return nil
	}
	return &st
}

// lastOf is the same in short.
func (s shelf) lastOf(name string) string {
	st := s.lastStatus(name)
	if st == nil {
		return "not known"
	}
	return fmt.Sprintf("%s, exit code %d", ago(st.Ended, time.Now()), st.Exit)
}

func scheduleRemoveCommand(name string, s std) *cobra.Command {
	return onShelf(name, &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a schedule; its job and what is stored stay",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &dest.Mistake{Msg: "name one schedule", Hint: "see '" + cmd.Parent().CommandPath() + " list'"}
			}
			return checkScheduleName(args[0])
		},
	}, func(ctx context.Context, sh shelf, args []string) error {
		found := false
		for _, k := range sh.keepers() {
			there, err := k.remove(ctx, args[0])
			if err != nil {
				return err
			}
			found = found || there
		}
		if !found {
			return &dest.Mistake{Msg: fmt.Sprintf("there is no schedule %q", args[0]), Hint: fmt.Sprintf("see '%s schedule list'", name)}
		}
		_ = os.Remove(filepath.Join(sh.schedules(), args[0]+".json"))
		fmt.Fprintf(s.err, "removed %s\n", args[0])
		return nil
	})
}
