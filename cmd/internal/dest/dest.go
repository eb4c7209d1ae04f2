// Package dest reads what a user wrote as sources and destination of an
// upload, and says in the user's words what is wrong with it.
//
// It knows arguments and the local file system; it asks no store whether a
// bucket or a workspace exists.
package dest

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"agent/transfer"
)

// Dest is where an upload goes.
type Dest struct {
	Bucket string
	// Prefix is the key, or the key prefix, as it was given and without a
	// leading slash. It is "" for a whole bucket, and ends in "/" for a whole
	// workspace.
	Prefix    string
	Dir       bool   // it can only be a prefix: it ends in "/", or is a whole workspace or bucket
	Workspace string // "" when s3:// was written
}

// String is the destination as s3://bucket/prefix, which Parse takes too.
func (d Dest) String() string { return "s3://" + d.Bucket + "/" + d.Prefix }

// Under is the prefix for what goes under the destination: "" or ending in "/".
func (d Dest) Under() string {
	if d.Prefix == "" || strings.HasSuffix(d.Prefix, "/") {
		return d.Prefix
	}
	return d.Prefix + "/"
}

// At is the same path of the workspace in the place where its objects are.
func (d Dest) At(bucket, prefix string) Dest {
	if d.Workspace == "" {
		return d
	}
	path := strings.TrimPrefix(strings.TrimPrefix(d.Prefix, d.Workspace), "/")
	d.Bucket, d.Prefix = bucket, prefix+path
	d.Dir = d.Dir || path == ""
	return d
}

// IsWorkspace reports whether name can be that of a workspace.
func IsWorkspace(name string) bool { return workspaceName.MatchString(name) }

// Mistake is wrong use: what is wrong, and what to do about it.
type Mistake struct {
	Msg  string // one line, lower case
	Hint string // one line, or ""
}

func (m *Mistake) Error() string { return m.Msg }

const forms = "write workspace/path or s3://bucket/key"

var (
	workspaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	bucketName    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	drive         = regexp.MustCompile(`^[A-Za-z]:([\\/]|$)`)
	scheme        = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://`)
)

// Parse reads a destination: workspace/path, which lies in defaultBucket, or
// s3://bucket/key. Every error is a *Mistake.
func Parse(arg, defaultBucket string) (Dest, error) {
	if rest, ok := cutS3(arg); ok {
		return parseS3(rest)
	}
	if m := notADest(arg); m != nil {
		return Dest{}, m
	}
	workspace, _, deeper := strings.Cut(arg, "/")
	if !workspaceName.MatchString(workspace) {
		return Dest{}, badWorkspace(arg, workspace)
	}
	if m := checkKey(arg); m != nil {
		return Dest{}, m
	}
	if defaultBucket == "" {
		return Dest{}, &Mistake{
			Msg:  fmt.Sprintf("the bucket of workspace %q is not known", workspace),
			Hint: fmt.Sprintf("name it: s3://BUCKET/%s", arg),
		}
	}
	d := Dest{Bucket: defaultBucket, Prefix: arg, Dir: strings.HasSuffix(arg, "/"), Workspace: workspace}
	if !deeper {
		d.Prefix, d.Dir = arg+"/", true
	}
	if fi, err := os.Stat(arg); err == nil && fi.IsDir() {
		return Dest{}, &Mistake{
			Msg:  fmt.Sprintf("the destination %q is a directory on this machine", arg),
			Hint: fmt.Sprintf("the destination comes last; if %s is a workspace too, write %s", workspace, d),
		}
	}
	return d, nil
}

// cutS3 cuts off the scheme, however it is spelled.
func cutS3(arg string) (string, bool) {
	const s3 = "s3://"
	if len(arg) < len(s3) || !strings.EqualFold(arg[:len(s3)], s3) {
		return arg, false
	}
	return arg[len(s3):], true
}

func parseS3(rest string) (Dest, error) {
	bucket, key, _ := strings.Cut(rest, "/")
	if bucket == "" {
		return Dest{}, &Mistake{Msg: fmt.Sprintf("no bucket in %q", "s3://"+rest), Hint: "write s3://bucket/key"}
	}
	_, err := netip.ParseAddr(bucket)
	if !bucketName.MatchString(bucket) || strings.Contains(bucket, "..") || err == nil {
		return Dest{}, &Mistake{
			Msg:  fmt.Sprintf("%q is not the name of a bucket", bucket),
			Hint: "bucket names have 3 to 63 lower-case letters, digits, hyphens and dots",
		}
	}
	if m := checkKey(key); m != nil {
		return Dest{}, m
	}
	return Dest{Bucket: bucket, Prefix: key, Dir: key == "" || strings.HasSuffix(key, "/")}, nil
}

// notADest tells what is plainly something else.
func notADest(arg string) *Mistake {
	switch {
	case arg == "":
		return &Mistake{Msg: "the destination is empty", Hint: forms}
	case scheme.MatchString(arg) && !drive.MatchString(arg):
		return fromURL(arg)
	case strings.HasPrefix(arg, "arn:aws:s3:::"):
		return &Mistake{Msg: "the destination is an ARN", Hint: "did you mean s3://" + arg[len("arn:aws:s3:::"):] + "?"}
	case drive.MatchString(arg), strings.HasPrefix(arg, `\\`):
		return &Mistake{Msg: fmt.Sprintf("the destination %q is a path on this machine", arg), Hint: "the destination comes last: " + forms}
	case arg[0] == '/':
		m := &Mistake{Msg: fmt.Sprintf("the destination %q begins with a slash", arg), Hint: "the destination comes last: " + forms}
		if _, err := os.Stat(arg); err != nil && workspaceName.MatchString(strings.Split(arg, "/")[1]) {
			m.Hint = fmt.Sprintf("did you mean %s?", arg[1:])
		}
		return m
	case strings.Contains(arg, `\`):
		return &Mistake{Msg: fmt.Sprintf("the destination %q has backslashes", arg), Hint: fmt.Sprintf("did you mean %s?", strings.ReplaceAll(arg, `\`, "/"))}
	}
	return dots(arg)
}

// fromURL guesses what an address stands for. It repeats neither the password
// nor the query, where signatures are.
func fromURL(arg string) *Mistake {
	m := &Mistake{Msg: "the destination is a web address", Hint: "write s3://bucket/key instead"}
	u, err := url.Parse(arg)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		m.Msg = fmt.Sprintf("the destination begins with %s", scheme.FindString(arg))
		return m
	}
	where := strings.TrimPrefix(u.Path, "/")
	host := u.Hostname()
	for _, mark := range []string{".s3.", ".s3-"} {
		if i := strings.Index(host, mark); i > 0 {
			where = host[:i] + "/" + where
			break
		}
	}
	if d, err := parseS3(where); err == nil {
		m.Hint = fmt.Sprintf("did you mean %s?", d)
	}
	return m
}

func badWorkspace(arg, workspace string) *Mistake {
	if workspace == "~" {
		return &Mistake{Msg: fmt.Sprintf("the destination %q is a path on this machine", arg), Hint: "the destination comes last: " + forms}
	}
	m := &Mistake{
		Msg:  fmt.Sprintf("%q is not the name of a workspace", workspace),
		Hint: "workspace names have 1 to 63 lower-case letters, digits and hyphens",
	}
	if lower := strings.ToLower(workspace); workspaceName.MatchString(lower) {
		m.Hint = fmt.Sprintf("did you mean %s?", lower+arg[len(workspace):])
	}
	return m
}

// checkKey tells what is wrong with a key, or a key prefix.
func checkKey(key string) *Mistake {
	if m := dots(key); m != nil {
		return m
	}
	bad := unicode.IsControl
	switch {
	case strings.HasPrefix(key, "/") || strings.Contains(key, "//"):
		return &Mistake{Msg: fmt.Sprintf("%q has an empty part", key), Hint: "write one slash between two parts"}
	case !utf8.ValidString(key):
		return &Mistake{Msg: fmt.Sprintf("%q is not UTF-8", key)}
	case strings.ContainsFunc(key, bad):
		return &Mistake{Msg: fmt.Sprintf("%q has characters that cannot be printed", key)}
	case len(key) > transfer.MaxKey:
		return &Mistake{Msg: fmt.Sprintf("the destination has %d bytes; keys have at most %d", len(key), transfer.MaxKey)}
	}
	return nil
}

// dots tells of parts that mean something to a shell, and nothing to a store.
func dots(key string) *Mistake {
	for part := range strings.SplitSeq(key, "/") {
		if part == "." || part == ".." {
			return &Mistake{
				Msg:  fmt.Sprintf("the destination %q has %q in it", key, part),
				Hint: "the destination is no path on this machine: " + forms,
			}
		}
	}
	return nil
}
