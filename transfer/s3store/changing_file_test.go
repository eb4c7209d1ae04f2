//go:build unix

package s3store_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// subject is a file whose every version tells by each of its blocks which one it is.
type subject struct {
	t    *testing.T
	rnd  *rand.Rand
	base string // of everything
	dir  string // what is sent
	name string // of the file, in dir
	size int

	n      uint64   // of versions
	states [][]byte // all that the file ever was
}

const blockSize = 16

func newSubject(t *testing.T, size int, rnd *rand.Rand) *subject {
	base := t.TempDir()
	s := &subject{t: t, rnd: rnd, base: base, dir: filepath.Join(base, "data"), name: "sub/f", size: size}
	if err := os.MkdirAll(filepath.Join(s.dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.put(s.path(), s.version(size))
	s.remember()
	return s
}

func (s *subject) path() string { return filepath.Join(s.dir, filepath.FromSlash(s.name)) }

// version makes the bytes of a new one: number and place in each block.
func (s *subject) version(size int) []byte {
	s.n++
	b := make([]byte, (size+blockSize-1)/blockSize*blockSize)
	for i := 0; i < len(b); i += blockSize {
		binary.BigEndian.PutUint64(b[i:], s.n)
		binary.BigEndian.PutUint64(b[i+8:], uint64(i))
	}
	return b[:size]
}

// blocks says which versions bytes are of.
func blocks(b []byte) string {
	var all []string
	last, n := uint64(0), 0
	tell := func() {
		if n > 0 {
			all = append(all, fmt.Sprintf("%d blocks of version %d", n, last))
		}
	}
	for i := 0; i+blockSize <= len(b); i += blockSize {
		v := binary.BigEndian.Uint64(b[i:])
		if v != last {
			tell()
			last, n = v, 0
		}
		n++
	}
	tell()
	return fmt.Sprintf("%d bytes: %s", len(b), strings.Join(all, ", "))
}

// content is what the file has now, if there is one.
func (s *subject) content() ([]byte, bool) {
	fi, err := os.Stat(s.path())
	if err != nil || !fi.Mode().IsRegular() {
		return nil, false
	}
	b, err := os.ReadFile(s.path())
	return b, err == nil
}

// remember takes what the file is now for one of its versions.
func (s *subject) remember() {
	if b, ok := s.content(); ok {
		s.states = append(s.states, b)
	}
}

// now is how large the file is.
func (s *subject) now() int {
	b, ok := s.content()
	if !ok {
		return s.size
	}
	return len(b)
}

// put writes a file. Where a second change finds no file any more, it is none.
func (s *subject) put(path string, b []byte) { _ = os.WriteFile(path, b, 0o600) }

func (s *subject) writeAt(off int, b []byte) {
	if fi, err := os.Stat(s.path()); err != nil || !fi.Mode().IsRegular() {
		return // to open a pipe would wait
	}
	f, err := os.OpenFile(s.path(), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.WriteAt(b, int64(off))
}

// instead puts a new version in the file's place at once.
func (s *subject) instead(b []byte) {
	s.put(filepath.Join(s.base, "new"), b)
	_ = os.Rename(filepath.Join(s.base, "new"), s.path())
}

func (s *subject) sub() string  { return filepath.Dir(s.path()) }
func (s *subject) away() string { return filepath.Join(s.base, fmt.Sprintf("away-%d", s.rnd.Uint64())) }

// elsewhere is a directory outside with another version of the file.
func (s *subject) elsewhere() string {
	dir := s.away()
	_ = os.Mkdir(dir, 0o700)
	s.put(filepath.Join(dir, filepath.Base(s.name)), s.version(s.size))
	return dir
}

// fileOp changes the file.
type fileOp func(s *subject)

func (op fileOp) do(s *subject) { op(s) }

var fileOps = map[string]fileOp{
	"rewritten":        func(s *subject) { s.writeAt(0, s.version(s.now())) },
	"first block":      func(s *subject) { s.writeAt(0, s.version(blockSize)) },
	"last block":       func(s *subject) { s.writeAt(s.now()/blockSize*blockSize-blockSize, s.version(blockSize)) },
	"one block":        func(s *subject) { s.writeAt(s.rnd.IntN(max(1, s.now()/blockSize))*blockSize, s.version(blockSize)) },
	"appended":         func(s *subject) { s.writeAt(s.now(), s.version(1+s.rnd.IntN(5000))) },
	"halved":           func(s *subject) { _ = os.Truncate(s.path(), int64(s.now()/2)) },
	"emptied":          func(s *subject) { _ = os.Truncate(s.path(), 0) },
	"written anew":     func(s *subject) { n := s.now(); _ = os.Truncate(s.path(), 0); s.remember(); s.writeAt(0, s.version(n)) },
	"replaced":         func(s *subject) { s.instead(s.version(s.now())) },
	"replaced, larger": func(s *subject) { s.instead(s.version(s.now() + 1 + s.rnd.IntN(9000))) },
	"copied over":      func(s *subject) { b, _ := s.content(); s.instead(b) },
	"deleted":          func(s *subject) { _ = os.Remove(s.path()) },
	"made anew":        func(s *subject) { n := s.now(); _ = os.Remove(s.path()); s.put(s.path(), s.version(n)) },
	"renamed":          func(s *subject) { _ = os.Rename(s.path(), s.away()) },
	"renamed and back": func(s *subject) { a := s.away(); _ = os.Rename(s.path(), a); _ = os.Rename(a, s.path()) },
	"link to another": func(s *subject) {
		to := filepath.Join(s.elsewhere(), filepath.Base(s.name))
		_ = os.Remove(s.path())
		_ = os.Symlink(to, s.path())
	},
	"link to itself moved": func(s *subject) {
		to := s.away()
		_ = os.Rename(s.path(), to)
		_ = os.Symlink(to, s.path())
	},
	"link to nothing": func(s *subject) { _ = os.Remove(s.path()); _ = os.Symlink(s.away(), s.path()) },
	"directory":       func(s *subject) { _ = os.Remove(s.path()); _ = os.Mkdir(s.path(), 0o700) },
	"pipe":            func(s *subject) { _ = os.Remove(s.path()); _ = syscall.Mkfifo(s.path(), 0o600) },
	"rewritten, its time set back": func(s *subject) {
		fi, err := os.Stat(s.path())
		s.writeAt(0, s.version(s.now()))
		if err == nil {
			_ = os.Chtimes(s.path(), fi.ModTime(), fi.ModTime())
		}
	},
	"touched":           func(s *subject) { _ = os.Chtimes(s.path(), time.Time{}, time.Unix(1e9+s.rnd.Int64N(1e8), 5)) },
	"other permissions": func(s *subject) { _ = os.Chmod(s.path(), 0o640) },
	"directory moved":   func(s *subject) { _ = os.Rename(s.sub(), s.away()) },
	"directory deleted": func(s *subject) { _ = os.RemoveAll(s.sub()) },
	"directory is a link": func(s *subject) {
		to := s.elsewhere()
		_ = os.Rename(s.sub(), s.away())
		_ = os.Symlink(to, s.sub())
	},
	"directory is a file": func(s *subject) { _ = os.RemoveAll(s.sub()); s.put(s.sub(), s.version(100)) },
}

func opNames() []string { return slices.Sorted(maps.Keys(fileOps)) }
