package transfer

import (
	"cmp"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// Whatever the tree, a scan finds what filepath.WalkDir finds, in the order of
// the keys.
func TestScanRandomTrees(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		root := t.TempDir()
		scanGrow(t, r, root, 4)
		prefix := []string{"", "p/", "a/b/"}[seed%3]
		var want []string
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				rel, _ := filepath.Rel(root, path)
				want = append(want, prefix+filepath.ToSlash(rel))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)

		source := Source{Path: root, Prefix: prefix, Dir: true}
		scanSame(t, scanAll(t, root, scanDisk{}, ScanOptions{Readers: int(seed % 4)}, source), want)
		scanSame(t, scanAll(t, root, scanDisk{}, ScanOptions{}, scanSplit(t, root, prefix)...), want)
	}
}

// scanGrow makes files and directories with names that sort around '/'.
func scanGrow(t *testing.T, r *rand.Rand, dir string, depth int) {
	t.Helper()
	const letters = "ab-.0!~"
	for range r.IntN(9) {
		name := "x"
		for range r.IntN(3) {
			name += string(letters[r.IntN(len(letters))])
		}
		name = strings.Repeat("é", r.IntN(2)) + name
		path := filepath.Join(dir, name)
		var err error
		if depth > 0 && r.IntN(3) == 0 {
			if err = os.Mkdir(path, 0o755); err == nil {
				scanGrow(t, r, path, depth-1)
			}
		} else if _, err = os.Lstat(path); err != nil {
			err = os.WriteFile(path, nil, 0o644)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
}

// scanSplit names what is in root one by one.
func scanSplit(t *testing.T, root, prefix string) []Source {
	t.Helper()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var sources []Source
	for _, e := range entries {
		s := Source{Path: filepath.Join(root, e.Name()), Prefix: prefix + e.Name(), Dir: e.IsDir()}
		if s.Dir {
			s.Prefix += "/"
		}
		sources = append(sources, s)
	}
	return sources
}

// Slow file systems are looked at by many at once; the order stays.
func TestScanEach(t *testing.T) {
	for _, n := range []int{0, 1, 2, 63, 64, 1000} {
		for _, readers := range []int{1, 2, 16, 5000} {
			done := make([]int, n)
			scanEach(t.Context(), n, readers, func(i int) { done[i]++ })
			if slices.Max(append(done, 1)) != 1 || n > 0 && slices.Min(done) != 1 {
				t.Errorf("%d calls among %d: %v", n, readers, done)
			}
		}
	}
}

func TestScanEachSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		scanEach(t.Context(), 41, 10, func(int) { time.Sleep(time.Millisecond) })
		// One to see that it is slow, then four rounds of ten.
		if took := time.Since(start); took != 5*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add("p/", "a", "a-b", false, true)
	f.Add("", "zarr.json", ".zattrs", false, false)
	f.Add("é/", "\xff", "._x", true, false)
	f.Add("", strings.Repeat("n", 1025), "", true, true)
	f.Fuzz(func(t *testing.T, prefix, a, b string, aDir, bDir bool) {
		if !utf8.ValidString(prefix) || strings.ContainsRune(a+b, '/') || a == b || a == "" || b == "" || len(a)+len(b) > scanNameMax {
			t.Skip()
		}
		var names scanNames
		for _, e := range []struct {
			name string
			dir  bool
		}{{a, aDir}, {b, bDir}} {
			kind := scanFile
			if e.dir {
				kind = scanLink // that turns out to lead to a directory
			}
			names.add(e.name, kind)
			if e.dir {
				names.jump(names.len() - 1)
			}
			if why := scanLeftOut(e.name, e.dir); why != "" && !strings.ContainsRune(".T", rune(e.name[0])) {
				t.Errorf("%q is left out: %s", e.name, why)
			}
			key, err := scanKey(prefix, e.name)
			if key != prefix+e.name {
				t.Errorf("%q + %q is %q", prefix, e.name, key)
			}
			if valid := utf8.ValidString(key) && len(key) <= MaxKey; valid != (err == nil) {
				t.Errorf("%q: valid is %v, error is %v", key, valid, err)
			}
		}
		names.sort()
		// What lies below a directory has keys between those of its neighbours.
		var keys []string
		for i := range names.len() {
			key := prefix + string(names.name(i))
			if names.kind(i).dir() {
				keys = append(keys, key+"\x00", key+"\xff")
			} else {
				keys = append(keys, key)
			}
		}
		if !slices.IsSortedFunc(keys, cmp.Compare[string]) {
			t.Errorf("not in order: %q", keys)
		}
	})
}
