package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"agent/transfer"
)

const (
	sampleRecords = 1500
	sampleUploads = 4
	sampleParts   = 60
)

// sample is the file of a journal that has something of everything.
func sample(t *testing.T) []byte {
	t.Helper()
	dir := jobDir(t)
	d := open(t, dir, testJob())
	for i := range sampleRecords {
		ok(t, d.Done(rec(i)))
		if i%300 == 0 {
			flush(t, d) // so that there is a free list
		}
	}
	for i := range sampleUploads {
		ok(t, d.Begin(upload(90_000+i, sampleParts)))
	}
	ok(t, d.SetMark(transfer.Mark{All: true}))
	ok(t, d.Close())
	b := bytesOf(t, dir)
	s, err := readTree(bytes.NewReader(b), int64(len(b)))
	ok(t, err)
	return b[:s.high*uint64(s.pageSize)]
}

// place puts file where a journal belongs.
func place(t *testing.T, file []byte) string {
	t.Helper()
	dir := jobDir(t)
	ok(t, os.MkdirAll(dir, 0o700))
	ok(t, os.WriteFile(filepath.Join(dir, fileName), file, 0o600))
	return dir
}

// survives opens what is in dir and uses it: everything in it must be right or
// absent. An error is only for a fault that Open could not see, and then the
// next Open must get by it. It returns how many records there are.
func survives(t *testing.T, dir string, o Options) (found int, dmg *Damage) {
	t.Helper()
	var last error
	for range 3 {
		d, err := Open(t.Context(), dir, testJob(), o)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		found, err = use(t, d)
		dmg = d.Damage()
		if e := d.Close(); err == nil {
			err = e
		}
		if last = err; err == nil {
			return found, dmg
		}
		if !errors.Is(err, transfer.ErrLocal) || !strings.Contains(err.Error(), dir) {
			t.Fatalf("use: %v", err)
		}
	}
	t.Fatalf("every run meets the same fault: %v", last)
	return 0, nil
}

func use(t *testing.T, d *DB) (found int, err error) {
	t.Helper()
	for from := ""; ; {
		recs, err := d.Records(from, 700)
		if err != nil {
			return 0, err
		}
		if len(recs) == 0 {
			break
		}
		for _, r := range recs {
			var i int
			if _, err := sscanKey(r.Key, &i); err != nil || r != rec(i) {
				t.Fatalf("a wrong record: %+v", r)
			}
			found++
		}
		from = recs[len(recs)-1].Key + "\x00"
	}
	for i := range sampleUploads {
		u, ok, err := d.Upload(key(90_000 + i))
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		for _, p := range u.Parts {
			if p != part(90_000+i, p.Number) {
				t.Fatalf("a wrong part: %+v", p)
			}
		}
		if u.Parts = nil; u.ID != upload(90_000+i, 0).ID || u.Stat != upload(90_000+i, 0).Stat {
			t.Fatalf("a wrong upload: %+v", u)
		}
	}
	if err := d.Begin(upload(95_000, 3)); err != nil {
		return 0, err
	}
	for i := range 50 {
		if err := d.Done(rec(i * 30)); err != nil {
			return 0, err
		}
	}
	return found, d.Flush(context.Background())
}

func TestTruncated(t *testing.T) {
	file := sample(t)
	lengths := []int{0, 1, 15, 80, 1024, 4095, 4096, 4097, 8191, 8192, 12288, 16384, len(file) - 1}
	for n := 20_000; n < len(file); n += len(file) / 25 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		dir := place(t, file[:n])
		_, dmg := survives(t, dir, Options{})
		if n > 0 && (dmg == nil || dmg.SetAside == "" || !bytes.Equal(read(t, dmg.SetAside), file[:n])) {
			t.Errorf("cut to %d bytes: damage %+v", n, dmg)
		}
		if n == len(file)-1 && dmg != nil && dmg.Kept < 1000 {
			t.Errorf("cut by a byte: only %d kept", dmg.Kept)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	ok(t, err)
	return b
}

func TestFlipped(t *testing.T) {
	file := sample(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	var at []int
	for i := range 12 { // in the meta pages and the headers of the first pages
		at = append(at, i*7, 4096+i*7, 2*4096+i, 3*4096+i)
	}
	for len(at) < 110 {
		at = append(at, rnd.IntN(len(file)))
	}
	whole := 0
	for i, pos := range at {
		bad := bytes.Clone(file)
		bad[pos] ^= byte(1 << rnd.IntN(8))
		o := Options{}
		if i%3 == 0 {
			o.CheckBytes = 1 // as for a file too large to check
		}
		found, dmg := survives(t, place(t, bad), o)
		if found == sampleRecords {
			whole++
		}
		if dmg == nil && found < sampleRecords && o.CheckBytes == 0 {
			t.Errorf("byte %d: %d records and nothing reported", pos, found)
		}
	}
	t.Logf("%d of %d flips cost no record", whole, len(at))
}

// Several bytes at once, in structure rather than values.
func TestPagesOverwritten(t *testing.T) {
	file := sample(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range 30 {
		bad := bytes.Clone(file)
		page := bad[4096*(2+rnd.IntN(len(bad)/4096-2)):]
		switch i % 3 {
		case 0:
			clear(page[:4096])
		case 1:
			for k := range 48 {
				page[k] = byte(rnd.Uint32())
			}
		default:
			copy(page[:4096], bad[4096*(2+rnd.IntN(len(bad)/4096-2)):])
		}
		o := Options{}
		if i%2 == 0 {
			o.CheckBytes = 1
		}
		survives(t, place(t, bad), o)
	}
}

// A value that fails its checksum costs itself and nothing else.
func TestBadValue(t *testing.T) {
	file := sample(t)
	etag := []byte(strings.Trim(rec(77).ETag, `"`))
	i := bytes.LastIndex(file, etag)
	for ; i >= 0; i = bytes.LastIndex(file, etag) { // older pages have it, too
		file[i] ^= 1
	}
	d := open(t, place(t, file), testJob())
	got := records(t, d)
	if len(got) != sampleRecords-1 {
		t.Errorf("%d records", len(got))
	}
	records(t, d) // and is counted once
	if dmg := d.Damage(); dmg == nil || dmg.Dropped != 1 || dmg.SetAside != "" {
		t.Errorf("damage %+v", dmg)
	}
}

func TestRescueKeeps(t *testing.T) {
	file := sample(t)
	s, err := readTree(bytes.NewReader(file), int64(len(file)))
	ok(t, err)
	clear(file[s.freelist*4096 : s.freelist*4096+16]) // nothing that is ours
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	dir := place(t, file)
	later := testJob()
	later.Started = at
	for range 2 {
		d, err := Open(t.Context(), dir, later, Options{Now: func() time.Time { return at }})
		ok(t, err)
		if s := d.Job().Started; !s.After(at) {
			t.Errorf("the job began %v, as if it were new", s)
		}
		dmg := d.Damage()
		if dmg == nil || dmg.Kept != sampleRecords+sampleUploads || dmg.Err == nil ||
			!strings.HasPrefix(dmg.SetAside, filepath.Join(dir, "journal.db.damaged-20260102T030405Z")) {
			t.Fatalf("damage %+v", dmg)
		}
		for i := range sampleUploads {
			wantUpload(t, d, upload(90_000+i, sampleParts))
		}
		if m, _ := d.Mark(); m != (transfer.Mark{}) {
			t.Errorf("mark %+v is trusted after damage", m)
		}
		ok(t, d.Close())
		ok(t, os.WriteFile(filepath.Join(dir, fileName), file, 0o600)) // again: another name
	}
	aside, err := filepath.Glob(filepath.Join(dir, damagedName+"*"))
	if err != nil || len(aside) != 2 {
		t.Errorf("set aside: %v, %v", aside, err)
	}
}

// Where it is lost when the job began, anything that is stored may be of a run whose
// records are lost, too: it began before all of it.
func TestRescueWithoutTheJob(t *testing.T) {
	file := sample(t)
	for from, text := 0, []byte(`"started":"`); ; {
		i := bytes.Index(file[from:], text)
		if i < 0 {
			break
		}
		from += i + len(text)
		file[from] ^= 1
	}
	d, err := Open(t.Context(), place(t, file), testJob(), Options{})
	ok(t, err)
	if s := d.Job().Started; d.Damage() == nil || !s.Equal(time.Unix(0, 0)) {
		t.Errorf("the job began %v, damage %v", s, d.Damage())
	}
	ok(t, d.Close())
}

// Somebody cuts the file short under a running agent.
func TestTruncatedUnderneath(t *testing.T) {
	if !renamesOpen {
		t.Skip("a mapped file cannot be cut short here")
	}
	dir := place(t, sample(t))
	d := open(t, dir, testJob())
	ok(t, os.Truncate(filepath.Join(dir, fileName), 8192))
	_, err := use(t, d)
	if !errors.Is(err, transfer.ErrLocal) {
		t.Fatalf("use: %v", err)
	}
	if err := d.Close(); !errors.Is(err, transfer.ErrLocal) {
		t.Errorf("close: %v", err)
	}
	survives(t, dir, Options{})
}

func TestNewer(t *testing.T) {
	dir := jobDir(t)
	ok(t, open(t, dir, testJob()).Close())
	db, err := bbolt.Open(filepath.Join(dir, fileName), 0o600, nil)
	ok(t, err)
	ok(t, db.Update(func(tx *bbolt.Tx) error {
		// A newer one may have no bucket of ours but meta.
		for _, name := range []string{bucketItems, bucketUploads, bucketParts} {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyFormat), encodeFormat(formatVersion+1))
	}))
	ok(t, db.Close())
	before := bytesOf(t, dir)
	_, err = Open(t.Context(), dir, testJob(), Options{})
	var newer *NewerError
	if !errors.Is(err, ErrNewer) || !errors.As(err, &newer) || newer.Version != formatVersion+1 || newer.Dir != dir {
		t.Fatal(err)
	}
	if !strings.Contains(err.Error(), "upgrade") {
		t.Error(err)
	}
	if !bytes.Equal(before, bytesOf(t, dir)) {
		t.Error("the newer journal was written")
	}
}

// A crash between bbolt's first pages and our buckets is a new journal.
func TestBareFile(t *testing.T) {
	dir := jobDir(t)
	ok(t, os.MkdirAll(dir, 0o700))
	db, err := bbolt.Open(filepath.Join(dir, fileName), 0o600, nil)
	ok(t, err)
	ok(t, db.Close())
	if d := open(t, dir, testJob()); !d.New() || d.Damage() != nil {
		t.Errorf("new %v, damage %+v", d.New(), d.Damage())
	}
}

// A meta page that bbolt would believe, with a tree that leads in a circle.
func TestCircle(t *testing.T) {
	file := sample(t)
	s, err := readTree(bytes.NewReader(file), int64(len(file)))
	ok(t, err)
	root := file[s.root*4096:]
	n := int(binary.NativeEndian.Uint16(root[10:]))
	for i := range n {
		head, k, v, good := element(root[:4096], i, true)
		if good && string(k) == bucketItems && head[0] == bucketFlag {
			binary.NativeEndian.PutUint64(v, s.root)
		}
	}
	survives(t, place(t, file), Options{})
}
