package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestWrite proves that the files are those that were asked for, and those of
// equal size no copies of each other.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	l := load{shares: []share{{2, 5000}, {1, 3*mib + 7}, {1500, 1}}}
	if err := l.write(dir); err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	folders := 0
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			folders++
			return err
		}
		st, err := d.Info()
		if err == nil {
			sizes = append(sizes, st.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(sizes)
	if len(sizes) != l.files() || l.files() != 1503 || !slices.Equal(sizes[1500:], []int64{5000, 5000, 3*mib + 7}) || folders != 3 {
		t.Errorf("%d files in %d folders, the largest of %v bytes", len(sizes), folders, sizes[1500:])
	}
	if want := int64(2*5000 + 3*mib + 7 + 1500); l.bytes() != want {
		t.Errorf("%d bytes, want %d", l.bytes(), want)
	}
	a, _ := os.ReadFile(filepath.Join(dir, "000", "000000.tif"))
	b, _ := os.ReadFile(filepath.Join(dir, "000", "000001.tif"))
	if len(a) != 5000 || bytes.Equal(a, b) {
		t.Errorf("the first file has %d bytes, and the second is the same: %v", len(a), bytes.Equal(a, b))
	}
}

func TestWriteSparse(t *testing.T) {
	dir := t.TempDir()
	l := load{shares: []share{{1, 5 * gib}}, sparse: true}
	if err := l.write(dir); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, "000", "000000.tif"))
	if err != nil || st.Size() != 5*gib || l.disk() != 0 {
		t.Errorf("%v, %v, %d on disk", st, err, l.disk())
	}
}

func TestScaled(t *testing.T) {
	l := load{shares: []share{{4, 1000}, {1, 10}}}
	if got := l.scaled(0.5); !slices.Equal(got.shares, []share{{2, 1000}, {1, 10}}) {
		t.Errorf("by number: %v", got.shares)
	}
	l.scaleSize = true
	if got := l.scaled(0.05); !slices.Equal(got.shares, []share{{4, 50}, {1, 1}}) {
		t.Errorf("by size: %v", got.shares)
	}
	if !slices.Equal(l.shares, []share{{4, 1000}, {1, 10}}) {
		t.Errorf("it changed to %v", l.shares)
	}
}

// TestDelivery proves that the mixed load is what its comment says.
func TestDelivery(t *testing.T) {
	var below int
	var large int64
	for _, s := range delivery.shares {
		if s.size < 5_000_000 {
			below += s.files
		}
		if s.size > 100_000_000 {
			large += int64(s.files) * s.size
		}
	}
	if delivery.files() != 40 || below != 24 || delivery.bytes() < 5.9e9 || delivery.bytes() > 6.1e9 || float64(large)/float64(delivery.bytes()) < 0.955 {
		t.Errorf("%d files, %d of them small, %d bytes, %d of them in large files", delivery.files(), below, delivery.bytes(), large)
	}
}

// TestTree proves that files are made once for contests that share them, and
// not kept for others.
func TestTree(t *testing.T) {
	f := field{dir: t.TempDir()}
	dir, err := f.tree(same(3, 100))
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(dir, "mark")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.tree(same(3, 100)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the same files were made again: %v", err)
	}
	if _, err := f.tree(same(2, 100)); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*", "*.tif"))
	if _, err := os.Stat(mark); err == nil || len(left) != 2 {
		t.Errorf("left are %v", left)
	}
}
