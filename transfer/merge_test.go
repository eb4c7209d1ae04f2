package transfer

import (
	"os"
	"path/filepath"
	"testing"
)

type scanSourcesTest struct {
	name    string
	o       ScanOptions
	sources []Source
	want    []string
}

// scanSourcesTree is a tree, and what joins a path to it.
func scanSourcesTree(t *testing.T) (string, func(...string) string) {
	t.Helper()
	root := scanTree(t, "d/a", "d/c/x", "e/b", "e/c/w", "e/c/x", "e/c/y", "f", "g", "link -> d",
		"z/zarr.json", "z/c/0", "z/g/zarr.json", "z/g/c/0", "w/m", "v/y/")
	return root, func(path ...string) string { return filepath.Join(append([]string{root}, path...)...) }
}

func TestScanSources(t *testing.T) {
	root, at := scanSourcesTree(t)
	for _, tt := range []scanSourcesTest{
		{name: "none"},
		{
			name: "merged, and one key for two files",
			sources: []Source{
				{Path: at("e"), Prefix: "p/", Dir: true}, {Path: at("g"), Prefix: "p/aa"},
				{Path: at("d"), Prefix: "p/", Dir: true}, {Path: at("f"), Prefix: "p/c/x"},
			},
			want: []string{
				"p/a", "p/aa", "p/b", "p/c/w", "p/c/x",
				"!p/c/x scan: another file has the same key: ROOT/e/c/x", "!p/c/x scan: another file has the same key: ROOT/e/c/x", "p/c/y",
			},
		},
		{
			name:    "named twice",
			sources: []Source{{Path: at("d"), Prefix: "d/", Dir: true}, {Path: at("f"), Prefix: "f"}, {Path: at("d"), Prefix: "d/", Dir: true}, {Path: at("f"), Prefix: "f"}},
			want:    []string{"d/a", "-d/a named twice", "d/c/x", "-d/c/x named twice", "f", "-f named twice"},
		},
		{
			name:    "a key that is also a prefix",
			sources: []Source{{Path: at("d"), Prefix: "f/", Dir: true}, {Path: at("f"), Prefix: "f"}, {Path: at("g"), Prefix: "f.g"}},
			want:    []string{"f", "f.g", "f/a", "f/c/x"},
		},
		{
			name: "the first that was named has the key, even if it fails",
			sources: []Source{
				{Path: at("none"), Prefix: "p/a"}, {Path: at("f"), Prefix: "p/a"}, {Path: at("d"), Prefix: "p/a"}, {Path: at("gone"), Prefix: "p/", Dir: true},
			},
			want: []string{
				"!p/ read directory: no such file or directory",
				"!p/a stat: no such file or directory", "!p/a scan: another file has the same key: ROOT/none", "!p/a stat: not a regular file (d---------)",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scanSame(t, scanAll(t, root, scanDisk{}, tt.o, tt.sources...), tt.want)
		})
	}
}

func TestScanOddSources(t *testing.T) {
	root, at := scanSourcesTree(t)
	for _, tt := range []scanSourcesTest{
		{
			name: "symbolic links that are named", o: ScanOptions{NoFollowSymlinks: true},
			sources: []Source{{Path: at("link"), Prefix: "", Dir: true}},
			want:    []string{"a", "c/x"},
		},
		{
			name: "markers give way to files, whoever was named first", o: ScanOptions{DirMarkers: "m"},
			sources: []Source{
				{Path: at("v"), Prefix: "p/", Dir: true}, {Path: at("w"), Prefix: "p/", Dir: true}, {Path: at("w"), Prefix: "p/y/", Dir: true},
				{Path: at("d"), Prefix: "q/", Dir: true}, {Path: at("f"), Prefix: "q/m"}, {Path: at("e"), Prefix: "q/", Dir: true},
			},
			want: []string{"p/m", "p/y/m", "q/a", "q/b", "q/c/m", "q/c/w", "q/c/x", "!q/c/x scan: another file has the same key: ROOT/d/c/x", "q/c/y", "q/m"},
		},
		{
			name: "parts of a Zarr store",
			sources: []Source{
				{Path: at("z", "c"), Prefix: "c/", Dir: true}, {Path: at("z", "zarr.json"), Prefix: "zarr.json"},
				{Path: at("z", "g", "c"), Prefix: "g/c/", Dir: true}, {Path: at("z", "c", "0"), Prefix: "x"},
			},
			want: []string{"c/0 zarr=ROOT/z", "g/c/0 zarr=ROOT/z", "x", "zarr.json zarr=ROOT/z meta"},
		},
		{
			name: "sources that make no sense",
			sources: []Source{
				{Path: at("d"), Prefix: "a", Dir: true}, {Path: at("f"), Prefix: "b/"}, {Path: at("f")},
				{Path: "relative", Prefix: "c"}, {Path: at("f"), Prefix: "d\xff"},
			},
			want: []string{
				"! scan: name cannot be an object key: \"\"", "!a scan: name cannot be an object key: \"a\"", "!b/ scan: name cannot be an object key: \"b/\"",
				"!c scan: not an absolute path", "!d\xff scan: name cannot be an object key: \"d\\xff\" is not UTF-8",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scanSame(t, scanAll(t, root, scanDisk{}, tt.o, tt.sources...), tt.want)
		})
	}
}

// The real file has its key although the marker's source was named first.
func TestScanMarkerGivesWay(t *testing.T) {
	root := scanTree(t, "v/x", "w/m")
	for _, order := range [][]string{{"v", "w"}, {"w", "v"}} {
		var sources []Source
		for _, dir := range order {
			sources = append(sources, Source{Path: filepath.Join(root, dir), Prefix: "p/", Dir: true})
		}
		for e := range Scan(t.Context(), sources, ScanOptions{DirMarkers: "m"}) {
			if e.Item.Key == "p/m" && e.Item.Path != filepath.Join(root, "w", "m") || e.Err != nil {
				t.Errorf("%q: %+v", order, e)
			}
		}
	}
}

// Many directories, each opened only when its turn comes.
func TestScanOpensLate(t *testing.T) {
	root := scanTree(t, "a/x", "b/x", "c/x")
	listed := 0
	files := scanFaulty{scanDisk{}, func(op, _ string) error {
		if op == "list" {
			listed++
		}
		return nil
	}}
	var sources []Source
	for _, dir := range []string{"c", "a", "b"} {
		sources = append(sources, Source{Path: filepath.Join(root, dir), Prefix: dir + "/", Dir: true})
	}
	n := 0
	for e := range scanWith(t.Context(), sources, ScanOptions{}, files) {
		n++
		if e.Err != nil || listed != n {
			t.Errorf("%d directories were read for %d files: %v", listed, n, e.Err)
		}
	}
	if n != 3 {
		t.Error(n)
	}
}

func TestScanSpecialFiles(t *testing.T) {
	const null = "/dev/null"
	if fi, err := os.Stat(null); err != nil || fi.Mode()&os.ModeDevice == 0 {
		t.Skip("no devices here")
	}
	root := scanTree(t, "a", "null -> "+null)
	scanPipes(t, root)
	got := scanAll(t, root, scanDisk{}, ScanOptions{}, Source{Path: root, Dir: true}, Source{Path: null, Prefix: "x"})
	scanSame(t, got, []string{"a", "-fifo fifo", "-null device", "-socket socket", "!x stat: not a regular file (Dc---------)"})
}
