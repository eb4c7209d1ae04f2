package journal

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"agent/transfer"
)

// editions are the folders of the agents that wrote a journal of that name.
func editions(t *testing.T, name string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("testdata", "*", name+".db.gz"))
	ok(t, err)
	if len(found) == 0 {
		t.Fatalf("no journal %s", name)
	}
	for i := range found {
		found[i] = filepath.Base(filepath.Dir(found[i]))
	}
	return found
}

// unpack places a golden journal where a job's belongs.
func unpack(t *testing.T, name string) (dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".db.gz"))
	ok(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	ok(t, err)
	file, err := io.ReadAll(z)
	ok(t, err)
	return place(t, file)
}

// TestGoldenOfThisFormat: whoever changes the format keeps journals of it.
func TestGoldenOfThisFormat(t *testing.T) {
	for v := 1; v <= formatVersion; v++ {
		found := false
		for _, e := range editions(t, "unfinished") {
			found = found || strings.HasPrefix(e, fmt.Sprintf("%d-", v))
		}
		if !found {
			t.Errorf("no journals of format %d in testdata: its README says how to make them", v)
		}
	}
}

// eachGolden runs test with every journal of one name.
func eachGolden(t *testing.T, name string, test func(t *testing.T, dir string)) {
	for _, e := range editions(t, name) {
		t.Run(e, func(t *testing.T) { test(t, unpack(t, filepath.Join(e, name))) })
	}
}

// whole is an Open that finds nothing amiss.
func whole(t *testing.T, dir, name string) *DB {
	t.Helper()
	d := open(t, dir, goldenJob(name))
	if d.New() || d.Damage() != nil {
		t.Fatalf("new %v, damage %+v", d.New(), d.Damage())
	}
	if got, want := d.Job(), goldenJob(name); got.ID != want.ID || got.Direction != want.Direction || got.Dir != want.Dir || !reflect.DeepEqual(got.Sources, want.Sources) {
		t.Errorf("job %+v, want %+v", got, want)
	}
	if m, err := d.Mark(); m != goldenMark(name) || err != nil {
		t.Errorf("mark %+v, %v", m, err)
	}
	return d
}

func firstRecords(n int) []transfer.Record {
	all := make([]transfer.Record, n)
	for i := range all {
		all[i] = goldenRecord(i)
	}
	return all
}

func TestGoldenFinished(t *testing.T) {
	eachGolden(t, "finished", func(t *testing.T, dir string) {
		g, err := Look(t.Context(), dir)
		ok(t, err)
		var bytes int64
		for _, r := range firstRecords(goldenRecords) {
			bytes += r.Stat.Size
		}
		if !g.Mark.Finished || g.Files != goldenRecords || g.Bytes != bytes || len(g.Uploads) != 0 {
			t.Errorf("a look at it: %+v", g)
		}
		d := whole(t, dir, "finished")
		wantRecords(t, d, firstRecords(goldenRecords)...)
		if n := len(d.Uploads()); n != 0 {
			t.Errorf("%d open uploads", n)
		}
	})
}

// TestGoldenUnfinished goes on where another agent stopped, and what it then
// writes is there for the next one.
func TestGoldenUnfinished(t *testing.T) {
	eachGolden(t, "unfinished", func(t *testing.T, dir string) {
		g, err := Look(t.Context(), dir)
		ok(t, err)
		if len(g.Uploads) != 1 || len(g.Uploads[0].Parts) != goldenParts || g.Mark.Finished {
			t.Errorf("a look at it: %+v", g)
		}
		d := whole(t, dir, "unfinished")
		want := goldenUpload()
		wantUpload(t, d, want)
		wantRecords(t, d, firstRecords(goldenRecords/2)...)

		last := transfer.Part{Number: 3, Size: goldenSize - 2*goldenPartSize, ETag: `"e"`, CRC64: 9}
		ok(t, d.Part(want.Key, want.ID, last))
		want.Parts = append(want.Parts, last)
		ok(t, d.Begin(upload(1, 2))) // its number is none that is taken
		ok(t, d.Close())
		d = whole(t, dir, "unfinished")
		wantUpload(t, d, want)
		wantUpload(t, d, upload(1, 2))

		for i := goldenRecords / 2; i < goldenRecords; i++ {
			ok(t, d.Done(goldenRecord(i)))
		}
		ok(t, d.Done(transfer.Record{Key: want.Key, Stat: want.Stat, ETag: `"m-3"`, CRC64: 5}))
		ok(t, d.Forget(key(1)))
		ok(t, d.SetMark(transfer.Mark{All: true, Finished: true}))
		ok(t, d.Close())
		g, err = Look(t.Context(), dir)
		ok(t, err)
		if g.Files != goldenRecords+1 || len(g.Uploads) != 0 || !g.Mark.Finished {
			t.Errorf("at the end: %+v", g)
		}
	})
}

func TestGoldenDownload(t *testing.T) {
	eachGolden(t, "download", func(t *testing.T, dir string) {
		d := whole(t, dir, "download")
		wantUpload(t, d, goldenFetch())
		wantRecords(t, d, firstRecords(goldenRecords)...)
		ok(t, d.Part("large.tif", goldenFetch().ID, transfer.Part{Number: 3, Size: 12_345, CRC64: 1}))
		ok(t, d.Close())
		d = whole(t, dir, "download")
		if u, _, err := d.Upload("large.tif"); len(u.Parts) != 3 || err != nil {
			t.Errorf("%+v, %v", u, err)
		}
	})
}

// TestGoldenTakenOver: a new job takes over what an older agent's job knows.
func TestGoldenTakenOver(t *testing.T) {
	eachGolden(t, "unfinished", func(t *testing.T, dir string) {
		d := open(t, filepath.Join(filepath.Dir(dir), "b"), NewJob("upload", []string{"/moved"}, "https://s3.example", "bucket", "ws/run"))
		took, err := TakeOver(t.Context(), d, filepath.Dir(dir))
		ok(t, err)
		if took.Records != goldenRecords/2 || took.Uploads != 1 {
			t.Errorf("%+v", took)
		}
		wantUpload(t, d, goldenUpload())
		wantNoUpload(t, whole(t, dir, "unfinished"), goldenUpload().Key)
	})
}

// TestNewerIsLeftAlone: nothing that opens or looks at a journal of a later
// format believes it, or changes a byte of it or beside it.
func TestNewerIsLeftAlone(t *testing.T) {
	dir := unpack(t, "newer")
	before := bytesOf(t, dir)
	d := open(t, filepath.Join(filepath.Dir(dir), "b"), NewJob("upload", []string{"/moved"}, "https://s3.example", "bucket", "ws/run"))
	for name, try := range map[string]func() error{
		"open":        func() error { _, err := Open(t.Context(), dir, goldenJob("unfinished"), Options{}); return err },
		"another job": func() error { _, err := Open(t.Context(), dir, testJob(), Options{}); return err },
		"small check": func() error {
			_, err := Open(t.Context(), dir, goldenJob("unfinished"), Options{CheckBytes: 1})
			return err
		},
		"look":   func() error { _, err := Look(t.Context(), dir); return err },
		"job in": func() error { _, err := JobIn(t.Context(), dir); return err },
	} {
		err := try()
		var newer *NewerError
		if !errors.As(err, &newer) || newer.Dir != dir || newer.Version != formatVersion+1 || newer.Known != formatVersion {
			t.Errorf("%s takes it: %v", name, err)
			continue
		}
		if want := fmt.Sprintf("journal in %s has format %d, this agent knows up to %d: upgrade the agent", dir, formatVersion+1, formatVersion); err.Error() != want || !errors.Is(err, transfer.ErrLocal) {
			t.Errorf("%s: %q, want %q", name, err, want)
		}
	}
	if took, err := TakeOver(context.Background(), d, filepath.Dir(dir)); err != nil || took.Records+took.Uploads != 0 {
		t.Errorf("taken over: %+v, %v", took, err)
	}
	if !bytes.Equal(bytesOf(t, dir), before) {
		t.Error("its bytes were changed")
	}
	entries, err := os.ReadDir(dir)
	ok(t, err)
	if len(entries) != 1 {
		t.Errorf("something is beside it: %v", entries)
	}
}
