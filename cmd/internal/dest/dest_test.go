package dest_test

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"agent/cmd/internal/dest"
)

func TestParse(t *testing.T) {
	t.Chdir(t.TempDir())
	for arg, want := range map[string]dest.Dest{
		"ws":             {Bucket: "b-1", Prefix: "ws/", Dir: true, Workspace: "ws"},
		"ws/":            {Bucket: "b-1", Prefix: "ws/", Dir: true, Workspace: "ws"},
		"ws/p":           {Bucket: "b-1", Prefix: "ws/p", Workspace: "ws"},
		"ws/p/":          {Bucket: "b-1", Prefix: "ws/p/", Dir: true, Workspace: "ws"},
		"w-1/p q/é.tif":  {Bucket: "b-1", Prefix: "w-1/p q/é.tif", Workspace: "w-1"},
		"w/.hidden/..x":  {Bucket: "b-1", Prefix: "w/.hidden/..x", Workspace: "w"},
		"s3://bucket":    {Bucket: "bucket", Dir: true},
		"s3://bucket/":   {Bucket: "bucket", Dir: true},
		"S3://my.buck/K": {Bucket: "my.buck", Prefix: "K"},
		"s3://bucket/a/": {Bucket: "bucket", Prefix: "a/", Dir: true},
		`s3://bucket/a\`: {Bucket: "bucket", Prefix: `a\`},
	} {
		got, err := dest.Parse(arg, "b-1")
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", arg, got, err, want)
		}
	}
}

func TestParseMistakes(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("data/out", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ arg, msg, hint string }{
		{"", "empty", "workspace/path"},
		{"ws//x", "empty part", "one slash"},
		{"ws/x//", "empty part", "one slash"},
		{"s3://bucket//x", "empty part", "one slash"},
		{"s3:///x", "no bucket", "s3://bucket/key"},
		{"s3://", "no bucket", "s3://bucket/key"},
		{".", `"."`, "no path on this machine"},
		{"./out", `"."`, "no path on this machine"},
		{"../out", `".."`, "no path on this machine"},
		{"ws/../x", `".."`, "no path on this machine"},
		{"s3://bucket/./x", `"."`, "no path on this machine"},
		{"/nowhere/x", "begins with a slash", "did you mean nowhere/x?"},
		{"/Volumes/x", "begins with a slash", "comes last"},
		{"/", "begins with a slash", "comes last"},
		{`C:\data`, "path on this machine", "comes last"},
		{`c:/data`, "path on this machine", "comes last"},
		{`c://data`, "path on this machine", "comes last"},
		{`D:`, "path on this machine", "comes last"},
		{`\\server\share`, "path on this machine", "comes last"},
		{`ws\run\1`, "backslashes", "did you mean ws/run/1?"},
		{"data/out", "directory on this machine", "write s3://b-1/data/out"},
		{"data", "directory on this machine", "write s3://b-1/data/"},
		{"Demo/x", `"Demo"`, "did you mean demo/x?"},
		{"my_ws/x", `"my_ws"`, "lower-case letters"},
		{"-ws/x", `"-ws"`, "lower-case letters"},
		{"~/x", "path on this machine", "comes last"},
		{strings.Repeat("w", 64) + "/x", "not the name of a workspace", "63"},
		{"s3://Bucket/x", `"Bucket"`, "3 to 63"},
		{"s3://bu/x", `"bu"`, "3 to 63"},
		{"s3://10.0.0.1/x", `"10.0.0.1"`, "3 to 63"},
		{"s3://a..b/x", `"a..b"`, "3 to 63"},
		{"https://bucket.s3.eu-central-1.amazonaws.com/a%20b/c?X-Amz-Signature=secret", "web address", "did you mean s3://bucket/a b/c?"},
		{"https://user:secret@s3.example.com/bucket/k", "web address", "did you mean s3://bucket/k?"},
		{"http://bucket.s3-eu-west-1.amazonaws.com", "web address", "did you mean s3://bucket/?"},
		{"https://example.com", "web address", "s3://bucket/key"},
		{"gs://bucket/x", "begins with gs://", "s3://bucket/key"},
		{"arn:aws:s3:::bucket/x", "ARN", "did you mean s3://bucket/x?"},
		{"ws/a\nb", "cannot be printed", ""},
		{"ws/\xff", "not UTF-8", ""},
		{"ws/" + strings.Repeat("x", 1022), "1025 bytes", ""},
	} {
		_, err := dest.Parse(tt.arg, "b-1")
		wantMistake(t, tt.arg, err, tt.msg, tt.hint)
	}
	_, err := dest.Parse("ws/x", "")
	wantMistake(t, "no bucket", err, `workspace "ws"`, "s3://BUCKET/ws/x")
}

func wantMistake(t *testing.T, what string, err error, msg, hint string) {
	t.Helper()
	var m *dest.Mistake
	switch {
	case !errors.As(err, &m):
		t.Errorf("%q: %v is no mistake", what, err)
	case !strings.Contains(m.Msg, msg) || !strings.Contains(m.Hint, hint):
		t.Errorf("%q: %q, %q lack %q, %q", what, m.Msg, m.Hint, msg, hint)
	case strings.ContainsAny(m.Msg+m.Hint, "\n") || strings.Contains(m.Msg+m.Hint, "secret"):
		t.Errorf("%q: %q, %q", what, m.Msg, m.Hint)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"ws/p", "ws", "s3://bucket/a/b/", "s3://bucket", "https://x.s3.y/z", `C:\x`, "arn:aws:s3:::b", "/", "s3://b/../c", "%"} {
		f.Add(s)
	}
	f.Chdir(f.TempDir())
	f.Fuzz(func(t *testing.T, arg string) {
		d, err := dest.Parse(arg, "bucket")
		if err != nil {
			if m, ok := errors.AsType[*dest.Mistake](err); !ok || m.Msg == "" {
				t.Errorf("%q: %#v", arg, err)
			}
			return
		}
		again, err := dest.Parse(d.String(), "")
		d.Workspace = ""
		if err != nil || again != d {
			t.Errorf("%q is %+v, but %s is %+v, %v", arg, d, d, again, err)
		}
		if under := d.Under(); under != "" && !strings.HasSuffix(under, "/") || strings.Contains(filepath.ToSlash(under), "//") && !strings.Contains(arg, `\`) {
			t.Errorf("%q: %q", arg, under)
		}
	})
}

func TestAt(t *testing.T) {
	for arg, want := range map[string]string{
		"ws/a/b": "s3://b/ws-1/a/b", "ws": "s3://b/ws-1/", "ws/": "s3://b/ws-1/", "s3://other/ws/a": "s3://other/ws/a",
	} {
		d, err := dest.Parse(arg, "default")
		if err != nil {
			t.Fatal(err)
		}
		if got := d.At("b", "ws-1/"); got.String() != want || got.Dir != d.Dir {
			t.Errorf("%s: %s, dir %t; want %s", arg, got, got.Dir, want)
		}
	}
	d, err := dest.Parse("ws", "default")
	if err != nil {
		t.Fatal(err)
	}
	if got := d.At("own", ""); got.String() != "s3://own/" || !got.Dir {
		t.Errorf("a bucket of its own: %s", got)
	}
}

// FuzzRemotes: what is fetched has names that differ, and a sync never takes two
// sides for the same.
func FuzzRemotes(f *testing.F) {
	f.Add("ws/a", "ws/b/a")
	f.Add("s3://bucket/a/", "s3://bucket")
	f.Add("./dir", "ws/p")
	f.Add("s3://b1", "s3://b2/x")
	f.Add("\x1b", "s3://bucket/\u009b")
	f.Chdir(f.TempDir())
	f.Fuzz(func(t *testing.T, a, b string) {
		if way, err := dest.Direction([]string{a, b}, [2]bool{}); err != nil {
			mistake(t, err)
		} else if turned, err := dest.Direction([]string{b, a}, [2]bool{}); err == nil && turned == way && a != b {
			t.Errorf("%q and %q are synced the same way, however they are written", a, b)
		}
		var from []dest.Dest
		for _, arg := range []string{a, b} {
			d, err := dest.ParseSource(arg, "bucket")
			if err != nil {
				mistake(t, err)
				return
			}
			from = append(from, d)
		}
		remotes, err := dest.Remotes(from)
		if err != nil {
			mistake(t, err)
			return
		}
		names := map[string]bool{}
		for _, r := range remotes {
			if name := path.Base(r.Key); r.Keep && (names[name] || name == "." || name == "/" || name == "..") {
				t.Errorf("%q and %q: %+v", a, b, remotes)
			} else {
				names[name] = true
			}
		}
	})
}

// mistake wants an error in the user's words.
func mistake(t *testing.T, err error) {
	t.Helper()
	if m, ok := errors.AsType[*dest.Mistake](err); !ok || m.Msg == "" {
		t.Errorf("%#v", err)
	}
}
