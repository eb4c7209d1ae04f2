package main

import (
	"os"

	"github.com/spf13/cobra"

	"agent/cmd/internal/config"
	"agent/cmd/internal/dest"
)

// syncWay is Direction for arguments in which NAME:path still stands.
func syncWay(args []string) (dest.Way, error) {
	var named [2]bool
	for i := range named {
		if i == len(args) {
			break
		}
		_, _, named[i] = config.Cut(args[i])
		if _, err := os.Lstat(args[i]); err == nil {
			named[i] = false // a file of that name
		}
	}
	return dest.Direction(args, named)
}

// remoteArg is which argument of a command is its destination in the store.
func remoteArg(cmd *cobra.Command, args []string) int {
	switch cmd.Name() {
	case "download":
		return 0
	case "sync":
		if way, err := syncWay(args); err == nil && way == dest.Down {
			return 0
		}
	}
	return len(args) - 1
}

// absoluteSides makes the local side of a sync absolute, whichever it is, among
// the words of its command line.
func absoluteSides(all []word) error {
	var at []int
	var args []string
	for i, w := range all {
		if w.plain() {
			at, args = append(at, i), append(args, w.value)
		}
	}
	way, err := syncWay(args)
	if err != nil {
		return err
	}
	local := at[0]
	if way == dest.Down {
		local = at[1]
	} else if fi, err := os.Stat(args[0]); err != nil || !fi.IsDir() {
		return &dest.Mistake{Msg: "source " + args[0] + ": there is no such directory", Hint: "is it mounted?"}
	}
	return all[local].makeAbsolute()
}
