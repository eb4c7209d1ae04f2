// Command agent sends directories to S3 under credentials that die every hour,
// and never starts over.
//
// This package wires the parts together and speaks to people; what it wires
// does neither.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/prompt"
	"agent/cmd/internal/show"
)

// program is the program's name, where it isn't the name it was called by: in
// the folder of its state and in the names of its environment variables.
const program = "agent"

// variable is the name of one of the program's environment variables.
func variable(name string) string { return strings.ToUpper(program) + "_" + name }

func main() {
	noCoreDumps()
	os.Exit(run(context.Background(), os.Args, std{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// std are the process's streams, and what it was called with.
type std struct {
	in       io.Reader
	out, err io.Writer
	args     []string // after the program's name
	job      string   // the only one that may be run, "" for any: see 'jobs resume'
	profiles *profiles
}

func run(ctx context.Context, args []string, s std) int {
	name := invoked(args)
	s.args, s.profiles = args[min(1, len(args)):], &profiles{}
	cmd := rootCommand(name, s)
	cmd.SetArgs(s.args)
	err := asOutput(cmd.ExecuteContext(ctx))
	if perr := s.profiles.stop(); err == nil {
		err = perr
	}
	if err == nil {
		return exitDone
	}
	var shown *shownError
	if errors.As(err, &shown) {
		return shown.code
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, prompt.ErrInterrupted) {
		_, _ = fmt.Fprintln(s.err) // the line that the ^C is on
		return exitCode(err)
	}
	what, hint := explain(err)
	_, _ = fmt.Fprintf(s.err, "%s: %s\n", name, show.Clean(what))
	if hint != "" {
		_, _ = fmt.Fprintf(s.err, "  %s\n", show.Clean(hint))
	}
	return exitCode(err)
}

// invoked is the name the program was called by: users may have renamed it.
func invoked(args []string) string {
	if len(args) == 0 || args[0] == "" {
		return program
	}
	return strings.TrimSuffix(filepath.Base(args[0]), ".exe")
}

func rootCommand(name string, s std) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: "Send directories to S3 under credentials that expire, and never start over",
		Long: "Sends directories to S3 by parallel multipart uploads, and remembers every part.\n" +
			"When credentials expire it waits for new ones and goes on; after any\n" +
			"interruption the same command goes on from the last part.\n\n" + exitHelp,
		Example: fmt.Sprintf(`  %[1]s login my-workspace
  %[1]s upload ./dataset my-workspace/dataset
  %[1]s creds show my-workspace
  source <(%[1]s completion bash)`, name),
		Version:       thisEdition().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetIn(s.in)
	cmd.SetOut(s.out)
	cmd.SetErr(s.err)
	cmd.SetVersionTemplate("{{.Version}}\n")
	cmd.SuggestionsMinimumDistance = 2
	cmd.SetFlagErrorFunc(flagMistake)
	p := cmp.Or(s.profiles, &profiles{})
	p.addFlags(cmd)
	cmd.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if err := configure(cmd, args); err != nil {
			return err
		}
		warnInsecure(cmd, name)
		return p.start()
	}
	cmd.AddCommand(uploadCommand(name, s), downloadCommand(name, s), lsCommand(name, s), rmCommand(name, s), verifyCommand(name, s), syncCommand(name, s),
		loginCommand(name, s), logoutCommand(name, s), credsCommand(name, s), jobsCommand(name, s), scheduleCommand(name, s),
		configCommand(name, s), doctorCommand(name, s), benchCommand(name, s), uninstallCommand(name, s))
	cmd.AddCommand(moreCommands()...)
	completions(cmd)
	helps(cmd)
	return cmd
}

// noCommand turns a word that is no command into a mistake with suggestions.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	m := &dest.Mistake{Msg: fmt.Sprintf("there is no command %q", args[0]), Hint: "see '" + cmd.CommandPath() + " --help'"}
	near := cmd.SuggestionsFor(args[0])
	switch meant := meantBy(cmd.CommandPath(), args[0]); {
	case meant != "":
		m.Hint = meant
	case args[0] == "version" && !cmd.HasParent():
		m.Hint = fmt.Sprintf("did you mean '%s --version'?", cmd.CommandPath())
	case len(near) > 0:
		m.Hint = fmt.Sprintf("did you mean '%s %s'?", cmd.CommandPath(), near[0])
	}
	return m
}
