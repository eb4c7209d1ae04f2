package s3store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"agent/transfer"
)

// errDead is what everything of a process ends with that is no more.
var errDead = errors.New("this process is dead")

// diskErrors are what a journal answers whose disk fails so.
var diskErrors = map[string]error{
	"ENOSPC": fmt.Errorf("%w: journal: %w", transfer.ErrLocal, syscall.ENOSPC),
	"EIO":    fmt.Errorf("%w: journal: %w", transfer.ErrLocal, syscall.EIO),
}

// call is one of the journal's: its number from 1, and whether it was made
// already.
type call struct {
	n           int
	method, key string
	after       bool
}

// atCall is asked at each call of the journal.
func (w *world) atCall(n int, method, key string, after bool) error {
	w.mu.Lock()
	dead := w.dead
	w.mu.Unlock()
	switch {
	case dead:
		return errDead
	case w.hook != nil:
		return w.hook(call{n, method, key, after})
	}
	return nil
}

// crash ends the present run: nothing goes out any more, and what the journal
// has on disk at this instant is all that the next run finds.
func (w *world) crash() error {
	w.mu.Lock()
	dead := w.dead
	w.dead = true
	w.mu.Unlock()
	if !dead {
		w.end()
	}
	return errDead
}

// image is what a crash leaves on disk.
type image struct{ state, dir string }

// takeImage makes the image of this instant.
func (w *world) takeImage() {
	w.next = &image{w.t.TempDir(), w.dir}
	b, err := restingFile(filepath.Join(w.state, "journal.db"))
	if err == nil {
		err = os.WriteFile(filepath.Join(w.next.state, "journal.db"), b, 0o600)
	}
	if err == nil && w.scene.down {
		w.next.dir = w.t.TempDir()
		err = copyTree(w.next.dir, w.dir)
	}
	if err != nil {
		w.wronged("the image of a crash: %v", err)
	}
}

// restingFile reads a file while nothing is being written to it, which two reads
// that are the same tell.
func restingFile(path string) (b []byte, err error) {
	var last []byte
	for range 1000 {
		if b, err = os.ReadFile(path); err != nil || last != nil && bytes.Equal(b, last) {
			return b, err
		}
		last = b
	}
	return nil, errors.New("the file never rested")
}

// copyTree copies files with their times. What is renamed meanwhile may be left
// out.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(path, from))
		if e.IsDir() {
			return os.MkdirAll(at, 0o700)
		}
		b, err := os.ReadFile(path)
		fi, serr := e.Info()
		if errors.Is(err, os.ErrNotExist) || errors.Is(serr, os.ErrNotExist) {
			return nil
		}
		if err = errors.Join(err, serr); err == nil {
			err = os.WriteFile(at, b, 0o600)
		}
		if err == nil {
			err = os.Chtimes(at, fi.ModTime(), fi.ModTime())
		}
		return err
	})
}
