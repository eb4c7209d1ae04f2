package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestReadNames(t *testing.T) {
	long := strings.Repeat("n", 1<<16)
	for _, tt := range []struct {
		name string
		zero bool
		text string
		want []string
		err  error
		line int
	}{
		{name: "nothing"},
		{name: "in key order", text: "a/b\na-b\nb\na\n", want: []string{"a", "a-b", "a/b", "b"}},
		{name: "once each", text: "a\n./a\na/\nb//c\nb/c\nx/../a", want: []string{"a", "b/c"}},
		{name: "what counts for nothing", text: "\n.\n./\n\na\n\n", want: []string{"a"}},
		{name: "Windows", text: "\uFEFFa\r\nb c\r\n", want: []string{"a", "b c"}},
		{name: "spaces are names", text: " a \n#b\n!c", want: []string{" a ", "!c", "#b"}},
		{name: "zero", zero: true, text: "a\nb\x00c\r\x00\x00", want: []string{"a\nb", "c\r"}},
		{name: "zero, not ended", zero: true, text: "a\x00b", want: []string{"a", "b"}},
		{name: "outside", text: "a\n../b\n", err: ErrOutside, line: 2},
		{name: "outside after all", text: "a/../../b", err: ErrOutside, line: 1},
		{name: "absolute", text: "a\nb\n/etc/passwd\n", err: ErrOutside, line: 3},
		{name: "zero without being told", text: "a\x00b\x00", err: ErrList, line: 1},
		{name: "UTF-16", text: "\xff\xfea\x00\n\x00", err: ErrList, line: 1},
		{name: "too long", text: "a\n" + long + "\n", err: ErrList, line: 2},
		{name: "just not too long", text: long[:scanNameMax] + "\n", want: []string{long[:scanNameMax]}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := ReadNames(strings.NewReader(tt.text), tt.zero)
			if !errors.Is(err, tt.err) || err != nil && !strings.HasPrefix(err.Error(), fmt.Sprintf("line %d: ", tt.line)) {
				t.Fatalf("of %.20q it says %v, want %v", tt.text, err, tt.err)
			}
			if err != nil {
				return
			}
			var got []string
			for i := range n.Len() {
				got = append(got, n.at(i))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q", got)
			}
		})
	}
}

func scanNamed(t testing.TB, list ...string) *Names {
	t.Helper()
	n, err := ReadNames(strings.NewReader(strings.Join(list, "\x00")), true)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestScanOnly(t *testing.T) {
	root := scanTree(t, "a/x", "a/y", "a/deep/z", "a-b", "b", "c/.zarray", "c/0", "c/1", "link -> a", "file -> b", "void/", "gone -> no", "left.tmp")
	for _, tt := range []struct {
		name string
		list []string
		o    ScanOptions
		want []string
	}{
		{"nothing", nil, ScanOptions{}, nil},
		{"files", []string{"b", "a/deep/z", "a-b", "a/x"}, ScanOptions{}, []string{"p/a-b", "p/a/deep/z", "p/a/x", "p/b"}},
		{"missing", []string{"a/no", "no", "no/such/file", "b"}, ScanOptions{}, []string{
			"!p/a/no stat: no such file or directory", "p/b", "!p/no stat: no such file or directory", "!p/no/such/file stat: no such file or directory",
		}},
		{"below a file", []string{"b", "b/x"}, ScanOptions{}, []string{"p/b", "!p/b/x stat: not a directory"}},
		{"below a link to nothing", []string{"gone/x", "gone/y"}, ScanOptions{}, []string{
			"!p/gone/x stat: no such file or directory", "!p/gone/y stat: no such file or directory",
		}},
		{"as find lists", []string{".", "a", "a/x", "a/deep", "a/deep/z", "void"}, ScanOptions{}, []string{
			"p/a/deep/z", "p/a/x", "-p/void/ directory in a list of files",
		}},
		{"a directory alone", []string{"a/deep"}, ScanOptions{}, []string{"-p/a/deep/ directory in a list of files"}},
		{"links", []string{"file", "link/x", "gone", "link"}, ScanOptions{}, []string{
			"p/file", "!p/gone follow symlink: no such file or directory", "p/link/x",
		}},
		{"links not followed", []string{"file", "link/x", "link"}, ScanOptions{NoFollowSymlinks: true}, []string{"-p/file symlink", "-p/link symlink"}},
		{"zarr", []string{"c/0", "c/.zarray"}, ScanOptions{}, []string{"p/c/.zarray zarr=ROOT/c meta", "p/c/0 zarr=ROOT/c"}},
		{"and rules", []string{"left.tmp", "b", "a/x"}, ScanOptions{LeaveOut: func(key string) string {
			return map[string]string{"p/left.tmp": "rule", "p/a/": "rule too"}[key]
		}}, []string{"-p/a/ rule too", "p/b", "-p/left.tmp rule"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Only = scanNamed(t, tt.list...)
			scanSame(t, scanAll(t, root, scanDisk{}, tt.o, Source{Path: root, Prefix: "p/", Dir: true}), tt.want)
		})
	}
	for _, sources := range [][]Source{nil, {{Path: filepath.Join(root, "b"), Prefix: "b"}}} {
		for e := range Scan(t.Context(), sources, ScanOptions{Only: scanNamed(t, "b")}) {
			if e.Err == nil || e.Item != (Item{}) {
				t.Errorf("%+v", e)
			}
		}
	}
}

// Many names are found as a scan of everything finds them, and no directory is
// read for them.
func TestScanOnlyMany(t *testing.T) {
	var names []string
	for i := range 3000 {
		names = append(names, fmt.Sprintf("%d/%d-%d", i%7, i%3, i), fmt.Sprintf("%d-%d", i%5, i))
	}
	root := scanTree(t, names...)
	all := scanAll(t, root, scanDisk{}, ScanOptions{}, Source{Path: root, Dir: true})
	got := scanAll(t, root, scanUnread{}, ScanOptions{Only: scanNamed(t, names...)}, Source{Path: root, Dir: true})
	scanSame(t, got, all)
	if len(got) != len(names) {
		t.Errorf("%d of %d", len(got), len(names))
	}
}

// scanUnread reads no directory.
type scanUnread struct{ scanDisk }

func (scanUnread) list(context.Context, string, func(string, fs.FileMode) error) error {
	return fs.ErrPermission
}

func FuzzReadNames(f *testing.F) {
	f.Add("a\nb/c\n../x", false)
	f.Add("a\x00b\n\x00./", true)
	f.Fuzz(func(t *testing.T, text string, zero bool) {
		n, err := ReadNames(strings.NewReader(text), zero)
		if err != nil {
			if !errors.Is(err, ErrList) && !errors.Is(err, ErrOutside) {
				t.Error(err)
			}
			return
		}
		last := ""
		for i := range n.Len() {
			name := n.at(i)
			if name <= last && i > 0 || !filepath.IsLocal(filepath.FromSlash(name)) || strings.HasSuffix(name, "/") {
				t.Errorf("%q after %q", name, last)
			}
			last = name
		}
	})
}

func TestScanLeavesOut(t *testing.T) {
	root := scanTree(t, "a/x", "a/b/y", "c", "d/z", "e/only", "link -> d", "bad\xff", "e/.DS_Store")
	out := func(keys ...string) func(string) string {
		return func(key string) string {
			if slices.Contains(keys, key) {
				return "rule"
			}
			return ""
		}
	}
	dir := Source{Path: root, Prefix: "p/", Dir: true}
	for _, tt := range []struct {
		name    string
		o       ScanOptions
		sources []Source
		want    []string
	}{
		{"files and directories", ScanOptions{LeaveOut: out("p/a/b/", "p/c", "p/link/", "p/bad\xff", "p/e/.DS_Store")}, []Source{dir}, []string{
			"-p/a/b/ rule", "p/a/x", "-p/bad\xff rule", "-p/c rule", "p/d/z", "-p/e/.DS_Store macOS folder view", "p/e/only", "-p/link/ rule",
		}},
		{"markers", ScanOptions{DirMarkers: ".k", LeaveOut: out("p/a/.k", "p/a/b/", "p/bad\xff", "p/d/", "p/e/", "p/link/")}, []Source{dir}, []string{
			"p/.k", "-p/a/b/ rule", "p/a/x", "-p/bad\xff rule", "p/c", "-p/d/ rule", "-p/e/ rule", "-p/link/ rule",
		}},
		{"sources", ScanOptions{LeaveOut: out("a/", "c")}, []Source{
			{Path: filepath.Join(root, "a"), Prefix: "a/", Dir: true}, {Path: filepath.Join(root, "c"), Prefix: "c"}, {Path: filepath.Join(root, "d"), Prefix: "d/", Dir: true},
		}, []string{"-a/ rule", "-c rule", "d/z"}},
		{"later", ScanOptions{Later: func(s Stat) string {
			if s.Size == 3 {
				return "young"
			}
			return ""
		}}, []Source{{Path: filepath.Join(root, "a"), Prefix: "a/", Dir: true}, {Path: filepath.Join(root, "a/x"), Prefix: "x"}}, []string{"a/b/y", "-a/x young", "-x young"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scanSame(t, scanAll(t, root, scanDisk{}, tt.o, tt.sources...), tt.want)
			for e := range Scan(t.Context(), tt.sources, tt.o) {
				if e.Later != (e.Ignored == "young") || e.Later && e.Item.Stat != (Stat{}) {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// A million names take 100 MB, as --files-from says.
func TestNamesAreSmall(t *testing.T) {
	const n = 200_000
	var list strings.Builder
	for i := range n {
		fmt.Fprintf(&list, "scenes/2026/S2A_MSIL2A_20260101T000000/%08d/band_%02d_10m.tif\n", i*7919%n, i%13)
	}
	text := list.String()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	names, err := ReadNames(strings.NewReader(text), false)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / n
	if err != nil || names.Len() != n || each > 100 {
		t.Errorf("%d names at %.0f bytes each, %v", names.Len(), each, err)
	}
	runtime.KeepAlive(names)
	runtime.KeepAlive(text)
	t.Logf("%.0f bytes each, of which %d are the name", each, len(text)/n-1)
}
