package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/suggest"
)

// flagMistake is a flag that does not exist or does not take its value, with
// the one that was probably meant.
func flagMistake(cmd *cobra.Command, err error) error {
	m := &dest.Mistake{Msg: err.Error(), Hint: "see '" + cmd.CommandPath() + " --help'"}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return m
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	given := unknown.GetSpecifiedName()
	if near := suggest.Nearest(strings.ReplaceAll(given, "_", "-"), names); near != "" {
		m.Hint = "did you mean --" + near + "? See '" + cmd.CommandPath() + " --help'"
	}
	return m
}
