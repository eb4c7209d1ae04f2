package transfer_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// inspected is a store in memory that says of objects what a test wants.
type inspected struct {
	*storetest.Memory
	says map[string]func(*transfer.Stored)
	gets atomic.Int32
}

func (s *inspected) Inspect(ctx context.Context, key string) (transfer.Stored, error) {
	obj, err := s.Stat(ctx, key)
	st := transfer.Stored{Object: obj}
	if obj.HasCRC64 {
		st.Sums = []transfer.StoredSum{{Algorithm: "crc64nvme", Value: checksum.Encode64(obj.CRC64)}}
	}
	if f := s.says[key]; f != nil && err == nil {
		f(&st)
	}
	return st, err
}

func (s *inspected) GetWhole(_ context.Context, key, _ string, _ int64, w io.Writer) error {
	s.gets.Add(1)
	body, _ := s.Body(key)
	_, err := w.Write(body)
	return err
}

// claims puts files into a directory, and the same bytes into a store.
func claims(t *testing.T, store *inspected, files map[string][]byte) []transfer.Claim {
	t.Helper()
	dir := t.TempDir()
	var all []transfer.Claim
	for i, name := range slices.Sorted(mapKeys(files)) {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, files[name], 0o600); err != nil {
			t.Fatal(err)
		}
		store.Set("ws/"+name, files[name])
		all = append(all, transfer.Claim{Key: "ws/" + name, Path: path, Size: int64(len(files[name]))})
	}
	return all
}

func mapKeys[V any](m map[string]V) iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func verify(t *testing.T, store transfer.VerifyStore, all []transfer.Claim, o transfer.VerifyOptions) (map[string]transfer.Finding, error) {
	t.Helper()
	got := map[string]transfer.Finding{}
	o.Prefix, o.Found = "ws/", func(f transfer.Finding) {
		if _, twice := got[f.Key]; twice {
			t.Errorf("%s was found twice", f.Key)
		}
		got[f.Key] = f
	}
	err := transfer.Verify(t.Context(), slices.Values(all), store, o)
	return got, err
}

func want(t *testing.T, got map[string]transfer.Finding, verdicts map[string]transfer.Verdict) {
	t.Helper()
	for key, v := range verdicts {
		if got["ws/"+key].Verdict != v {
			t.Errorf("%s: %v (%+v), want %v", key, got["ws/"+key].Verdict, got["ws/"+key], v)
		}
	}
	if len(got) != len(verdicts) {
		t.Errorf("%d findings, want %d", len(got), len(verdicts))
	}
}

// TestVerifyMany proves that one flipped byte, one missing, one extra and one
// truncated object are found among 10,000, and nothing else.
func TestVerifyMany(t *testing.T) {
	for name, denied := range map[string]bool{"listed": false, "listing denied": true} {
		t.Run(name, func(t *testing.T) {
			store := &inspected{Memory: &storetest.Memory{}}
			files := map[string][]byte{}
			verdicts := map[string]transfer.Verdict{}
			for i := range 10_000 {
				name := fmt.Sprintf("%d/%05d", i%7, i)
				files[name] = []byte(name)
				verdicts[name] = transfer.Same
			}
			all := claims(t, store, files)
			store.Set("ws/1/00001", []byte("1/00000"))
			store.Set("ws/2/00002", []byte("2/0000"))
			store.Delete("ws/3/00003")
			verdicts["1/00001"], verdicts["2/00002"], verdicts["3/00003"] = transfer.OtherContent, transfer.OtherSize, transfer.Missing
			store.Set("ws/4/extra", nil)
			if denied {
				store.Fail = func(_ context.Context, op, _ string) error {
					if op == "List" {
						return transfer.ErrDenied
					}
					return nil
				}
			} else {
				verdicts["4/extra"] = transfer.Extra
			}
			got, err := verify(t, store, all, transfer.VerifyOptions{Download: true})
			if err != nil {
				t.Fatal(err)
			}
			want(t, got, verdicts)
			if store.gets.Load() > 0 {
				t.Errorf("%d objects were fetched", store.gets.Load())
			}
		})
	}
}

// etagOf is the ETag of an object stored in parts.
func etagOf(b []byte, part int) string {
	var sums []byte
	n := 0
	for p := range slices.Chunk(b, part) {
		s := md5.Sum(p)
		sums = append(sums, s[:]...)
		n++
	}
	return fmt.Sprintf(`"%x-%d"`, md5.Sum(sums), n)
}

func sumOf(b []byte, part int) (string, int) {
	var sums []byte
	n := 0
	for p := range slices.Chunk(b, part) {
		s := sha256.Sum256(p)
		sums = append(sums, s[:]...)
		n++
	}
	s := sha256.Sum256(sums)
	return base64.StdEncoding.EncodeToString(s[:]), n
}

// TestVerifyWays proves which of what a store may keep tells of the bytes.
func TestVerifyWays(t *testing.T) {
	body := make([]byte, 11<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(body)
	flipped := bytes.Clone(body)
	flipped[len(flipped)-1]++
	big, n8 := sumOf(body, 8<<20)
	crc := crc32.ChecksumIEEE(body)
	none := func(st *transfer.Stored) { st.Sums = nil; st.ETag = `"opaque"` }
	for name, c := range map[string]struct {
		says         func(*transfer.Stored)
		plain        transfer.Verdict // of the right file
		other        transfer.Verdict // of one with a flipped byte
		withDownload bool             // it is needed
	}{
		"crc64nvme": {func(*transfer.Stored) {}, transfer.Same, transfer.OtherContent, false},
		"md5 etag":  {func(st *transfer.Stored) { st.Sums = nil }, transfer.Same, transfer.OtherContent, false},
		"crc32": {func(st *transfer.Stored) {
			none(st)
			st.Sums = []transfer.StoredSum{{Algorithm: "crc32", Value: base64.StdEncoding.EncodeToString([]byte{byte(crc >> 24), byte(crc >> 16), byte(crc >> 8), byte(crc)})}}
		}, transfer.Same, transfer.OtherContent, false},
		"sha256 by parts, size guessed": {func(st *transfer.Stored) {
			none(st)
			st.Sums = []transfer.StoredSum{{Algorithm: "sha256", Value: big, Parts: n8}}
		}, transfer.Same, transfer.Unverifiable, true},
		"sha256 by parts, size told": {func(st *transfer.Stored) {
			none(st)
			st.Sums, st.PartSize = []transfer.StoredSum{{Algorithm: "sha256", Value: big, Parts: n8}}, 8<<20
		}, transfer.Same, transfer.OtherContent, false},
		"md5 by parts, size guessed": {func(st *transfer.Stored) { st.Sums, st.ETag, st.Parts = nil, etagOf(body, 5<<20), 3 }, transfer.Same, transfer.Unverifiable, true},
		"md5 by parts, size told": {func(st *transfer.Stored) {
			st.Sums, st.ETag, st.Parts, st.PartSize = nil, etagOf(body, 4_000_000), 3, 4_000_000
		}, transfer.Same, transfer.OtherContent, false},
		"md5 by odd parts": {func(st *transfer.Stored) { st.Sums, st.ETag, st.Parts = nil, etagOf(body, 4_000_000), 3 }, transfer.Unverifiable, transfer.Unverifiable, true},
		"md5 in one part":  {func(st *transfer.Stored) { st.Sums, st.ETag, st.Parts = nil, etagOf(body, 20<<20), 1 }, transfer.Same, transfer.OtherContent, false},
		"encrypted":        {func(st *transfer.Stored) { st.Sums, st.Opaque = nil, true }, transfer.Unverifiable, transfer.Unverifiable, true},
		"nothing":          {none, transfer.Unverifiable, transfer.Unverifiable, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := &inspected{Memory: &storetest.Memory{}, says: map[string]func(*transfer.Stored){"ws/right": c.says, "ws/wrong": c.says}}
			all := claims(t, store, map[string][]byte{"right": body, "wrong": flipped})
			store.Set("ws/wrong", body)
			got, err := verify(t, store, all, transfer.VerifyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want(t, got, map[string]transfer.Verdict{"right": c.plain, "wrong": c.other})
			if store.gets.Load() > 0 {
				t.Errorf("%d objects were fetched", store.gets.Load())
			}
			if got, err = verify(t, store, all, transfer.VerifyOptions{Download: true, Reading: 1}); err != nil {
				t.Fatal(err)
			}
			want(t, got, map[string]transfer.Verdict{"right": transfer.Same, "wrong": transfer.OtherContent})
			if (store.gets.Load() > 0) != c.withDownload {
				t.Errorf("%d objects were fetched", store.gets.Load())
			}
		})
	}
}

// TestVerifyRecords proves how records are compared without the files.
func TestVerifyRecords(t *testing.T) {
	store := &inspected{Memory: &storetest.Memory{}, says: map[string]func(*transfer.Stored){
		"ws/etag":  func(st *transfer.Stored) { st.Sums = nil },
		"ws/other": func(st *transfer.Stored) { st.Sums = nil },
		"ws/parts": func(st *transfer.Stored) { st.Sums, st.ETag, st.Parts = nil, `"e-2"`, 2 },
	}}
	var all []transfer.Claim
	for _, name := range []string{"crc", "etag", "other", "parts", "wrong"} {
		obj := store.Set("ws/"+name, []byte(name))
		all = append(all, transfer.Claim{Key: obj.Key, Size: obj.Size, CRC64: obj.CRC64, HasCRC64: true, ETag: obj.ETag})
	}
	store.Set("ws/other", []byte("rehto"))
	store.Set("ws/wrong", []byte("gnorw"))
	verdicts := map[string]transfer.Verdict{"crc": transfer.Same, "etag": transfer.Same, "other": transfer.OtherContent, "parts": transfer.Unverifiable, "wrong": transfer.OtherContent}
	got, err := verify(t, store, all, transfer.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, verdicts)
	verdicts["parts"] = transfer.Same
	if got, err = verify(t, store, all, transfer.VerifyOptions{Download: true}); err != nil {
		t.Fatal(err)
	}
	want(t, got, verdicts)
}

// failing is a file that is as it was until its last byte is read.
type failing struct {
	transfer.File
	err error
}

func (f failing) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	if n == len(b) {
		n, err = n-1, f.err
	}
	return n, err
}

// TestVerifyOfAFileThatFails proves that a file which can't be read to its end, or became
// shorter meanwhile, is the same as nothing, in whichever way it is compared.
func TestVerifyOfAFileThatFails(t *testing.T) {
	for name, fault := range map[string]error{"its disk fails": syscall.EIO, "it became shorter": io.EOF} {
		store := &inspected{Memory: &storetest.Memory{}, says: map[string]func(*transfer.Stored){
			"ws/opaque": func(st *transfer.Stored) { st.Sums, st.Opaque = nil, true },
		}}
		all := claims(t, store, map[string][]byte{"opaque": []byte("body"), "plain": []byte("body")})
		found := map[string]transfer.Finding{}
		err := transfer.Verify(t.Context(), slices.Values(all), store, transfer.VerifyOptions{
			Download: true, Found: func(f transfer.Finding) { found[f.Key] = f },
			Open: func(path string) (transfer.File, error) {
				f, err := transfer.OpenStraight(nil)(path)
				return failing{f, fault}, err
			},
		})
		if err != nil || len(found) != 2 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		for key, f := range found {
			if f.Verdict != transfer.Undecided || f.Err == nil {
				t.Errorf("%s, %s: %v, %v", name, key, f.Verdict, f.Err)
			}
		}
	}
}

// TestVerifyBlind proves that objects below a directory that can't be read are
// not taken for extra ones, and that the rest is looked at.
func TestVerifyBlind(t *testing.T) {
	store := &inspected{Memory: &storetest.Memory{}}
	all := claims(t, store, map[string][]byte{"a": []byte("a"), "z": []byte("z")})
	store.Set("ws/dark/x", nil)
	store.Set("ws/light", nil)
	all = slices.Insert(all, 1, transfer.Claim{Key: "ws/dark/", Path: "/dark", Err: os.ErrPermission})
	got, err := verify(t, store, all, transfer.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, map[string]transfer.Verdict{"a": transfer.Same, "z": transfer.Same, "dark/": transfer.Undecided, "light": transfer.Extra})
}

// mangling is a store whose listing can't tell control characters.
type mangling struct{ *inspected }

func (m mangling) List(ctx context.Context, prefix, after string) iter.Seq2[transfer.Object, error] {
	return func(yield func(transfer.Object, error) bool) {
		for obj, err := range m.inspected.List(ctx, prefix, after) {
			obj.Key = strings.ReplaceAll(obj.Key, "\a", "\uFFFD")
			if !yield(obj, err) {
				return
			}
		}
	}
}

func TestVerifyMangled(t *testing.T) {
	store := mangling{&inspected{Memory: &storetest.Memory{}}}
	all := claims(t, store.inspected, map[string][]byte{"a\a": []byte("a"), "b": []byte("b"), "c\a": []byte("c")})
	got, err := verify(t, store, all, transfer.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, map[string]transfer.Verdict{"a\a": transfer.Same, "b": transfer.Same, "c\a": transfer.Same})
	store.Delete("ws/c\a")
	if got, err = verify(t, store, all, transfer.VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	want(t, got, map[string]transfer.Verdict{"a\a": transfer.Same, "b": transfer.Same, "c\a": transfer.Missing})
}

// TestVerifyEnds proves that what ends the work for all comes out, and that a
// store where nothing may be looked at is no store full of differences.
func TestVerifyEnds(t *testing.T) {
	store := &inspected{Memory: &storetest.Memory{}}
	files := map[string][]byte{}
	for i := range 500 {
		files[fmt.Sprint(i)] = []byte("x")
	}
	all := claims(t, store, files)
	for _, sentinel := range []error{transfer.ErrUnreachable, transfer.ErrDenied} {
		store.Fail = func(_ context.Context, op, key string) error {
			if op == "List" && errors.Is(sentinel, transfer.ErrUnreachable) {
				return nil
			}
			return sentinel
		}
		if got, err := verify(t, store, all, transfer.VerifyOptions{}); !errors.Is(err, sentinel) || len(got) > 0 {
			t.Errorf("%d findings, then %v, want %v", len(got), err, sentinel)
		}
	}
	store.Fail = nil
	stop := make(chan struct{})
	close(stop)
	if _, err := verify(t, store, all, transfer.VerifyOptions{Stop: stop}); !errors.Is(err, transfer.ErrStopped) {
		t.Errorf("stopped: %v", err)
	}
}
