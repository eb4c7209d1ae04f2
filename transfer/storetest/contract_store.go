package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"agent/transfer"
	"agent/transfer/checksum"
)

// Workspace is the prefix of all keys that the suites use.
const Workspace = "example-workspace/"

// Input is what Put takes for body under key, with a journal of its own where
// j is nil.
func Input(key string, body []byte, j transfer.Journal) transfer.PutInput {
	if j == nil {
		j = &Journal{}
	}
	return transfer.PutInput{
		Item: transfer.Item{Key: key, Path: "/" + key, Stat: transfer.Stat{Size: int64(len(body)), MTime: 1}},
		Body: bytes.NewReader(body), Journal: j,
		Unchanged: func() error { return nil }, Event: func(transfer.Event) {},
	}
}

// TestStore checks what every transfer.Store does. All keys begin with
// Workspace; newStore may return the same store again.
func TestStore(t *testing.T, newStore func(t *testing.T) transfer.Store) {
	for name, test := range map[string]func(*testing.T, transfer.Store, string){
		"put and stat": testPut, "list": testList, "names": testNames, "missing": testMissing,
		"changed": testChanged, "short": testShort, "moved": testMoved, "ended context": testEnded,
		"parts": testParts, "get": testGet, "delete": testDelete,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, newStore(t), Workspace+path.Base(strings.ReplaceAll(t.Name(), "#", "-"))+"/")
		})
	}
}

func mustPut(t *testing.T, s transfer.Store, key string, body []byte) transfer.PutOutput {
	t.Helper()
	out, err := s.Put(t.Context(), Input(key, body, nil))
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	if out.ETag == "" || out.CRC64 != checksum.Sum64(body) {
		t.Fatalf("put %q: %+v, want CRC64 %x", key, out, checksum.Sum64(body))
	}
	return out
}

func wantObject(t *testing.T, s transfer.Store, key string, body []byte, etag string) {
	t.Helper()
	obj, err := s.Stat(t.Context(), key)
	if err != nil {
		t.Fatalf("stat %q: %v", key, err)
	}
	if obj.Key != key || obj.Size != int64(len(body)) || bare(obj.ETag) != bare(etag) || obj.Modified.IsZero() {
		t.Errorf("stat %q: %+v, want %d bytes and ETag %s", key, obj, len(body), etag)
	}
	if obj.HasCRC64 && obj.CRC64 != checksum.Sum64(body) {
		t.Errorf("stat %q: checksum %x", key, obj.CRC64)
	}
}

func bare(etag string) string { return strings.Trim(etag, `"`) }

func testPut(t *testing.T, s transfer.Store, prefix string) {
	key := prefix + "object"
	for _, body := range [][]byte{[]byte("first"), bytes.Repeat([]byte("second "), 100_000), {}} {
		out := mustPut(t, s, key, body)
		wantObject(t, s, key, body, out.ETag)
	}
}

func list(t *testing.T, s transfer.Store, prefix, after string) (keys []string) {
	t.Helper()
	for obj, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		if obj.ETag == "" || obj.Modified.IsZero() || obj.Size != 7 {
			t.Errorf("listed %+v", obj)
		}
		keys = append(keys, obj.Key)
	}
	return keys
}

func testList(t *testing.T, s transfer.Store, prefix string) {
	var want []string
	for i := range 25 {
		for _, name := range []string{"d/%02d", "d-%02d", "x%02d"} {
			key := prefix + fmt.Sprintf(name, i)
			mustPut(t, s, key, []byte("7 bytes"))
			want = append(want, key)
		}
	}
	slices.Sort(want)
	for _, at := range []int{0, 1, 30, len(want) - 1, len(want)} {
		after := ""
		if at > 0 {
			after = want[at-1]
		}
		if got := list(t, s, prefix, after); !slices.Equal(got, want[at:]) {
			t.Errorf("after %q: %d keys %v", after, len(got), got)
		}
	}
	if got := list(t, s, prefix+"x", ""); len(got) != 0 && got[0] != prefix+"x00" {
		t.Errorf("prefix x: %v", got)
	}
	if got := list(t, s, prefix+"none", ""); got != nil {
		t.Errorf("nothing there: %v", got)
	}
	for _, err := range s.List(t.Context(), prefix, "") {
		if err != nil {
			t.Error(err)
		}
		break // a listing may be left early
	}
}

func testNames(t *testing.T, s transfer.Store, prefix string) {
	names := []string{
		"a b", "plus+plus", "per%20cent", "ünï/ç", "日本/語.tif", "q?&=;:@,$'()*!~", "#hash", `back\slash`, `"quoted" <&>`, ".hidden", "tab\there",
	}
	for _, name := range names {
		out := mustPut(t, s, prefix+name, []byte(name))
		wantObject(t, s, prefix+name, []byte(name), out.ETag)
	}
	var got []string
	for obj, err := range s.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimPrefix(obj.Key, prefix))
	}
	slices.Sort(names)
	if !slices.Equal(got, names) {
		t.Errorf("listed %q, want %q", got, names)
	}
}

func testMissing(t *testing.T, s transfer.Store, prefix string) {
	_, err := s.Stat(t.Context(), prefix+"missing")
	var e *transfer.Error
	if !errors.Is(err, transfer.ErrNotExist) && !errors.Is(err, transfer.ErrDenied) || !errors.As(err, &e) || e.Key != prefix+"missing" {
		t.Errorf("a missing object: %v", err)
	}
}

func testChanged(t *testing.T, s transfer.Store, prefix string) {
	in := Input(prefix+"changed", []byte("body"), nil)
	in.Unchanged = func() error { return fmt.Errorf("%w: by the test", transfer.ErrChanged) }
	_, err := s.Put(t.Context(), in)
	var e *transfer.Error
	if !errors.Is(err, transfer.ErrChanged) || !errors.As(err, &e) {
		t.Errorf("a changed file: %v", err)
	}
	if obj, err := s.Stat(t.Context(), in.Item.Key); err == nil {
		t.Errorf("it came into being: %+v", obj)
	}
}

func testShort(t *testing.T, s transfer.Store, prefix string) {
	in := Input(prefix+"short", []byte("body"), nil)
	in.Item.Stat.Size = 100
	if _, err := s.Put(t.Context(), in); !errors.Is(err, transfer.ErrChanged) {
		t.Errorf("a file that is shorter than it was: %v", err)
	}
	if obj, err := s.Stat(t.Context(), in.Item.Key); err == nil {
		t.Errorf("it came into being: %+v", obj)
	}
}

func testMoved(t *testing.T, s transfer.Store, prefix string) {
	body := bytes.Repeat([]byte("0123456789"), 50_000)
	in := Input(prefix+"moved", body, nil)
	moved := int64(0)
	events := make(chan transfer.Event, 10_000)
	in.Event = func(e transfer.Event) { events <- e }
	if _, err := s.Put(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	close(events)
	for e := range events {
		if e.Kind == transfer.Moved {
			moved += e.Bytes
		}
	}
	if moved != int64(len(body)) {
		t.Errorf("moved %d of %d bytes", moved, len(body))
	}
}

func testEnded(t *testing.T, s transfer.Store, prefix string) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, Input(prefix+"ended", []byte("x"), nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Stat(ctx, prefix+"ended"); !errors.Is(err, context.Canceled) {
		t.Errorf("stat: %v", err)
	}
	n := 0
	for _, err := range s.List(ctx, prefix, "") {
		if n++; !errors.Is(err, context.Canceled) {
			t.Errorf("list: %v", err)
		}
	}
	if n != 1 {
		t.Errorf("a listing ends with its error: %d yields", n)
	}
	if obj, err := s.Stat(t.Context(), prefix+"ended"); err == nil {
		t.Errorf("it came into being: %+v", obj)
	}
}
