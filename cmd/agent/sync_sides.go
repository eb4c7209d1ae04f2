package main

import (
	"os"
	"slices"

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
	deletes := false
	for i, w := range all {
		if w.plain() {
			at, args = append(at, i), append(args, w.value)
		}
		deletes = deletes || w.flag == "delete" && !slices.Contains(w.raw, "--delete=false")
	}
	way, err := syncWay(args)
	if err != nil {
		return err
	}
	local, remote := at[0], args[1]
	if way == dest.Down {
		local, remote = at[1], args[0]
	}
	if _, _, named := config.Cut(remote); deletes && !named {
		if err := dest.MayDelete(remote); err != nil {
			return err
		}
	}
	if way == dest.Down {
		return all[local].makeAbsolute()
	}
	if fi, err := os.Stat(args[0]); err != nil || !fi.IsDir() {
		return &dest.Mistake{Msg: "source " + args[0] + ": there is no such directory", Hint: "is it mounted?"}
	}
	return all[local].makeAbsolute()
}
