package dest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"agent/transfer"
)

// Split parts the arguments of an upload: sources first, the destination last.
// The error is a *Mistake.
func Split(args []string) (sources []string, destination string, err error) {
	switch len(args) {
	case 0:
		return nil, "", &Mistake{Msg: "nothing to upload was named", Hint: "write what to upload, then where to: DIR workspace/path"}
	case 1:
		if _, err := os.Stat(args[0]); err == nil {
			return nil, "", &Mistake{Msg: "the destination is missing", Hint: fmt.Sprintf("write it last: %s workspace/path", args[0])}
		}
		return nil, "", &Mistake{Msg: "source or destination is missing", Hint: "write what to upload, then where to: DIR workspace/path"}
	}
	return args[:len(args)-1], args[len(args)-1], nil
}

// Expand replaces patterns by the files they match, sorted, where the shell
// leaves that to the program: on Windows. What names a file, matches nothing
// or is no pattern stays as it is.
func Expand(args []string, windows bool) []string {
	if !windows {
		return args
	}
	var out []string
	for _, arg := range args {
		_, remote := cutS3(arg)
		if remote || !isPattern(arg) || exists(arg) {
			out = append(out, arg)
			continue
		}
		if found, err := filepath.Glob(arg); err == nil && len(found) > 0 {
			out = append(out, found...)
			continue
		}
		out = append(out, arg)
	}
	return out
}

func isPattern(arg string) bool { return strings.ContainsAny(arg, "*?[") }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Sources says which key everything gets that the user named:
//
//   - the contents of one directory go under the destination;
//   - one file becomes the destination, or keeps its base name under it when
//     the destination can only be a prefix;
//   - several files and directories keep their base names under it, however
//     they are written.
//
// Every error is a *Mistake.
func Sources(args []string, d Dest) ([]transfer.Source, error) {
	if len(args) == 0 {
		return nil, &Mistake{Msg: "nothing to upload was named", Hint: "write what to upload, then where to: DIR workspace/path"}
	}
	var sources []transfer.Source
	seen := map[string]string{} // by key or prefix, what the user wrote
	for _, arg := range args {
		s, err := source(arg, d, len(args) > 1)
		if err != nil {
			return nil, err
		}
		key := strings.TrimSuffix(s.Prefix, "/")
		if first, ok := seen[key]; ok && len(args) > 1 {
			if first == s.Path {
				continue
			}
			return nil, &Mistake{
				Msg:  fmt.Sprintf("%q and %q would both become %s", first, s.Path, Dest{Bucket: d.Bucket, Prefix: key}),
				Hint: "upload them one after the other, each to a destination of its own",
			}
		}
		seen[key] = s.Path
		sources = append(sources, s)
	}
	return sources, nil
}

func source(arg string, d Dest, several bool) (transfer.Source, error) {
	var none transfer.Source
	if _, remote := cutS3(arg); remote {
		return none, &Mistake{Msg: fmt.Sprintf("the source %q is not on this machine", arg), Hint: "to fetch it, use the download command; the destination comes last"}
	}
	if arg == "" {
		return none, &Mistake{Msg: "a source is empty"}
	}
	path, err := filepath.Abs(arg)
	if err != nil {
		return none, &Mistake{Msg: fmt.Sprintf("the source %q: %v", arg, err)}
	}
	fi, err := os.Stat(arg)
	if err != nil {
		return none, missing(arg, err)
	}
	s := transfer.Source{Path: path, Prefix: d.Under(), Dir: fi.IsDir()}
	base := filepath.Base(path)
	if several && s.Dir && path == filepath.Dir(path) {
		return none, &Mistake{Msg: fmt.Sprintf("the source %q has no name to keep", arg), Hint: "upload it alone: its contents go under the destination"}
	}
	switch {
	case several && s.Dir:
		s.Prefix += base + "/"
	case several || !s.Dir && d.Dir:
		s.Prefix += base
	case !s.Dir:
		s.Prefix = d.Prefix
	}
	return s, nil
}

// missing says why a source cannot be found.
func missing(arg string, err error) *Mistake {
	m := &Mistake{Msg: fmt.Sprintf("the source %q: %v", arg, err)}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		m.Msg = fmt.Sprintf("the source %q: %v", arg, pe.Err)
	}
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return m
	case exists(arg):
		m.Msg = fmt.Sprintf("the source %q is a symbolic link that leads nowhere", arg)
		return m
	case arg == "-":
		return &Mistake{Msg: "standard input can't be uploaded", Hint: "write it to a file first: a resume reads it again"}
	case isPattern(arg):
		m.Msg = fmt.Sprintf("no file matches %q", arg)
	default:
		m.Msg = fmt.Sprintf("no such file or directory: %q", arg)
	}
	if cwd, err := os.Getwd(); err == nil && !filepath.IsAbs(arg) {
		m.Hint = "looked in " + cwd
	}
	return m
}
