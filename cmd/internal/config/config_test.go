package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

var known = []string{"bucket", "checksum", "endpoint", "env-file", "include", "parallel", "part-size", "patience", "quiet", "wait-credentials"}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, text string) *File {
	t.Helper()
	f, err := Load(write(t, text), known)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const sample = `# mine
parallel = 16
quiet = true
include = ["*.tif", "*.nc"]

[destination.archive]
dest = "s3://archive/2026/"
endpoint = "https://s3.example.org"

[destination.home]
dest = "my-workspace"
destination-is-not-a-key-here.x = 1
`

func TestLoad(t *testing.T) {
	f := load(t, strings.Replace(sample, "destination-is-not-a-key-here.x = 1\n", "", 1))
	for name, want := range map[string]Value{
		"parallel": {[]string{"16"}, 2}, "quiet": {[]string{"true"}, 3}, "include": {[]string{"*.tif", "*.nc"}, 4},
	} {
		if got := f.Settings[name]; !slices.Equal(got.Texts, want.Texts) || got.Line != want.Line {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	d := f.Destinations["archive"]
	if got := d.Settings["endpoint"]; d.Line != 6 || got.Line != 8 || got.Texts[0] != "https://s3.example.org" {
		t.Errorf("%+v", d)
	}
	if got := []string{d.Resolve(""), d.Resolve("a/b"), d.Resolve("/a"), f.Destinations["home"].Resolve("x")}; !slices.Equal(got,
		[]string{"s3://archive/2026/", "s3://archive/2026/a/b", "s3://archive/2026/a", "my-workspace/x"}) {
		t.Error(got)
	}
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]struct {
		line      int
		msg, hint string
	}{
		"\npart-sise = 1":                             {2, `there is no setting "part-sise"`, "did you mean part-size?"},
		"part_size = 1":                               {1, `there is no setting "part_size"`, "did you mean part-size?"},
		"frobnicate = 1\nparallel = 2":                {1, `there is no setting "frobnicate"`, "named like the flags"},
		"bucket = 'a'\naws_secret_access_key = 'XYZ'": {2, "no secret is kept in this file", "log in"},
		"session_token = 'XYZ'":                       {1, "no secret is kept in this file", "log in"},
		"[destination.a1]\ndest='w'\napi-key='XYZ'":   {3, "no secret is kept in this file", "log in"},
		"parallel = ":                                 {1, "is not TOML", "in quotes"},
		"parallel = 1\nparallel = 2":                  {2, "is not TOML", ""},
		"bucket = {a = 1}":                            {1, "bucket must be a text", ""},
		"include = [[1]]":                             {1, "include must be a text", ""},
		"destination = 'x'":                           {1, "destination is no setting", "[destination.NAME]"},
		"[destination]\nx = 1":                        {2, "destination is no setting", "[destination.NAME]"},
		"[destination.c]\ndest = 'w/x'":               {1, `"c" is no name of a destination`, "2 to 63"},
		"[destination.s3]\ndest = 'w/x'":              {1, `"s3" can't name a destination`, ""},
		"[destination.archive]\nbucket = 'b'":         {1, `destination "archive" has no dest`, "dest ="},
		"[destination.archive]\ndest = 5":             {2, "dest must be a text", ""},
		"[destination.archive]\ndest = 'w'\nded = 5":  {3, `there is no setting "ded"`, ""},
		"[other]\nparallel = 5":                       {1, `there is no setting "other"`, ""},
	} {
		path := write(t, text)
		_, err := Load(path, known)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if e.Path != path || e.Line != want.line || !strings.Contains(e.Msg, want.msg) || !strings.Contains(e.Hint, want.hint) {
			t.Errorf("%q: line %d: %s / %s, want line %d: %s / %s", text, e.Line, e.Msg, e.Hint, want.line, want.msg, want.hint)
		}
		if strings.Contains(e.Error()+e.Hint, "XYZ") {
			t.Errorf("%q: a secret is shown: %s", text, e)
		}
	}
}

func TestCut(t *testing.T) {
	for arg, want := range map[string][2]string{
		"archive:": {"archive", ""}, "archive:a/b": {"archive", "a/b"}, "Arch-1:/x": {"Arch-1", "/x"}, "a1:b:c": {"a1", "b:c"},
	} {
		if name, path, ok := Cut(arg); !ok || name != want[0] || path != want[1] {
			t.Errorf("%q: %q %q %v", arg, name, path, ok)
		}
	}
	for _, arg := range []string{"c:", `C:\data`, "c:/data", "s3://b/k", "S3://b/k", "https://x/y", "arn:aws:s3:::b", "ws/a:b", "./a:b", `\\srv\a:b`, "plain", "", "1a:b", "a_b:c"} {
		if name, path, ok := Cut(arg); ok {
			t.Errorf("%q is taken for %q, %q", arg, name, path)
		}
	}
}

// Each layer wins over those below it, whatever these say.
func TestPrecedence(t *testing.T) {
	f := load(t, "parallel = 1\nbucket = 'file'\n[destination.archive]\ndest = 'w/x'\nparallel = 2\n")
	for _, c := range []struct {
		args        string
		destination string
		env         map[string]string
		want        int
		from        Origin
		changed     bool
	}{
		{"--parallel=4", "archive", map[string]string{"AGENT_PARALLEL": "3"}, 4, Origin{Kind: Flag}, true},
		{"", "archive", map[string]string{"AGENT_PARALLEL": "3"}, 2, Origin{Kind: Named, Name: "archive", Line: 5}, true},
		{"", "", map[string]string{"AGENT_PARALLEL": "3", "THEIR_PARALLEL": "9"}, 3, Origin{Kind: Variable, Name: "AGENT_PARALLEL"}, false},
		{"", "", map[string]string{"THEIR_PARALLEL": "9"}, 8, Origin{Kind: Variable, Name: "THEIR_PARALLEL", Value: "9"}, false},
		{"", "", nil, 1, Origin{Kind: InFile, Line: 1}, false},
	} {
		flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
		n := flags.Int("parallel", 8, "")
		other := flags.Int("other", 7, "") // no setting
		if err := flags.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		env := func(name string) string { return c.env[name] }
		l := Layers{File: f, Destination: c.destination, Settings: known, Getenv: env, Prefix: "AGENT_", Foreign: map[string][]string{"parallel": {"THEIR_PARALLEL"}}}
		from, err := l.Apply(flags)
		if err != nil || *n != c.want || from["parallel"] != c.from || flags.Changed("parallel") != c.changed || *other != 7 || len(from) != 1 {
			t.Errorf("%+v: %d, %+v, %v", c, *n, from, err)
		}
	}
}

func TestValues(t *testing.T) {
	f := load(t, "patience = '2h'\nquiet = true\ninclude = ['a', 'b']\nenv-file = 'creds.env'\n")
	flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
	patience, quiet, include := flags.Duration("patience", 0, ""), flags.Bool("quiet", false, ""), flags.StringArray("include", []string{"z"}, "")
	file := flags.String("env-file", "", "`FILE` with lines")
	l := Layers{File: f, Settings: known, Getenv: func(string) string { return "" }}
	if _, err := l.Apply(flags); err != nil {
		t.Fatal(err)
	}
	if *patience != 2*time.Hour || !*quiet || !slices.Equal(*include, []string{"a", "b"}) || *file != filepath.Join(filepath.Dir(f.Path), "creds.env") {
		t.Error(*patience, *quiet, *include, *file)
	}
	for text, want := range map[string]string{
		"parallel = 'many'":    `:1: parallel: "many" is no number`,
		"\nquiet = 'perhaps'":  `:2: quiet: "perhaps" is neither true nor false`,
		"parallel = [1, 2]":    `:1: parallel takes one value, not a list`,
		"patience = 5":         `:1: patience: `,
		"bucket = []":          `:1: bucket takes one value`,
		"parallel = 1.5":       `"1.5" is no number`,
		"quiet = true # right": "",
	} {
		flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
		flags.Int("parallel", 8, "")
		flags.Bool("quiet", false, "")
		flags.Duration("patience", 0, "")
		flags.String("bucket", "", "")
		l := Layers{File: load(t, text), Settings: known, Getenv: func(string) string { return "" }}
		_, err := l.Apply(flags)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	l = Layers{File: &File{}, Settings: known, Prefix: "AGENT_", Getenv: func(n string) string { return map[string]string{"AGENT_PARALLEL": "x"}[n] }}
	flags = pflag.NewFlagSet("x", pflag.ContinueOnError)
	flags.Int("parallel", 8, "")
	_, err := l.Apply(flags)
	var v *VariableError
	if !errors.As(err, &v) || v.Error() != `AGENT_PARALLEL: "x" is no number` {
		t.Error(err)
	}
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{sample, "parallel = 1", "[destination.a1]\ndest='w'", "destination.a1.dest = 'x'", "[[destination]]\na=1", "a.b.c = 1",
		"[destination.a1]\n[destination.s3]\n[destination.b]\ndest=1", "token = 'PLANTED'\npasswd = 1", "parallel = [1, 'a', true, 1.5]\nquiet = {a=1}", "\xff", "\"a\\nb\" = 1",
		"destination = 1", "parallel = 99999999999999999999", "include = [[1]]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parse(text, known)
		var e *Error
		if (file == nil) == (err == nil) || err != nil && !errors.As(err, &e) {
			t.Fatalf("%q: %v, %v", text, file, err)
		}
		if _, again := parse(text, known); (again == nil) != (err == nil) || err != nil && again.Error() != err.Error() {
			t.Fatalf("%q: %v, then %v", text, err, again)
		}
		lines := strings.Count(text, "\n") + 1
		if err != nil {
			if e.Line < 0 || e.Line > lines || e.Msg == "" || strings.Contains(e.Msg+e.Hint, "\n") {
				t.Errorf("%q: %+v", text, e)
			}
			return
		}
		sound := func(settings map[string]Value) {
			for name, v := range settings {
				if !slices.Contains(known, strings.ReplaceAll(name, "_", "-")) || v.Line < 0 || v.Line > lines {
					t.Errorf("%q: %s is %+v", text, name, v)
				}
			}
		}
		sound(file.Settings)
		for name, d := range file.Destinations {
			if badName(name) != "" || d.Dest == "" {
				t.Errorf("%q: %s is %+v", text, name, d)
			}
			sound(d.Settings)
		}
	})
}
