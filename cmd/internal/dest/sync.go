package dest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Way is the direction of a sync.
type Way uint8

// The ways.
const (
	Up   Way = iota + 1 // from a directory of this machine to the store
	Down                // from the store to a directory of this machine
)

// side is what an argument of a sync can be.
type side uint8

const (
	unsure side = iota
	local
	remote
)

// Direction says which of a sync's two arguments is a directory of this
// machine. named says of each that it was written NAME:path, and so is a
// destination. An argument that is surely one or the other settles its
// neighbour; where neither is, the one that alone is a directory here is local,
// and the other has a slash in it: a bare word beside a directory is as likely
// another directory, with a slip in its name, as all of a workspace. Whatever
// else would be a guess, and a guess could delete something: it is a *Mistake.
func Direction(args []string, named [2]bool) (Way, error) {
	const hint = "write a directory and a destination, in either order: sync ./dir workspace/path, or sync workspace/path ./dir"
	switch len(args) {
	case 0, 1:
		return 0, &Mistake{Msg: "sync needs two sides, where from and where to", Hint: hint}
	case 2:
	default:
		return 0, &Mistake{Msg: fmt.Sprintf("sync takes one directory and one destination, not %d arguments", len(args)), Hint: "sync them one after the other; upload takes several sources"}
	}
	from, to := sideOf(args[0], named[0]), sideOf(args[1], named[1])
	switch {
	case args[0] == "" || args[1] == "":
		return 0, &Mistake{Msg: "one side of the sync is empty", Hint: hint}
	case from == local && to == local:
		return 0, &Mistake{Msg: fmt.Sprintf("%q and %q are both on this machine", args[0], args[1]), Hint: "one side has to be workspace/path or s3://bucket/key; between two directories use rsync"}
	case from == remote && to == remote:
		return 0, &Mistake{Msg: fmt.Sprintf("%q and %q are both in a store", args[0], args[1]), Hint: "one side has to be a directory of this machine: sync down to it, and up from it"}
	case from == local || to == remote:
		return Up, nil
	case from == remote || to == local:
		return Down, nil
	}
	return guess(args[0], args[1])
}

// guess decides by what is a directory here.
func guess(from, to string) (Way, error) {
	first, second := isDir(from), isDir(to)
	switch {
	case first && !second && bare(to):
		return 0, bareWord(to)
	case second && !first && bare(from):
		return 0, bareWord(from)
	case first && !second:
		return Up, nil
	case second && !first:
		return Down, nil
	case first:
		return 0, &Mistake{Msg: fmt.Sprintf("%q and %q are both directories here: which one is meant on this machine?", from, to),
			Hint: fmt.Sprintf("write ./%s or ./%s for the one on this machine, or s3://BUCKET/… for the other", from, to)}
	}
	return 0, &Mistake{Msg: fmt.Sprintf("neither %q nor %q is a directory here: which one is meant on this machine?", from, to),
		Hint: fmt.Sprintf("write ./%s or ./%s for the one on this machine; is it mounted?", from, to)}
}

// bare reports whether arg is one word, and so all of a workspace if it is one.
func bare(arg string) bool {
	_, s3 := cutS3(arg)
	return !s3 && !strings.Contains(arg, "/")
}

func bareWord(arg string) error {
	return &Mistake{Msg: fmt.Sprintf("%q is no directory here: is all of a workspace meant?", arg),
		Hint: fmt.Sprintf("write %[1]s/ for all of the workspace, %[1]s/path for a part of it; between two directories use rsync", arg)}
}

// MayDelete refuses a sync that deletes, where its destination is a whole
// workspace that was written as a bare word.
func MayDelete(arg string) error {
	if !bare(arg) {
		return nil
	}
	return &Mistake{Msg: fmt.Sprintf("--delete would be about all of the workspace %q", arg),
		Hint: fmt.Sprintf("write %[1]s/path for a part of it, or %[1]s/ if all of it is meant", arg)}
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

func sideOf(arg string, named bool) side {
	_, s3 := cutS3(arg)
	switch {
	case named || s3:
		return remote
	case arg == "." || arg == ".." || arg == "~", filepath.IsAbs(arg):
		return local
	case runtime.GOOS == "windows" && (drive.MatchString(arg) || strings.Contains(arg, `\`)):
		return local
	}
	for _, begin := range []string{"/", "./", "../", "~/"} {
		if strings.HasPrefix(arg, begin) {
			return local
		}
	}
	return unsure
}
