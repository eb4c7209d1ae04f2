package dest_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"agent/cmd/internal/dest"
	"agent/transfer"
)

// workDir is a new current directory with a few files.
func workDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"a/x.tif", "b/y.tif", "c/a/z.tif", "f.tif", "f[1].tif", "g.tif"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return wd
}

func TestSources(t *testing.T) {
	wd := workDir(t)
	file := func(path, key string) transfer.Source {
		return transfer.Source{Path: filepath.Join(wd, path), Prefix: key}
	}
	dir := func(path, prefix string) transfer.Source {
		return transfer.Source{Path: filepath.Join(wd, path), Prefix: prefix, Dir: true}
	}
	base := filepath.Base(wd)
	for _, tt := range []struct {
		dest string
		args []string
		want []transfer.Source
	}{
		{"ws/p", []string{"a"}, []transfer.Source{dir("a", "ws/p/")}},
		{"ws/p/", []string{"a/"}, []transfer.Source{dir("a", "ws/p/")}},
		{"ws", []string{"./a/."}, []transfer.Source{dir("a", "ws/")}},
		{"s3://bucket", []string{"a"}, []transfer.Source{dir("a", "")}},
		{"ws/p", []string{"."}, []transfer.Source{dir("", "ws/p/")}},
		{"ws/p", []string{filepath.Join(wd, "a")}, []transfer.Source{dir("a", "ws/p/")}},

		{"ws/p", []string{"f.tif"}, []transfer.Source{file("f.tif", "ws/p")}},
		{"ws/p/", []string{"f.tif"}, []transfer.Source{file("f.tif", "ws/p/f.tif")}},
		{"ws", []string{"a/x.tif"}, []transfer.Source{file("a/x.tif", "ws/x.tif")}},
		{"s3://bucket", []string{"f.tif"}, []transfer.Source{file("f.tif", "f.tif")}},
		{"ws/p", []string{"f[1].tif"}, []transfer.Source{file("f[1].tif", "ws/p")}},

		{"ws/p", []string{"a", "b/", "f.tif"}, []transfer.Source{dir("a", "ws/p/a/"), dir("b", "ws/p/b/"), file("f.tif", "ws/p/f.tif")}},
		{"ws/p", []string{".", "a/.."}, []transfer.Source{dir("", "ws/p/"+base+"/")}},
		{"s3://bucket/", []string{"c/a/..", "f.tif", "f.tif"}, []transfer.Source{dir("c", "c/"), file("f.tif", "f.tif")}},
	} {
		d, err := dest.Parse(tt.dest, "b-1")
		if err != nil {
			t.Fatal(err)
		}
		got, err := dest.Sources(tt.args, d)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q to %s: %+v, %v; want %+v", tt.args, tt.dest, got, err, tt.want)
		}
	}
}

func TestSourcesMistakes(t *testing.T) {
	wd := workDir(t)
	d := dest.Dest{Bucket: "b-1", Prefix: "ws/p"}
	for _, tt := range []struct {
		args      []string
		msg, hint string
	}{
		{nil, "nothing to upload", "workspace/path"},
		{[]string{""}, "empty", ""},
		{[]string{"s3://bucket/x"}, "not on this machine", "download"},
		{[]string{"nope"}, `no such file or directory: "nope"`, "looked in " + wd},
		{[]string{"a", filepath.Join(wd, "nope")}, "no such file or directory", ""},
		{[]string{"*.nc"}, `no file matches "*.nc"`, "looked in " + wd},
		{[]string{"f.tif/x"}, "f.tif/x", ""},
		{[]string{"a", "c/a"}, "would both become s3://b-1/ws/p/a", "one after the other"},
		{[]string{"/", "a"}, "no name", "alone"},
	} {
		_, err := dest.Sources(tt.args, d)
		wantMistake(t, "", err, tt.msg, tt.hint)
	}
	if err := os.Symlink("nowhere", "link"); err == nil {
		_, err := dest.Sources([]string{"link"}, d)
		wantMistake(t, "link", err, "leads nowhere", "")
	}
}

func TestSplit(t *testing.T) {
	workDir(t)
	sources, destination, err := dest.Split([]string{"a", "b", "ws/p"})
	if err != nil || !slices.Equal(sources, []string{"a", "b"}) || destination != "ws/p" {
		t.Error(sources, destination, err)
	}
	_, _, err = dest.Split(nil)
	wantMistake(t, "no arguments", err, "nothing to upload", "workspace/path")
	_, _, err = dest.Split([]string{"f.tif"})
	wantMistake(t, "a file alone", err, "destination is missing", "f.tif workspace/path")
	_, _, err = dest.Split([]string{"ws/p"})
	wantMistake(t, "something alone", err, "source or destination", "workspace/path")
}

func TestExpand(t *testing.T) {
	workDir(t)
	args := []string{"*.tif", "f[1].tif", "*.nc", "a", "s3://b/*", "["}
	if got := dest.Expand(args, false); !slices.Equal(got, args) {
		t.Errorf("elsewhere: %q", got)
	}
	want := []string{"f.tif", "f[1].tif", "g.tif", "f[1].tif", "*.nc", "a", "s3://b/*", "["}
	if got := dest.Expand(args, true); !slices.Equal(got, want) {
		t.Errorf("on Windows: %q", got)
	}
}
