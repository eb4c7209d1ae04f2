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
	var o jobsOptions
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the schedules, and how the last run of each ended",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sh, err := o.shelf(name)
			if err != nil {
				return err
			}
			return sh.listSchedules(cmd.Context(), s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (s shelf) listSchedules(ctx context.Context, std std) error {
	t := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	n := 0
	for _, k := range s.keepers() {
		all, err := k.list(ctx)
		if err != nil {
			fmt.Fprintf(std.err, "note: %s\n", show.Clean(err.Error()))
			continue
		}
		for _, sc := range all {
			if n++; n == 1 {
				fmt.Fprintln(t, "NAME\tKIND\tWHEN\tLAST RUN\tCOMMAND")
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", show.Clean(sc.name), sc.kind, show.Clean(sc.when), s.lastOf(sc.name), show.Clean(sc.command))
		}
	}
	if n == 0 {
		fmt.Fprintln(std.err, "there are no schedules")
	}
	return t.Flush()
}

// lastOf is how the last run of a schedule ended, after its own status file.
func (s shelf) lastOf(name string) string {
	text, err := os.ReadFile(filepath.Join(s.schedules(), name+".json"))
	var st status
	if err != nil || json.Unmarshal(text, &st) != nil {
		return "not known"
	}
	return fmt.Sprintf("%s, exit code %d", ago(st.Ended, time.Now()), st.Exit)
}

func scheduleRemoveCommand(name string, s std) *cobra.Command {
	var o jobsOptions
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a schedule; its job and what is stored stay",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &dest.Mistake{Msg: "name one schedule", Hint: "see '" + cmd.Parent().CommandPath() + " list'"}
			}
			return checkScheduleName(args[0])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			sh, err := o.shelf(name)
			if err != nil {
				return err
			}
			found := false
			for _, k := range sh.keepers() {
				there, err := k.remove(cmd.Context(), args[0])
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
		},
	}
	o.addFlags(cmd)
	return cmd
}
