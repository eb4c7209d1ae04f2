package transfer

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// FuzzNameList proves that a list gives back what it took, twice, in little room.
func FuzzNameList(f *testing.F) {
	f.Add("a\na/b\na/b\nb\n\xff\xfe\n")
	f.Add(strings.Repeat("long/", 300))
	f.Fuzz(func(t *testing.T, text string) {
		want := strings.Split(text, "\n")
		slices.Sort(want)
		l, err := NewNameList(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for i, name := range want {
			l.add(name, uint64(i))
		}
		for range 2 {
			i := 0
			for n, err := range l.all() {
				if err != nil || n.name != want[i] || n.number != uint64(i) {
					t.Fatalf("%d: %q, %d, %v; want %q", i, n.name, n.number, err, want[i])
				}
				i++
			}
			if i != len(want) || l.Len() != int64(i) {
				t.Errorf("%d of %d", i, len(want))
			}
		}
		c := newNameCursor(l)
		defer c.stop()
		for _, name := range want {
			if ok, err := c.find(name); !ok || err != nil {
				t.Errorf("%q is not found: %v", name, err)
			}
		}
		if err := c.rest(); err != nil {
			t.Error(err)
		}
	})
}

// TestNoNameList proves that none is one without names.
func TestNoNameList(t *testing.T) {
	var l *NameList
	for n := range l.all() {
		t.Errorf("%v", n)
	}
	if err := l.Close(); err != nil || l.Len() != 0 {
		t.Errorf("%d, %v", l.Len(), err)
	}
}

// TestNameListFails proves that names out of order, and a disk that takes no more,
// are told when the list is read.
func TestNameListFails(t *testing.T) {
	for name, spoil := range map[string]func(*NameList){
		"order": func(l *NameList) { l.add("a", 0) },
		"disk":  func(l *NameList) { _ = l.file.Close() },
		"short": func(l *NameList) { _ = l.w.Flush(); _ = l.file.Truncate(1) },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := NewNameList(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			l.add("b", 0)
			l.add("c", 0)
			spoil(l)
			for _, err = range l.all() {
				if err != nil {
					break
				}
			}
			if err == nil {
				t.Error("nothing is told")
			}
			_ = l.Close()
		})
	}
	if _, err := NewNameList("/no/such/place"); err == nil {
		t.Error("no error")
	}
}

// TestNameListIsSmall gives the figure of the documentation.
func TestNameListIsSmall(t *testing.T) {
	l, err := NewNameList(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 100_000 {
		l.add(fmt.Sprintf("dataset/year-2024/tile-%04d/band_%03d.tif", i/100, i%100), 0)
	}
	if err := l.w.Flush(); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(l.file.Name())
	if l.gone {
		fi, err = l.file.Stat()
	}
	if err != nil || fi.Size() > 100_000*12 {
		t.Errorf("%v, %v", fi.Size(), err)
	}
}
