//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// touch gives a file another time, as a copy or a remount does.
func touch(t *testing.T, path string) {
	t.Helper()
	at := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// grow appends to a file.
func grow(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}

// TestTouchedFile proves that a doubt about a stored file costs a read and not
// a send, and that its bytes decide.
func TestTouchedFile(t *testing.T) {
	t.Parallel()
	files := tree{}.with("small", 5000).with("large", 9<<20).with("changed", 6000).with("grown", 7000).with("rest", 10)
	dir := files.write(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	r := newRig(t).withToken()
	r.upload(0, "--part-size", "5MiB", dir)

	touch(t, path("small"))
	touch(t, path("large"))
	mark := r.mark()
	e := r.upload(0, "--part-size", "5MiB", dir)
	r.sendsNothing(mark)
	if !strings.Contains(e.err, "already there  5 files") {
		t.Errorf("it says\n%s", e.err)
	}

	flip(t, path("changed"), 77)
	files["changed"][77] ^= 0x55
	grow(t, path("grown"), []byte("more"))
	files["grown"] = append(files["grown"], "more"...)
	mark = r.mark()
	r.upload(0, "--part-size", "5MiB", dir)
	r.sentExactly(mark, "changed", "grown")
	r.holds(files)
}

// TestTouchedHalfSent proves that the parts of a half-sent file which was
// touched, or changed, are compared with what was sent: a part goes again only
// if its bytes differ.
func TestTouchedHalfSent(t *testing.T) {
	t.Parallel()
	const part = 5 << 20
	for name, change := range map[string]func(t *testing.T, path string, b []byte) []int{
		"touched": func(t *testing.T, path string, _ []byte) []int {
			touch(t, path)
			return nil
		},
		"one byte": func(t *testing.T, path string, b []byte) []int {
			flip(t, path, part+99) // in part 2
			b[part+99] ^= 0x55
			return []int{2}
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := tree{}.with("large", 6*part+1)
			dir := files.write(t)
			r := newRig(t, "-rate", "10MB").withToken()
			r.killMidway(dir, "--parallel", "2", "--part-size", "5MiB")
			before, mark := sentParts(r, 0), r.mark()
			again := change(t, filepath.Join(dir, "large"), files["large"])
			r.upload(0, "--parallel", "2", "--part-size", "5MiB", dir)
			r.holds(files)
			var twice []int
			for _, n := range sentParts(r, mark) {
				if slices.Contains(before, n) {
					twice = append(twice, n)
				}
			}
			slices.Sort(twice)
			if !slices.Equal(twice, again) {
				t.Errorf("of parts %v it sent %v again, want %v", before, twice, again)
			}
			if n := ops(r.requests(0))["CreateMultipartUpload"]; n != 1 {
				t.Errorf("%d uploads were begun", n)
			}
		})
	}
}

// sentParts are the numbers of the parts that were acknowledged since mark.
func sentParts(r *rig, mark int) (numbers []int) {
	for _, q := range stored(r.requests(mark), "UploadPart") {
		numbers = append(numbers, q.Part)
	}
	return numbers
}

// TestGrownHalfSent proves that a half-sent file of another size starts over,
// and that the user is told, and what is left in the bucket where the role may
// not abort.
func TestGrownHalfSent(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 20<<20)
	dir := files.write(t)
	r := newRig(t, "-role", "platform", "-rate", "10MB").withToken()
	r.killMidway(dir, "--parallel", "2", "--part-size", "5MiB")
	grow(t, filepath.Join(dir, "large"), []byte("more"))
	files["large"] = append(files["large"], "more"...)
	e := r.upload(0, "--parallel", "2", "--part-size", "5MiB", dir)
	for _, want := range []string{"its size changed since it was begun: it starts over", "may not be ended here and is left in the bucket"} {
		if !strings.Contains(e.err, want) {
			t.Errorf("it does not say %q:\n%s", want, e.err)
		}
	}
	if n := ops(r.requests(0))["CreateMultipartUpload"]; n != 2 {
		t.Errorf("%d uploads were begun, want 2", n)
		r.tell(0)
	}
	r.holds(files)
}
