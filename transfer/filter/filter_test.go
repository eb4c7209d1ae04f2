package filter

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// list makes rules as flags would: "-pattern" and "+pattern"; what is neither
// is a line of a gitignore file.
func list(t testing.TB, rules ...string) *List {
	t.Helper()
	l := &List{}
	for n, r := range rules {
		var err error
		switch r[0] {
		case '-':
			err = l.Exclude(r[1:], r)
		case '+':
			err = l.Include(r[1:])
		default:
			err = l.Read(strings.NewReader(r), fmt.Sprint("file", n))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestRules(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules string // separated by spaces; a file's lines by \n
		taken string // paths; those of directories end in "/"
		out   string // paths, "=" and the reason after it
	}{
		{"none", "", "a a/ a/b", ""},
		{"name anywhere", "-*.tmp", "a.tif d/a.tmp.x", "a.tmp=-*.tmp d/e/a.tmp=-*.tmp"},
		{"anchored", "-/a", "d/a d/a/", "a=-/a a/=-/a a/b=-/a"},
		{"directory", "-cache/", "cache d/cache", "cache/=-cache/ d/cache/x=-cache/"},
		{"last wins", "-*.tif +keep.tif -/keep.tif", "d/keep.tif", "a.tif=-*.tif keep.tif=-/keep.tif"},
		{"only these", "-* +*.tif", "a.tif d/ d/a.tif d/e/a.tif", "a.txt=-* d/e/a.txt=-*"},
		{"include before does not count", "+*.tif -cache/", "a.tif", "cache/=-cache/ cache/a.tif=-cache/"},
		{"include below what is left out", "-cache/ +*.tif", "cache/ cache/a.tif cache/d/a.tif", "cache/a=-cache/ cache/d/a=-cache/"},
		{"and out again", "-cache/ +*.tif -old/", "cache/ cache/a.tif", "cache/old/=-old/ cache/old/a.tif=-old/ cache/x=-cache/"},
		{"an earlier rule in it", "-old/ -cache/ +keep/", "cache/ old/ old/keep/ cache/keep/ cache/keep/x", "cache/old/x=-cache/"},
		{"a directory does not bring its contents", "-* +keep/", "keep/", "keep/x=-*"},
		{"but its pattern may", "-* +keep/**", "keep/ keep/x keep/d/x", "x=-* other/x=-*"},
		{"a file's rules are git's", "cache/\n!*.tif", "a.tif", "cache/=file0:1·cache/ cache/a.tif=file0:1·cache/"},
		{"a flag lifts a file's rule", "cache/ +*.tif", "cache/ cache/a.tif", "cache/x=file0:1·cache/"},
		{"a file does not lift a flag's", "-cache/ !*.tif", "a.tif", "cache/=-cache/ cache/a.tif=-cache/"},
		{"flags know no comments", "-#recycle -!x", "recycle", "#recycle/=-#recycle !x=-!x"},
		{"case counts", "-*.TIF", "a.tif", "a.TIF=-*.TIF"},
		{"one character", "-scene_?", "scene_12", "scene_é=-scene_? scene_1=-scene_?"},
		{"a range of characters", "-[à-ü]", "a z", "é=-[à-ü]"},
		{"no UTF-8", "-a? -[!a-z]", "b", "a\xff=-a? \xfe=-[!a-z]"},
		{"many stars", "-" + strings.Repeat("*a", 30) + "b", strings.Repeat("a", 200), ""},
		{"many deep stars", "-" + strings.Repeat("**/a/", 30) + "b", strings.Repeat("a/", 200) + "a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules := strings.Split(tt.rules, " ")
			if tt.rules == "" {
				rules = nil
			}
			l := list(t, rules...)
			for _, path := range strings.Fields(tt.taken) {
				if why := l.LeaveOut(strings.TrimSuffix(path, "/"), strings.HasSuffix(path, "/")); why != "" {
					t.Errorf("%s is left out: %s", path, why)
				}
			}
			for _, s := range strings.Fields(tt.out) {
				at := strings.Index(s, "=")
				path, want := s[:at], strings.ReplaceAll(s[at+1:], "·", " ")
				if why := l.LeaveOut(strings.TrimSuffix(path, "/"), strings.HasSuffix(path, "/")); why != want {
					t.Errorf("%s: %q, want %q", path, why, want)
				}
			}
		})
	}
}

// What can match nothing is told, with its place.
func TestMistakes(t *testing.T) {
	for pattern, want := range map[string]error{
		"": ErrEmpty, "/": ErrEmpty, "[a": ErrBracket, "a[[:no:]]": ErrBracket, `[\`: ErrBracket, `a\`: ErrBackslash,
		"./a": ErrDots, "a/../b": ErrDots, "a//b": ErrDots, "//": ErrEmpty, "a//": ErrDots,
	} {
		var l List
		if err := l.Exclude(pattern, "x"); !errors.Is(err, want) {
			t.Errorf("exclude %q: %v, want %v", pattern, err, want)
		}
		if err := l.Include(pattern); !errors.Is(err, want) {
			t.Errorf("include %q: %v, want %v", pattern, err, want)
		}
		if l.Excludes() || l.LeaveOut("a", false) != "" {
			t.Errorf("%q became a rule", pattern)
		}
	}
	var l List
	err := l.Read(strings.NewReader("# fine\nfine\n\n![a\n"), "rules")
	if !errors.Is(err, ErrBracket) || !strings.HasPrefix(err.Error(), `rules:4: "![a": `) {
		t.Error(err)
	}
	broken := errors.New("broken")
	if err := l.Read(failing{broken}, "rules"); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A list is asked by many at once, and what it remembers of the last directory
// does not change its answers.
func TestAskedByMany(t *testing.T) {
	l := list(t, "-cache/", "+*.tif")
	var g sync.WaitGroup
	for n := range 8 {
		g.Go(func() {
			for i := range 2000 {
				dir := []string{"cache", "data", "data/cache", "x/y/z"}[(i/(n+1))%4]
				out := l.LeaveOut(dir+"/a", false) != ""
				if out != strings.Contains(dir, "cache") || l.LeaveOut(dir+"/a.tif", false) != "" {
					t.Errorf("%s/a: %v", dir, out)
				}
			}
		})
	}
	g.Wait()
}

// A directory that need not be read holds nothing that is taken.
func FuzzRules(f *testing.F) {
	f.Add("*.tif", "cache/", "a\n!b/\n", "cache/d/a.tif")
	f.Add("**/[!a-z]", `\*/**`, "#\n[[:alpha:]]?\n", "a/b/c")
	f.Fuzz(func(t *testing.T, include, exclude, file, path string) {
		l := &List{}
		_ = l.Exclude(exclude, "flag")
		_ = l.Include(include)
		for line := range strings.Lines(file) {
			_ = l.Read(strings.NewReader(line), "file")
		}
		path = strings.Trim(path, "/")
		why := l.LeaveOut(path, false)
		for at := range path {
			if path[at] == '/' && at > 0 && l.LeaveOut(path[:at], true) != "" && why == "" {
				t.Errorf("%q is taken, and %q need not be read", path, path[:at])
			}
		}
		again := &List{rules: l.rules, back: l.back} // that remembers nothing
		if got := again.LeaveOut(path, false); got != why {
			t.Errorf("%q: %q, then %q", path, why, got)
		}
	})
}

func BenchmarkLeaveOut(b *testing.B) {
	l := list(b, "-*.tmp", "-/old/**/cache/", "-[._]*", "+*.tif")
	b.ReportAllocs()
	for b.Loop() {
		l.LeaveOut("scenes/2026/S2A/band_04.tif", false)
	}
}
