package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// word is one flag with its value, or one argument, of a command line.
type word struct {
	flag  string // its long name; "" for an argument, and for "--"
	takes string // what the help calls its value: FILE, DIR, …; "" for none
	value string // of the flag, or the argument
	raw   []string
}

// plain reports an argument, as opposed to a flag and to "--".
func (w word) plain() bool { return w.flag == "" && w.raw[0] != "--" }

// words takes the arguments of cmd apart, in their order, without judging them.
func words(cmd *cobra.Command, args []string) []word {
	var all []word
	flags := true
	for i := 0; i < len(args); i++ {
		w := word{value: args[i], raw: args[i : i+1]}
		switch a := args[i]; {
		case !flags || a == "-" || !strings.HasPrefix(a, "-"):
		case a == "--":
			flags = false
		default:
			var more bool
			if w.flag, w.takes, w.value, more = wordFlag(cmd, a); more && i+1 < len(args) {
				i++
				w.value, w.raw = args[i], args[i-1:i+1]
			}
		}
		all = append(all, w)
	}
	return all
}

// wordFlag reads "--name", "--name=value", "-n" and "-nvalue"; more says that
// its value is the next argument. Of "-abc" it is the last one that counts.
func wordFlag(cmd *cobra.Command, a string) (name, takes, value string, more bool) {
	name, value, given := strings.Cut(strings.TrimPrefix(a, "--"), "=")
	f := cmd.Flag(name)
	if !strings.HasPrefix(a, "--") {
		name = a
		for i := 1; i < len(a); i++ {
			if f = cmd.Flags().ShorthandLookup(a[i : i+1]); f == nil {
				return a, "", "", false
			}
			if name = f.Name; f.NoOptDefVal == "" && i+1 < len(a) {
				value, given = strings.TrimPrefix(a[i+1:], "="), true
				break
			}
		}
	}
	if f == nil || f.NoOptDefVal != "" {
		return name, "", value, false
	}
	if parts := strings.Split(f.Usage, "`"); len(parts) > 2 {
		takes = parts[1]
	}
	return name, takes, value, !given
}

// unwords puts words together again.
func unwords(all []word) []string {
	var args []string
	for _, w := range all {
		args = append(args, w.raw...)
	}
	return args
}

// secretFlags are those whose values are commands: there may be a key in them.
var secretFlags = []string{"credential-process", "on-wait"}

// onceFlags belong to one run, not to what makes the same run again.
var onceFlags = []string{"restart", "dry-run", "detach"}

// again is args as they may be kept to run the same again, and which flags are
// not among them because of what may be in their values.
func again(root *cobra.Command, args []string) (kept, leftOut []string) {
	cmd, rest, err := root.Find(args)
	if err != nil {
		return nil, nil
	}
	all := slices.DeleteFunc(words(cmd, rest), func(w word) bool {
		if slices.Contains(secretFlags, w.flag) {
			leftOut = append(leftOut, "--"+w.flag)
			return true
		}
		return slices.Contains(onceFlags, w.flag)
	})
	return append(strings.Fields(strings.TrimPrefix(cmd.CommandPath(), root.Name())), unwords(all)...), leftOut
}
