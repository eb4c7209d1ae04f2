package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"unicode/utf8"

	"agent/transfer"
)

// small is the file of a journal that has something of everything, on few pages.
func small(f *testing.F) []byte {
	dir := jobDir(f)
	d := open(f, dir, testJob())
	for i := range 120 {
		ok(f, d.Done(rec(i)))
		if i%40 == 0 {
			flush(f, d)
		}
	}
	for i := range 2 {
		ok(f, d.Begin(upload(90_000+i, 5)))
	}
	ok(f, d.SetMark(transfer.Mark{All: true}))
	ok(f, d.Close())
	b, err := os.ReadFile(filepath.Join(dir, fileName))
	ok(f, err)
	s, err := readTree(bytes.NewReader(b), int64(len(b)))
	ok(f, err)
	return b[:s.high*uint64(s.pageSize)]
}

// damage makes another file of one: each five bytes of edits are a position and
// what is written there, cut is where it ends. With believed, the meta pages get
// the sums that make them believed: else hardly a change of them is ever read.
func damage(file, edits []byte, cut uint32, believed bool) []byte {
	bad := bytes.Clone(file)
	for len(edits) >= 5 {
		at := int(binary.LittleEndian.Uint32(edits) % uint32(len(bad)))
		bad[at] = edits[4]
		edits = edits[5:]
	}
	for pos := 0; believed && pos <= 4096 && pos+pageHeader+metaSize <= len(bad); pos += 4096 {
		m := bad[pos+pageHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8])
		native.PutUint64(m[metaSize-8:], sum.Sum64())
	}
	if int(cut) < len(bad) {
		bad = bad[:cut]
	}
	return bad
}

// newerDatabase reports whether a meta page, whose sum is right, is of a later bbolt.
func newerDatabase(file []byte) bool {
	for pos := 0; pos <= 4096 && pos+pageHeader+metaSize <= len(file); pos += 4096 {
		if m := file[pos+pageHeader:]; native.Uint32(m) == boltMagic && native.Uint32(m[4:]) > boltVersion {
			return true
		}
	}
	return false
}

func edit(at uint32, b byte) []byte { return append(binary.LittleEndian.AppendUint32(nil, at), b) }

// seeds are edits of places that matter: the fields of both meta pages, and of
// the headers and first elements of the pages behind them.
func seeds(f *testing.F, file []byte) {
	whole := uint32(len(file))
	f.Add([]byte(nil), whole, false)
	for _, cut := range []uint32{0, 1, 4096, 8192, 12288, whole - 1} {
		f.Add([]byte(nil), cut, false)
	}
	for _, at := range []uint32{0, 24, 32, 40, 48, 56} { // magic, page size, root, free list, high water, transaction
		for _, b := range []byte{0, 0xff} {
			f.Add(slices.Concat(edit(16+at, b), edit(4096+16+at, b)), whole, true)
		}
	}
	for page := uint32(2); page < min(10, whole/4096); page++ {
		for _, at := range []uint32{8, 10, 12, 20, 24, 28} { // kind, count, overflow; where the first pair lies and how long it is
			f.Add(edit(page*4096+at, 0xff), whole, true)
		}
	}
}

// FuzzOpen: a journal whatever happened to its bytes is looked at, opened, used
// and, where need be, rescued: without a panic, and every record that comes out
// is one that went in.
func FuzzOpen(f *testing.F) {
	file := small(f)
	seeds(f, file)
	f.Fuzz(func(t *testing.T, edits []byte, cut uint32, believed bool) {
		if len(edits) > 200 {
			t.Skip("as good as another file: FuzzPages has those")
		}
		dir := place(t, damage(file, edits, cut, believed))
		looks(t, dir)
		if bad := bytesOf(t, dir); believed && newerDatabase(bad) {
			if _, err := Open(t.Context(), dir, testJob(), Options{}); !errors.Is(err, ErrNewer) || !bytes.Equal(bytesOf(t, dir), bad) {
				t.Errorf("of a database with another number: %v", err)
			}
			return
		}
		survives(t, dir, Options{})
	})
}

// looks reads the journal in dir in all ways that leave it as it is.
func looks(t *testing.T, dir string) {
	t.Helper()
	before := bytesOf(t, dir)
	known := func(err error) bool {
		return errors.Is(err, ErrUnusable) || errors.Is(err, ErrNoJournal) || errors.Is(err, ErrNewer) || errors.Is(err, fs.ErrNotExist)
	}
	g, err := Look(t.Context(), dir)
	switch {
	case err != nil && !known(err):
		t.Errorf("look: %v", err)
	case err == nil && (g.Job.ID != testJob().ID || g.Files < 0 || g.Files > 120):
		t.Errorf("look: %+v", g)
	}
	for _, u := range g.Uploads {
		right(t, u)
	}
	if job, err := JobIn(t.Context(), dir); err == nil && job.ID != testJob().ID || err != nil && !known(err) {
		t.Errorf("job %+v, %v", job, err)
	}
	ups, err := OpenUploads(t.Context(), dir)
	if err != nil && !known(err) {
		t.Errorf("uploads: %v", err)
	}
	for _, u := range ups {
		var i int
		if _, err := sscanKey(u.Key, &i); err != nil || u.ID != upload(i, 0).ID {
			t.Errorf("a wrong upload: %+v", u)
		}
	}
	if !bytes.Equal(bytesOf(t, dir), before) {
		t.Error("looking has changed it")
	}
}

// right wants an upload, and parts of it, as they were written.
func right(t *testing.T, u transfer.Upload) {
	t.Helper()
	var i int
	if _, err := sscanKey(u.Key, &i); err != nil {
		t.Fatalf("a wrong upload: %+v", u)
	}
	want := upload(i, 5)
	if u.ID != want.ID || u.Stat != want.Stat || u.PartSize != want.PartSize {
		t.Errorf("a wrong upload: %+v", u)
	}
	for _, p := range u.Parts {
		if p != part(i, p.Number) {
			t.Errorf("a wrong part: %+v", p)
		}
	}
}

// FuzzPages: reading pages that anybody may have made ends, asks for no more
// memory than the file has, and tells the pairs of a bucket in order.
func FuzzPages(f *testing.F) {
	file := small(f)
	f.Add(file, true)
	f.Add(file[:len(file)/2], true)
	f.Add([]byte(nil), false)
	circle := bytes.Clone(file)
	if t, err := readTree(bytes.NewReader(file), int64(len(file))); err == nil {
		copy(circle[t.offset(t.root)+2*pageHeader:], circle[t.offset(t.root):][:pageHeader])
	}
	f.Add(circle, true)
	f.Fuzz(func(t *testing.T, data []byte, believed bool) {
		if len(data) > 1<<20 {
			t.Skip("no more to be seen in a larger one")
		}
		data = damage(data, nil, uint32(len(data)), believed)
		tr, err := readTree(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		w := tr.walker()
		n := 0
		buckets := w.buckets()
		for name, r := range buckets {
			var last []byte
			first := true
			_ = w.walk(r, func(_ uint32, key, val []byte) error {
				if n++; !first && bytes.Compare(last, key) >= 0 {
					t.Fatalf("%s: %q behind %q", name, key, last)
				}
				last, first = bytes.Clone(key), false
				if _, err := decodeRecord(key, val); err == nil && name != bucketItems {
					t.Fatal("a record in another bucket")
				}
				return nil
			})
		}
		if most := len(data) / elementSize * (1 + len(buckets)); n > most {
			t.Errorf("%d pairs in %d bytes", n, len(data))
		}
		_ = w.checkFreelist()
		_, _ = readState(w.meta(buckets))
		var held int
		for _, b := range w.bufs {
			held += cap(b)
		}
		if held > (maxDepth+1)*len(data)+maxDepth*int(tr.pageSize) {
			t.Errorf("%d bytes are held of %d", held, len(data))
		}
	})
}

// FuzzTold: what is told beside a journal is heard as it was told, and shown to
// whoever looks at the file without a terminal obeying it.
func FuzzTold(f *testing.F) {
	f.Add("a b", "\x1b[2J\u009b\x7f\u202e", []byte("{"))
	f.Add("\xff", "", []byte(`{"exit_code":"x"}`))
	f.Fuzz(func(t *testing.T, arg, text string, junk []byte) {
		dir := t.TempDir()
		c := Command{Job: Job{ID: "a", Sources: []string{arg}}, Args: []string{arg}, Destination: text}
		o := Outcome{Exit: 1, Error: text, Failures: []Failure{{Key: arg, Error: text}}}
		ok(t, WriteCommand(dir, c))
		ok(t, WriteOutcome(dir, o))
		gotC, err := ReadCommand(dir)
		ok(t, err)
		gotO, err := ReadOutcome(dir)
		ok(t, err)
		if utf8.ValidString(arg+text) && (!reflect.DeepEqual(gotC, c) || !reflect.DeepEqual(gotO, o)) {
			t.Errorf("%+v, %+v became %+v, %+v", c, o, gotC, gotO)
		}
		for _, name := range []string{commandName, outcomeName} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			ok(t, err)
			for _, r := range string(b) {
				if r != '\n' && !strconv.IsPrint(r) {
					t.Errorf("%s has %q", name, r)
				}
			}
			ok(t, os.WriteFile(filepath.Join(dir, name), junk, 0o600))
		}
		_, _ = ReadCommand(dir)
		_, _ = ReadOutcome(dir)
		ok(t, os.WriteFile(filepath.Join(dir, holderName), junk, 0o600))
		_, _ = ReadHolder(dir)
	})
}
