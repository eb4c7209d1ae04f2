//go:build long && linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// TestLongWriters uploads a directory again and again while others write, append,
// truncate, replace, rename and delete in it. Each object is one version of its file
// at every time, and once they are done, what the file has.
func TestLongWriters(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	const runs, writers = 16, 3
	r := newRig(t, "-rate", "60MB").withToken()
	dir := filepath.Join(t.TempDir(), "data")
	var all []writer
	for i := range writers {
		all = append(all, newWriters(t, filepath.Join(dir, fmt.Sprintf("w%d", i)), rand.New(rand.NewPCG(seed, uint64(i))))...)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range writers {
		mine := slices.Collect(func(yield func(writer) bool) {
			for j := i; j < len(all); j += writers {
				if !yield(all[j]) {
					return
				}
			}
		})
		wg.Go(func() { writeOn(mine, rand.New(rand.NewPCG(seed, uint64(100+i))), stop) })
	}
	checked, failed := 0, 0
	for n := range runs {
		memory := []string{"64MiB", "4MiB"}[n%2] // little: what is larger than a part is read twice
		e := r.run("upload", "--part-size", "5MiB", "--parallel", "4", "--memory", memory, dir, r.dest)
		switch {
		case e.code == 1 && strings.Contains(e.err, dir):
			failed++
		case e.code != 0:
			t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
		}
		checked += r.areVersions(all, dir)
	}
	close(stop)
	wg.Wait()
	r.upload(0, "--part-size", "5MiB", dir)
	for _, w := range all {
		r.isThere(w, dir)
	}
	t.Logf("%d runs, %d of them named files that changed; %d objects looked at while their files changed", runs, failed, checked)
	if checked == 0 || failed == 0 {
		t.Error("nothing was stored, or nothing seen to change: that proves nothing")
	}
}

// writeOn changes one file after the other until it is stopped, in bursts.
func writeOn(all []writer, rnd *rand.Rand, stop <-chan struct{}) {
	for {
		w := all[rnd.IntN(len(all))]
		for range 1 + rnd.IntN(20) {
			w.write()
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rnd.Int64N(int64(20 * time.Millisecond)))):
		}
	}
}

// writer changes one file. Its versions tell by themselves which they are.
type writer interface {
	path() string
	write()
	// version says what is wrong with bytes that are to be one version; "" for nothing.
	version(b []byte) string
}

// object reads one; ok is false where there is none.
func (r *rig) object(key string) (b []byte, ok bool) {
	r.t.Helper()
	o, err := r.witness.GetObject(context.Background(), r.sb.Bucket(), r.prefix+key, minio.GetObjectOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	defer o.Close()
	b, err = io.ReadAll(o)
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil, false
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return b, true
}

func keyOf(w writer, dir string) string {
	name, _ := filepath.Rel(dir, w.path())
	return filepath.ToSlash(name)
}

func (r *rig) areVersions(all []writer, dir string) (n int) {
	for _, w := range all {
		b, ok := r.object(keyOf(w, dir))
		if !ok {
			continue
		}
		n++
		if wrong := w.version(b); wrong != "" {
			r.t.Errorf("%s is stored and is no version of its file: %s", keyOf(w, dir), wrong)
		}
	}
	return n
}

// isThere checks that what is stored is what the file has, if there is one.
func (r *rig) isThere(w writer, dir string) {
	want, err := os.ReadFile(w.path())
	if err != nil {
		return
	}
	if b, ok := r.object(keyOf(w, dir)); !ok || !bytes.Equal(b, want) {
		r.t.Errorf("%s: stored %v, %d bytes, and not the %d of the file", keyOf(w, dir), ok, len(b), len(want))
	}
}

func newWriters(t *testing.T, dir string, rnd *rand.Rand) (all []writer) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		w := &wholeWriter{file: filepath.Join(dir, fmt.Sprintf("whole%02d", i)), size: 64 + rnd.IntN(60_000), rnd: rnd}
		b := newBlockWriter(filepath.Join(dir, fmt.Sprintf("blocks%02d", i)), 64+rnd.IntN(60_000))
		w.write()
		all = append(all, w, b)
	}
	large := &wholeWriter{file: filepath.Join(dir, "large-whole"), size: 6 << 20, rnd: rnd}
	large.write()
	return append(all, large, newBlockWriter(filepath.Join(dir, "large-blocks"), 11<<20))
}

const wroteBlock = 16

// blockWriter writes one block at a time into a file that keeps its size: the n-th time
// block at(n). So the last number that is found tells what all others are to be.
type blockWriter struct {
	file string
	size int
	mu   sync.Mutex
	n    uint64
}

func newBlockWriter(path string, size int) *blockWriter {
	w := &blockWriter{file: path, size: size / wroteBlock * wroteBlock}
	_ = os.WriteFile(path, make([]byte, w.size), 0o644)
	return w
}

func (w *blockWriter) path() string { return w.file }

// at spreads the blocks over the file: 2,654,435,761 is a prime.
func (w *blockWriter) at(n uint64) int { return int(n * 2_654_435_761 % uint64(w.size/wroteBlock)) }

func (w *blockWriter) write() {
	f, err := os.OpenFile(w.file, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	w.mu.Lock()
	w.n++
	n := w.n
	w.mu.Unlock()
	var b [wroteBlock]byte
	binary.BigEndian.PutUint64(b[:], n)
	_, _ = f.WriteAt(b[:], int64(w.at(n)*wroteBlock))
}

func (w *blockWriter) version(b []byte) string {
	if len(b) != w.size {
		return fmt.Sprintf("%d bytes instead of %d", len(b), w.size)
	}
	last := uint64(0)
	for i := 0; i < len(b); i += wroteBlock {
		last = max(last, binary.BigEndian.Uint64(b[i:]))
	}
	want := map[int]uint64{}
	for n := uint64(1); n <= last; n++ {
		want[w.at(n)] = n
	}
	for i := 0; i < len(b); i += wroteBlock {
		if got := binary.BigEndian.Uint64(b[i:]); got != want[i/wroteBlock] {
			return fmt.Sprintf("block %d has write %d where write %d is there and %d was before it", i/wroteBlock, got, last, want[i/wroteBlock])
		}
	}
	return ""
}

// wholeWriter gives the file one whole version after the other, in many ways.
type wholeWriter struct {
	file string
	size int
	rnd  *rand.Rand
	n    uint64
}

func (w *wholeWriter) path() string { return w.file }

func (w *wholeWriter) next(size int) []byte {
	w.n++
	b := make([]byte, (size+wroteBlock-1)/wroteBlock*wroteBlock)
	for i := 0; i < len(b); i += wroteBlock {
		binary.BigEndian.PutUint64(b[i:], w.n)
		binary.BigEndian.PutUint64(b[i+8:], uint64(i))
	}
	return b[:size]
}

func (w *wholeWriter) write() {
	size := w.size
	if w.rnd.IntN(2) == 0 {
		size = w.size/2 + w.rnd.IntN(w.size/2)
	}
	aside := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(w.file))), filepath.Base(filepath.Dir(w.file))+filepath.Base(w.file)+".new")
	switch w.rnd.IntN(9) {
	case 0: // in its place, empty at first
		_ = os.Remove(w.file)
		_ = os.WriteFile(w.file, w.next(size), 0o644)
	case 1: // emptied and written
		if fi, err := os.Lstat(w.file); err == nil && fi.Mode().IsRegular() {
			_ = os.WriteFile(w.file, w.next(size), 0o644)
		}
	case 2, 3: // at once
		_ = os.WriteFile(aside, w.next(size), 0o644)
		_ = os.Rename(aside, w.file)
	case 4: // cut off
		if fi, err := os.Stat(w.file); err == nil {
			_ = os.Truncate(w.file, fi.Size()/2)
		}
	case 5:
		_ = os.Remove(w.file)
	case 6: // a link to another version
		_ = os.Remove(aside + ".far")
		_ = os.WriteFile(aside+".far", w.next(size), 0o644)
		_ = os.Symlink(aside+".far", aside)
		_ = os.Rename(aside, w.file)
	case 7: // renamed and back
		_ = os.Rename(w.file, aside)
		_ = os.Rename(aside, w.file)
	case 8: // its times alone
		at := time.Now().Add(-time.Duration(w.rnd.IntN(1000)) * time.Hour)
		_ = os.Chtimes(w.file, at, at)
	}
}

// version accepts the beginning of a version, too: while it is being written the file
// is just that.
func (w *wholeWriter) version(b []byte) string {
	if len(b) < wroteBlock {
		return ""
	}
	first := binary.BigEndian.Uint64(b)
	for i := 0; i+wroteBlock <= len(b); i += wroteBlock {
		if n, at := binary.BigEndian.Uint64(b[i:]), binary.BigEndian.Uint64(b[i+8:]); n != first || at != uint64(i) {
			return fmt.Sprintf("%d bytes of version %d, and at %d version %d at %d", len(b), first, i, n, at)
		}
	}
	return ""
}
