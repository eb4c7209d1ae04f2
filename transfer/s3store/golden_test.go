package s3store

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"agent/journal"
	"agent/transfer"
)

// TestGoldenResume finishes uploads that agents of other days began: of three parts
// the one that is missing is sent, also where the file looks touched since.
func TestGoldenResume(t *testing.T) {
	found, err := filepath.Glob("../../journal/testdata/*/unfinished.db.gz")
	if err != nil || len(found) < 2 {
		t.Fatal(found, err)
	}
	for _, path := range found {
		for name, mtime := range map[string]int64{"as it was": 1700000002e9, "touched": 1800000000e9} {
			t.Run(filepath.Base(filepath.Dir(path))+"/"+name, func(t *testing.T) { resumeGolden(t, path, mtime) })
		}
	}
}

func resumeGolden(t *testing.T, path string, mtime int64) {
	const key, part, size = "ws/run/large.tif", 5 << 20, 10<<20 + 12_345
	body := make([]byte, size) // as journal/golden_data_test.go has it
	for i := range body {
		body[i] = byte(i) + byte(i>>8)*7 + byte(i>>16)*31
	}
	r := newRig(nil)
	r.s3.objects = map[string][]byte{}
	r.s3.uploads = map[string]map[string][]byte{"upload-golden": {"1": body[:part], "2": body[part : 2*part]}}

	dir := t.TempDir()
	unpackTo(t, path, filepath.Join(dir, "journal.db"))
	job := journal.NewJob("upload", []string{"/data/unfinished"}, "https://s3.example", "bucket", "ws/run")
	j, err := journal.Open(t.Context(), dir, job, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	if j.New() || j.Damage() != nil {
		t.Fatalf("new %v, damage %+v", j.New(), j.Damage())
	}
	in := r.in(key, body, j)
	in.Item.Stat = transfer.Stat{Size: size, MTime: mtime, CTime: 1700000003e9, Inode: 7}
	if _, err := r.Put(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.s3.object(key), body) {
		t.Error("other bytes are stored")
	}
	if n, again := r.s3.count("UploadPart"), r.s3.count("CreateMultipartUpload"); n != 1 || again != 0 {
		t.Errorf("%d parts were sent and %d uploads begun, want 1 and 0", n, again)
	}
	if _, saved := r.told(transfer.Saved); saved != 2*part {
		t.Errorf("%d bytes were there, want %d", saved, 2*part)
	}
}

func unpackTo(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
