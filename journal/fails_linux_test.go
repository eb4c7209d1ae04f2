package journal

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"agent/transfer"
)

// TestNewerFile: a file of a database that is yet to come is refused and left
// alone, like a newer format in it, and not taken for a damaged one.
func TestNewerFile(t *testing.T) {
	dir := unpack(t, filepath.Join("1-c4c47bb", "unfinished"))
	file := bytesOf(t, dir)
	for _, at := range []int{pageHeader, int(native.Uint32(file[pageHeader+8:])) + pageHeader} {
		m := file[at : at+metaSize]
		native.PutUint32(m[4:], boltVersion+1)
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8])
		native.PutUint64(m[metaSize-8:], sum.Sum64())
	}
	ok(t, os.WriteFile(filepath.Join(dir, fileName), file, 0o600))
	_, openErr := Open(t.Context(), dir, goldenJob("unfinished"), Options{})
	_, lookErr := Look(t.Context(), dir)
	for name, err := range map[string]error{"open": openErr, "look": lookErr} {
		var newer *NewerError
		if !errors.As(err, &newer) || newer.Version != boltVersion+1 || newer.Dir != dir {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !bytes.Equal(bytesOf(t, dir), file) {
		t.Error("its bytes were changed")
	}
}

// TestRescueWithoutRoom: where there is no room to rescue a damaged journal, it stays
// the journal, byte for byte, and is rescued once there is.
func TestRescueWithoutRoom(t *testing.T) {
	file := sample(t)
	file = file[:len(file)-1]
	at := mountTmpfs(t, "20m")
	dir := filepath.Join(at, "a")
	ok(t, os.Mkdir(dir, 0o700))
	ok(t, os.WriteFile(filepath.Join(dir, fileName), file, 0o600))
	filler := filepath.Join(at, "filler")
	fill(t, filler)
	_, err := Open(t.Context(), dir, testJob(), Options{})
	if !errors.Is(err, ErrUnusable) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("without room: %v", err)
	}
	onlyThe(t, dir, file)
	ok(t, os.Remove(filler))
	if found, dmg := survives(t, dir, Options{}); found == 0 || dmg == nil || dmg.Kept == 0 {
		t.Errorf("with room: %d records, %+v", found, dmg)
	}
}

// fill makes a file that takes all the room of its disk.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	ok(t, err)
	for size := 1 << 20; size > 0; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	ok(t, f.Close())
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// TestRescueInTheWay: what keeps a rescue from beginning does no harm, either.
func TestRescueInTheWay(t *testing.T) {
	file := sample(t)
	file = file[:len(file)-1]
	dir := place(t, file)
	inTheWay := filepath.Join(dir, newName, "x")
	ok(t, os.MkdirAll(inTheWay, 0o700))
	if _, err := Open(t.Context(), dir, testJob(), Options{}); !errors.Is(err, ErrUnusable) || !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("a folder in the way: %v", err)
	}
	ok(t, os.RemoveAll(filepath.Join(dir, newName)))
	onlyThe(t, dir, file)
}

// onlyThe checks that dir has the journal, as it was, and nothing else.
func onlyThe(t *testing.T, dir string, file []byte) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || !bytes.Equal(bytesOf(t, dir), file) {
		t.Errorf("%v, %v: the journal alone should be there, as it was", entries, err)
	}
}

// TestTakeOverThatFails: an upload stays where it is known as long as it is not
// durable elsewhere.
func TestTakeOverThatFails(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, d *DB) context.Context{
		"the new journal is closed": func(t *testing.T, d *DB) context.Context {
			ok(t, d.Close())
			return t.Context()
		},
		"it was stopped": func(t *testing.T, _ *DB) context.Context {
			ctx, stop := context.WithCancel(t.Context())
			stop()
			return ctx
		},
		"there is no room for the new journal": func(t *testing.T, d *DB) context.Context {
			fill(t, filepath.Join(filepath.Dir(d.dir), "filler"))
			return t.Context()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := unpack(t, filepath.Join("1-c4c47bb", "unfinished"))
			before := bytesOf(t, dir)
			to := filepath.Dir(dir)
			if strings.Contains(name, "room") {
				to = mountTmpfs(t, "1m")
			}
			d := open(t, filepath.Join(to, "b"), NewJob("upload", []string{"/moved"}, "https://s3.example", "bucket", "ws/run"))
			ctx := fail(t, d)
			took, err := TakeOver(ctx, d, filepath.Dir(dir))
			if !errors.Is(err, transfer.ErrLocal) && !errors.Is(err, context.Canceled) {
				t.Errorf("%+v, %v", took, err)
			}
			if !bytes.Equal(bytesOf(t, dir), before) {
				t.Error("the other journal was written to")
			}
			wantUpload(t, whole(t, dir, "unfinished"), goldenUpload())
		})
	}
}
