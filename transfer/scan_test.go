package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// scanTree makes files of the given names under a new directory; a name that
// ends in "/" is an empty directory, "a -> b" a symbolic link.
func scanTree(t testing.TB, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		link, target, isLink := strings.Cut(name, " -> ")
		path := filepath.Join(root, link)
		dir := filepath.Dir(path)
		if strings.HasSuffix(name, "/") {
			dir = path
		}
		err := os.MkdirAll(dir, 0o755)
		switch {
		case err != nil || dir == path:
		case isLink:
			err = os.Symlink(target, path)
		default:
			err = os.WriteFile(path, []byte(name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// scanAll writes entries down, one a line: "key", "!key error" or
// "-key reason", with paths below root cut short.
func scanAll(t testing.TB, root string, files scanFS, o ScanOptions, sources ...Source) []string {
	t.Helper()
	var got []string
	last := ""
	for e := range scanWith(t.Context(), sources, o, files) {
		if e.Item.Key < last {
			t.Errorf("%q comes after %q", e.Item.Key, last)
		}
		last = e.Item.Key
		line := e.Item.Key
		switch {
		case e.Err != nil:
			var err *Error
			if !errors.As(e.Err, &err) || err.Op == "" || err.Path == "" && e.Item.Path != "" {
				t.Errorf("%#v is no whole *Error", e.Err)
			}
			line = "!" + line + " " + err.Op + ": " + err.Err.Error()
		case e.Ignored != "":
			line = "-" + line + " " + e.Ignored
		}
		if e.Item.Zarr != "" {
			line += " zarr=" + e.Item.Zarr
		}
		if e.Item.Meta {
			line += " meta"
		}
		got = append(got, strings.ReplaceAll(line, root, "ROOT"))
	}
	return got
}

var scanRules = []struct {
	name   string
	tree   []string
	prefix string
	o      ScanOptions
	want   []string
}{
	{name: "empty", tree: []string{"a/b/"}},
	{
		name: "order", prefix: "p/",
		tree: []string{"a/x", "a-b", "a.txt", "a0", "A", "a/y/z", "é", "z"},
		want: []string{"p/A", "p/a-b", "p/a.txt", "p/a/x", "p/a/y/z", "p/a0", "p/z", "p/é"},
	},
	{
		name: "left out",
		tree: []string{".DS_Store", "._a", "Thumbs.db", ".nfs0001", ".ipynb_checkpoints/x", ".hidden", "a/.git/config", "a/.DS_Store/x"},
		want: []string{
			"-.DS_Store macOS folder view", "-._a macOS extended attributes", ".hidden",
			"-.ipynb_checkpoints/ Jupyter checkpoints", "-.nfs0001 deleted, still open over NFS",
			"-Thumbs.db Windows thumbnails", "a/.DS_Store/x", "a/.git/config",
		},
	},
	{
		name: "all files", o: ScanOptions{AllFiles: true},
		tree: []string{".DS_Store", "._a", "Thumbs.db", ".nfs0001", ".ipynb_checkpoints/x"},
		want: []string{".DS_Store", "._a", ".ipynb_checkpoints/x", ".nfs0001", "Thumbs.db"},
	},
	{
		name: "symbolic links",
		tree: []string{"d/x", "f", "a -> f", "b -> d", "b.txt -> f", "gone -> nowhere"},
		want: []string{"a", "b.txt", "b/x", "d/x", "f", "!gone follow symlink: no such file or directory"},
	},
	{
		name: "symbolic links not followed", o: ScanOptions{NoFollowSymlinks: true},
		tree: []string{"d/x", "f", "a -> f", "b -> d", "gone -> nowhere"},
		want: []string{"-a symlink", "-b symlink", "d/x", "f", "-gone symlink"},
	},
	{
		name: "loops",
		tree: []string{"a/x", "a/up -> ..", "a/b/self -> .", "a/b/y", "c -> a"},
		want: []string{
			"!a/b/self/ read directory: symbolic link loop: it leads back to ROOT/a/b", "a/b/y",
			"!a/up/ read directory: symbolic link loop: it leads back to ROOT", "a/x",
			"!c/b/self/ read directory: symbolic link loop: it leads back to ROOT/c/b", "c/b/y",
			"!c/up/ read directory: symbolic link loop: it leads back to ROOT", "c/x",
		},
	},
	{
		name: "not UTF-8",
		tree: []string{"a\xff", "b\xfe/x", "c"},
		want: []string{
			"!a\xff scan: name cannot be an object key: \"a\\xff\" is not UTF-8",
			"!b\xfe/ scan: name cannot be an object key: \"b\\xfe/\" is not UTF-8", "c",
		},
	},
	{
		name: "zarr",
		tree: []string{"s.zarr/.zgroup", "s.zarr/a/.zarray", "s.zarr/a/0.0", "t/zarr.json", "t/c/0/1", "x", "zarr.jso", "z/.zattrs/x", "t/gone -> no"},
		want: []string{
			"s.zarr/.zgroup zarr=ROOT/s.zarr meta", "s.zarr/a/.zarray zarr=ROOT/s.zarr meta", "s.zarr/a/0.0 zarr=ROOT/s.zarr",
			"t/c/0/1 zarr=ROOT/t", "!t/gone follow symlink: no such file or directory zarr=ROOT/t", "t/zarr.json zarr=ROOT/t meta",
			"x", "z/.zattrs/x", "zarr.jso",
		},
	},
	{
		name: "markers", prefix: "p/", o: ScanOptions{DirMarkers: ".keep"},
		tree: []string{"a/", "b/.keep", "b/!", "c/.keep/x"},
		want: []string{"p/.keep", "p/a/.keep", "p/b/!", "p/b/.keep", "p/c/.keep", "p/c/.keep/.keep", "p/c/.keep/x"},
	},
	{
		name: "markers without prefix", o: ScanOptions{DirMarkers: ".keep"},
		tree: []string{"a/"}, want: []string{"a/.keep"},
	},
	{
		name: "marker of more than a name", o: ScanOptions{DirMarkers: "a/b"},
		tree: []string{"x"}, want: []string{"!"},
	},
}

func TestScanRules(t *testing.T) {
	for _, tt := range scanRules {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "not UTF-8" && runtime.GOOS != "linux" {
				t.Skip("only Linux has such names")
			}
			root := scanTree(t, tt.tree...)
			got := scanAll(t, root, scanDisk{}, tt.o, Source{Path: root, Prefix: tt.prefix, Dir: true})
			if len(tt.want) == 1 && tt.want[0] == "!" {
				if len(got) != 1 || got[0][0] != '!' {
					t.Fatalf("got %q", got)
				}
				return
			}
			scanSame(t, got, tt.want)
		})
	}
}

func scanSame(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestScanItem(t *testing.T) {
	root := scanTree(t, "d/f")
	for _, o := range []ScanOptions{{}, {Readers: 1}} {
		for e := range Scan(t.Context(), []Source{{Path: root, Prefix: "p/", Dir: true}}, o) {
			path := filepath.Join(root, "d", "f")
			fi, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			want := Item{Key: "p/d/f", Path: path, Stat: StatOf(fi)}
			if e.Err != nil || e.Item != want {
				t.Errorf("got %+v, want %+v", e, want)
			}
			if want.Stat.Size != 3 || want.Stat.MTime == 0 || runtime.GOOS == "linux" && (want.Stat.CTime == 0 || want.Stat.Inode == 0) {
				t.Errorf("%+v lacks something", want.Stat)
			}
		}
	}
}

func TestScanLongKey(t *testing.T) {
	long := strings.Repeat("n", 200)
	root := scanTree(t, filepath.Join(long, long, long, long, long, long, "x"), "y")
	source := Source{Path: root, Prefix: "prefix/", Dir: true}
	var bad, good int
	for e := range Scan(t.Context(), []Source{source}, ScanOptions{DirMarkers: "." + long}) {
		switch {
		case errors.Is(e.Err, ErrName):
			bad++
		case e.Err == nil && len(e.Item.Key) <= MaxKey:
			good++
		default:
			t.Error(e)
		}
	}
	if bad != 2 || good != 6 { // good: y and five markers; bad: the sixth, and the directory beside it
		t.Errorf("%d bad, %d good", bad, good)
	}
}

// A directory that cannot be read, and a file that goes between the reading of
// its directory and the look at it. Root may read everything, so the faults
// come from the file system below.
type scanFaulty struct {
	scanFS
	before func(op, path string) error
}

func (f scanFaulty) list(ctx context.Context, dir string, each func(string, fs.FileMode) error) error {
	err := f.before("list", filepath.Clean(dir))
	if errors.Is(err, errScanHalf) {
		_ = each("half", 0)
		return &fs.PathError{Op: "readdirent", Path: dir, Err: err}
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return f.scanFS.list(ctx, dir, each)
}

func (f scanFaulty) lstat(path string) (fs.FileInfo, error) {
	if err := f.before("lstat", path); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return f.scanFS.lstat(path)
}

var errScanHalf = errors.New("read half")

func TestScanFaults(t *testing.T) {
	root := scanTree(t, "a/x", "b/half", "b/zarr.json", "c/x", "d/x", "e/x", "f", "s/zarr.json", "s/c/0")
	files := scanFaulty{scanDisk{}, func(op, path string) error {
		switch rel, _ := filepath.Rel(root, path); op + " " + filepath.ToSlash(rel) {
		case "list a", "list s/c":
			return fs.ErrPermission
		case "list b":
			return errScanHalf
		case "list c":
			return os.RemoveAll(path) // really gone, before it is read
		case "lstat d/x":
			return os.Remove(path)
		case "lstat e/x":
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o755))
		}
		return nil
	}}
	got := scanAll(t, root, files, ScanOptions{DirMarkers: "m"}, Source{Path: root, Prefix: "p/", Dir: true})
	scanSame(t, got, []string{
		"!p/a/ read directory: permission denied",
		"!p/b/ read directory: read half", "p/b/half",
		"!p/c/ read directory: no such file or directory",
		"p/d/m", "!p/d/x stat: no such file or directory",
		"p/e/m", "!p/e/x stat: file changed while it was read",
		"p/f", "p/m",
		"!p/s/c/ read directory: permission denied zarr=ROOT/s",
		"p/s/m zarr=ROOT/s", "p/s/zarr.json zarr=ROOT/s meta",
	})
}

func TestScanUnreadable(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("everything can be read here; TestScanFaults covers it")
	}
	root := scanTree(t, "a/x", "b")
	if err := os.Chmod(filepath.Join(root, "a"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(root, "a"), 0o755)
	got := scanAll(t, root, scanDisk{}, ScanOptions{}, Source{Path: root, Dir: true})
	scanSame(t, got, []string{"!a/ read directory: permission denied", "b"})
}

func TestScanCancel(t *testing.T) {
	root := scanTree(t, "a", "b", "c", "d/e")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []Entry
	for e := range Scan(ctx, []Source{{Path: root, Dir: true}}, ScanOptions{}) {
		got = append(got, e)
		cancel()
	}
	if len(got) != 2 || got[0].Item.Key != "a" || !errors.Is(got[1].Err, context.Canceled) || got[1].Item.Key != "" {
		t.Errorf("got %v", got)
	}
}

func TestScanStop(t *testing.T) {
	root := scanTree(t, "a", "b", "c/d")
	n := 0
	for range Scan(t.Context(), []Source{{Path: root, Dir: true}}, ScanOptions{}) {
		n++
		break
	}
	if n != 1 {
		t.Error(n)
	}
}

func TestScanManyNames(t *testing.T) {
	const n = 50_000
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("c", i)
	}
	root := t.TempDir()
	files := scanFaulty{scanListed{scanDisk{}, names}, func(string, string) error { return nil }}
	source := Source{Path: root, Dir: true}
	slices.Sort(names)
	got := scanAll(t, root, files, ScanOptions{}, source)
	for i := range min(len(got), n) {
		if got[i] != names[i] {
			t.Fatalf("%q at %d instead of %q", got[i], i, names[i])
		}
	}
	if len(got) != n {
		t.Errorf("%d names, not %d", len(got), n)
	}
}

// TestOneDirectoryIsNames proves that of a directory nothing is held but its names,
// whatever their number: files are looked at shortly before they are asked for.
func TestOneDirectoryIsNames(t *testing.T) {
	const n, mostAhead = 200_000, 1000
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%08d.tif", i)
	}
	var looked atomic.Int64
	files := scanFaulty{scanListed{scanDisk{}, names}, func(op, path string) error {
		if op == "lstat" && filepath.Ext(path) == ".tif" {
			looked.Add(1)
		}
		return nil
	}}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, given, ahead, most := heap(), int64(0), int64(0), uint64(0)
	for e := range scanWith(t.Context(), []Source{{Path: t.TempDir(), Dir: true}}, ScanOptions{}, files) {
		if e.Err != nil {
			t.Fatal(e)
		}
		if given++; given%(n/4) == 1 {
			most = max(most, heap()-before)
		}
		ahead = max(ahead, looked.Load()-given)
	}
	each := float64(most) / n
	if given != n || ahead > mostAhead {
		t.Errorf("%d of %d files; %d are looked at ahead", given, n, ahead)
	}
	if each > 48 { // a name of 12 bytes, the one behind it, 8 for the index, and room to grow
		t.Errorf("a file of a directory takes %.0f bytes", each)
	}
	runtime.KeepAlive(names)
	t.Logf("%.0f bytes each, %d looked at ahead", each, ahead)
}

// scanListed makes up names. All files are one file.
type scanListed struct {
	scanFS
	names []string
}

func (l scanListed) list(_ context.Context, _ string, each func(string, fs.FileMode) error) error {
	for i := range l.names {
		if err := each(l.names[i*7919%len(l.names)], 0); err != nil {
			return err
		}
	}
	return nil
}

func (l scanListed) lstat(path string) (fs.FileInfo, error) {
	if scanIsZarrMeta(filepath.Base(path)) {
		return nil, fs.ErrNotExist
	}
	return os.Lstat(os.Args[0])
}
