package dest

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"agent/transfer"
)

// SplitDownload parts the arguments of a download: what to fetch, and last the
// directory it goes to, made absolute. The error is a *Mistake.
func SplitDownload(args []string) (sources []string, dir string, err error) {
	const hint = "write what to fetch, then where to: workspace/path DIR"
	switch len(args) {
	case 0:
		return nil, "", &Mistake{Msg: "nothing to download was named", Hint: hint}
	case 1:
		return nil, "", &Mistake{Msg: "the directory to download to is missing", Hint: fmt.Sprintf("write it last; for this one: %s .", args[0])}
	}
	last := args[len(args)-1]
	if _, remote := cutS3(last); remote {
		return nil, "", &Mistake{Msg: fmt.Sprintf("the destination %q is not on this machine", last),
			Hint: "a directory of this machine comes last; to send something there, use the upload command"}
	}
	if last == "-" && !exists(last) {
		return nil, "", &Mistake{Msg: "a download can't go to standard output", Hint: "name a directory; one that is called - is ./-"}
	}
	if last == "" {
		return nil, "", &Mistake{Msg: "the directory to download to is empty", Hint: "write . for this one"}
	}
	if fi, err := os.Stat(last); err == nil && !fi.IsDir() {
		return nil, "", &Mistake{Msg: fmt.Sprintf("the destination %q is a file", last), Hint: "name a directory: objects keep their names in it"}
	}
	if dir, err = filepath.Abs(last); err != nil {
		return nil, "", &Mistake{Msg: fmt.Sprintf("the destination %q: %v", last, err)}
	}
	return args[:len(args)-1], dir, nil
}

// ParseSource is Parse for what is to be fetched.
func ParseSource(arg, defaultBucket string) (Dest, error) {
	d, err := Parse(arg, defaultBucket)
	return d, AsSource(err)
}

// AsSource words a mistake of Parse for what is to be fetched.
func AsSource(err error) error {
	var m *Mistake
	if !errors.As(err, &m) {
		return err
	}
	return &Mistake{
		Msg:  strings.ReplaceAll(m.Msg, "the destination", "the source"),
		Hint: strings.NewReplacer("the destination comes last", "the directory comes last", "the destination is no path", "the source is no path").Replace(m.Hint),
	}
}

// Remotes says what the named sources are to be fetched as: the contents of one
// prefix go under the directory; of several, each keeps its last part. Every
// error is a *Mistake.
func Remotes(sources []Dest) ([]transfer.Remote, error) {
	var out []transfer.Remote
	seen := map[string]Dest{}
	for _, d := range sources {
		if d.Bucket != sources[0].Bucket {
			return nil, &Mistake{Msg: fmt.Sprintf("%s and %s are in different buckets", sources[0], d), Hint: "download them one after the other"}
		}
		r := transfer.Remote{Key: d.Prefix, Dir: d.Dir, Keep: len(sources) > 1}
		base := path.Base(d.Prefix)
		if r.Keep && d.Prefix == "" {
			return nil, &Mistake{Msg: fmt.Sprintf("the source %s has no name to keep", d), Hint: "download it alone: its contents go under the directory"}
		}
		if first, ok := seen[base]; ok && r.Keep {
			if first == d {
				continue
			}
			return nil, &Mistake{Msg: fmt.Sprintf("%s and %s would both become %s", first, d, base),
				Hint: "download them one after the other, each to a directory of its own"}
		}
		seen[base] = d
		out = append(out, r)
	}
	return out, nil
}
