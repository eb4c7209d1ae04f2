//go:build unix

package transfer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"agent/transfer"
)

// diskJob is a job over one file of a real directory.
func diskJob(t *testing.T, open func([]transfer.Source) func(string) (transfer.File, error)) (jb *job, dir, path string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "src")
	path = filepath.Join(dir, "sub", "k")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("body"), 0o600); err != nil {
		t.Fatal(err)
	}
	jb = newJob(t, nil)
	jb.o.Open = nil
	if open != nil {
		jb.o.Open = open([]transfer.Source{{Path: dir, Dir: true}})
	}
	return jb, dir, path
}

// sendDisk sends what the scan saw, after change.
func (jb *job) sendDisk(path string, change func()) (stored bool, failed error) {
	jb.t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		jb.t.Fatal(err)
	}
	change()
	if _, err := jb.run(transfer.Entry{Item: transfer.Item{Key: "k", Path: path, Stat: transfer.StatOf(st)}}); err != nil {
		jb.t.Fatal(err)
	}
	_, stored = jb.store.Body("k")
	return stored, jb.failure()
}

func straight(s []transfer.Source) func(string) (transfer.File, error) {
	return transfer.OpenStraight(s)
}

// TestPipeInPlaceOfAFile proves that a pipe which takes a file's place between scan
// and sending fails that file, and is not waited at until somebody writes to it.
func TestPipeInPlaceOfAFile(t *testing.T) {
	for name, open := range map[string]func([]transfer.Source) func(string) (transfer.File, error){"": nil, "straight": straight} {
		jb, _, path := diskJob(t, open)
		stored, err := jb.sendDisk(path, func() {
			must(t, os.Remove(path))
			must(t, syscall.Mkfifo(path, 0o600))
		})
		if stored || err == nil || !strings.Contains(err.Error(), "no regular file any more") {
			t.Errorf("%s: stored %v, %v", name, stored, err)
		}
	}
}

// TestLinkInPlaceOfAFile proves that where no links are followed none is that takes
// the place of a file, or of a directory, after the scan.
func TestLinkInPlaceOfAFile(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "k"), []byte("hidden"), 0o600))
	for name, change := range map[string]func(dir, path string){
		"file": func(_, path string) {
			must(t, os.Remove(path))
			must(t, os.Symlink(filepath.Join(outside, "k"), path))
		},
		"directory": func(_, path string) {
			must(t, os.RemoveAll(filepath.Dir(path)))
			must(t, os.Symlink(outside, filepath.Dir(path)))
		},
	} {
		jb, dir, path := diskJob(t, straight)
		stored, err := jb.sendDisk(path, func() { change(dir, path) })
		if stored || err == nil || !strings.Contains(err.Error(), "symbolic link now") {
			t.Errorf("%s: stored %v, %v", name, stored, err)
		}
	}
	// The source itself may be one.
	jb, dir, path := diskJob(t, straight)
	stored, err := jb.sendDisk(path, func() {
		must(t, os.Rename(dir, dir+".moved"))
		must(t, os.Symlink(dir+".moved", dir))
	})
	if !stored || err != nil {
		t.Errorf("below a source that is a link: stored %v, %v", stored, err)
	}
}

// TestNowIsStat proves that what is asked for at the end of a file is told in the
// same words as at its beginning.
func TestNowIsStat(t *testing.T) {
	for _, name := range []string{"a file", "a directory"} {
		_, dir, path := diskJob(t, nil)
		source := transfer.Source{Path: dir, Dir: true}
		if name == "a file" {
			source = transfer.Source{Path: path}
		}
		f, err := transfer.OpenStraight([]transfer.Source{source})(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		st, err1 := f.Stat()
		now, err2 := f.Now()
		if st != now || err1 != nil || err2 != nil || st.CTime == 0 || st.Inode == 0 {
			t.Errorf("%s: %+v, %v, then %+v, %v", name, st, err1, now, err2)
		}
		must(t, os.Remove(path))
		if _, err := f.Now(); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: gone: %v", name, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
