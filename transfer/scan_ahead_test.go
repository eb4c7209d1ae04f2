package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// scanSlowTree is a file system over a network: each question takes a millisecond.
// Every directory above depth has dirs sub-directories, every one at it files files.
type scanSlowTree struct {
	root               string
	dirs, depth, files int
	fi                 fs.FileInfo
	asked              *scanAsked
}

// scanAsked is how many questions were open at once, at the most.
type scanAsked struct {
	now, most, lists atomic.Int64
}

func (s *scanAsked) question() {
	for n := s.now.Add(1); ; {
		most := s.most.Load()
		if n <= most || s.most.CompareAndSwap(most, n) {
			break
		}
	}
	time.Sleep(time.Millisecond)
	s.now.Add(-1)
}

func (f scanSlowTree) list(_ context.Context, dir string, each func(string, fs.FileMode) error) error {
	f.asked.lists.Add(1)
	f.asked.question()
	rel := strings.TrimPrefix(filepath.Clean(dir), f.root)
	n, mode := f.dirs, fs.ModeDir
	if strings.Count(rel, string(filepath.Separator)) == f.depth {
		n, mode = f.files, 0
	}
	for i := range n {
		if err := each(fmt.Sprintf("%03d", i), mode); err != nil {
			return err
		}
	}
	return nil
}

func (f scanSlowTree) lstat(path string) (fs.FileInfo, error) {
	if scanIsZarrMeta(filepath.Base(path)) {
		return nil, fs.ErrNotExist
	}
	f.asked.question()
	return f.fi, nil
}

func (f scanSlowTree) stat(path string) (fs.FileInfo, error) { return f.lstat(path) }

// A tree of many small directories over a network is read by many at once, and
// comes in order all the same.
func TestScanAhead(t *testing.T) {
	root := t.TempDir()
	fi, err := scanDisk{}.lstat(scanTree(t, "f") + string(filepath.Separator) + "f")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		dirs, depth, files int
		atMost             time.Duration // in it all questions are asked by 16 at once, but for some at both ends
	}{
		{1000, 1, 1, 200 * time.Millisecond},
		{10, 3, 2, 400 * time.Millisecond},
		{2, 9, 3, 350 * time.Millisecond},
		{3, 3, 600, 1300 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := scanSlowTree{root, tt.dirs, tt.depth, tt.files, fi, &scanAsked{}}
			began, n, last := time.Now(), 0, ""
			for e := range scanWith(t.Context(), []Source{{Path: root, Dir: true}}, ScanOptions{}, f) {
				if e.Err != nil || e.Item.Key <= last {
					t.Fatalf("%+v behind %q", e, last)
				}
				n, last = n+1, e.Item.Key
			}
			want, dirs := tt.files, 1
			for range tt.depth {
				want, dirs = want*tt.dirs, dirs*tt.dirs+1
			}
			took := time.Since(began)
			t.Logf("%d directories (%d reads), %d files: %v with at most %d questions at once", dirs, f.asked.lists.Load(), n, took, f.asked.most.Load())
			if n != want || took > tt.atMost {
				t.Errorf("%d files of %d in %v, allowed %v", n, want, took, tt.atMost)
			}
			// Some are let go of and read again, the most where each has two others: half
			// as many as there are, by turns some more or less.
			if got := f.asked.lists.Load(); got < int64(dirs) || got > int64(dirs)*7/4 {
				t.Errorf("%d directories were read, of %d", got, dirs)
			}
			if most := f.asked.most.Load(); most > 32 { // the walk's own, and those ahead
				t.Errorf("%d questions at once", most)
			}
		})
	}
}

// What is read ahead is bounded, and nothing of it goes on when the scan ends.
func TestScanAheadBound(t *testing.T) {
	root := t.TempDir()
	fi, err := scanDisk{}.lstat(scanTree(t, "f") + string(filepath.Separator) + "f")
	if err != nil {
		t.Fatal(err)
	}
	for _, readers := range []int{1, 4, 16} {
		synctest.Test(t, func(t *testing.T) {
			f := scanSlowTree{root, 20, 2, 5, fi, &scanAsked{}}
			for e := range scanWith(t.Context(), []Source{{Path: root, Dir: true}}, ScanOptions{Readers: readers}, f) {
				if e.Err != nil {
					t.Fatal(e)
				}
				time.Sleep(time.Second) // what takes the files is slower still
				if got, want := f.asked.lists.Load(), int64(3+2*scanHeld*readers); got > want {
					t.Errorf("%d directories are read for the first file, allowed %d", got, want)
				}
				break
			}
			if now := f.asked.now.Load(); now != 0 {
				t.Errorf("%d questions are open behind the end", now)
			}
		})
	}
}

// Nor does anything go on when the scan is given up while it waits.
func TestScanAheadGivenUp(t *testing.T) {
	root := t.TempDir()
	fi, err := scanDisk{}.lstat(scanTree(t, "f") + string(filepath.Separator) + "f")
	if err != nil {
		t.Fatal(err)
	}
	for after := 500 * time.Microsecond; after < 10*time.Millisecond; after += time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			f := scanSlowTree{root, 20, 2, 5, fi, &scanAsked{}}
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			var last error
			for e := range scanWith(ctx, []Source{{Path: root, Dir: true}}, ScanOptions{}, f) {
				last = e.Err
			}
			if !errors.Is(last, context.DeadlineExceeded) {
				t.Errorf("it ended with %v", last)
			}
			if now := f.asked.now.Load(); now != 0 {
				t.Errorf("%d questions are open behind the end", now)
			}
		})
	}
}

// A directory that is too large to be held is read when its turn comes.
func TestScanAheadLarge(t *testing.T) {
	var names []string
	for i := range scanSmall + 1 {
		names = append(names, fmt.Sprintf("a/%05d", i), fmt.Sprintf("b/c/%05d", i))
	}
	root := scanTree(t, append(names, "b/d", "e/f")...)
	got := scanAll(t, root, scanDisk{}, ScanOptions{}, Source{Path: root, Dir: true})
	if len(got) != len(names)+2 || got[0] != "a/00000" || got[scanSmall+1] != "b/c/00000" || got[len(got)-1] != "e/f" {
		t.Errorf("%d entries", len(got))
	}
}
