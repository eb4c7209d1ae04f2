package main

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
)

// helps makes what cobra adds by itself, 'help' and 'completion', speak as the
// other commands do.
func helps(root *cobra.Command) {
	help := &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show how a command is used",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, sub := range cmd.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, sub.Name()+"\t"+sub.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				if cmd == nil || !cmd.HasSubCommands() {
					return &dest.Mistake{Msg: "there is no command \"" + strings.Join(args, " ") + "\"", Hint: "see '" + root.Name() + " --help'"}
				}
				if len(rest) == 0 {
					rest = args
				}
				return noCommand(cmd, rest)
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
	root.SetHelpCommand(help)
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Short = "Print a script that makes a shell complete commands and destinations"
		cmd.Args, cmd.SuggestionsMinimumDistance = noCommand, 2
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		for _, shell := range cmd.Commands() {
			shell.Short = "Print the script for " + shell.Name()
			shell.Args = none
		}
	}
}

// outputError is that what is printed does not arrive.
type outputError struct{ err error }

func (e *outputError) Error() string { return "what is printed can't be written: " + e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }
func (e *outputError) hint() string  { return "is the disk full to which it goes?" }

// asOutput tells errors of standard output from those of files.
func asOutput(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) && at.Op == "write" && at.Path == "/dev/stdout" {
		return &outputError{at.Err}
	}
	return err
}
