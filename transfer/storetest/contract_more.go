package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"agent/transfer"
	"agent/transfer/checksum"
)

// A store that is a transfer.Origin or a transfer.Deleter too keeps the
// contracts of these.

// taken collects the ranges of a Get.
type taken struct {
	mu sync.Mutex
	b  []byte
}

func (w *taken) WriteAt(b []byte, off int64) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if need := int(off) + len(b); need > len(w.b) {
		w.b = append(w.b, make([]byte, need-len(w.b))...)
	}
	return copy(w.b[off:], b), nil
}

// fetch gets a range of an object.
func fetch(ctx context.Context, o transfer.Origin, key, etag string, off, size int64, whole bool) ([]byte, transfer.GetOutput, error) {
	var to taken
	out, err := o.Get(ctx, transfer.GetInput{
		Key: key, ETag: etag, Off: off, Size: size, Whole: whole, Body: &to, Event: func(transfer.Event) {},
	})
	if int64(len(to.b)) > off {
		return to.b[off:], out, err
	}
	return nil, out, err
}

func testGet(t *testing.T, s transfer.Store, prefix string) {
	o, ok := s.(transfer.Origin)
	if !ok {
		t.Skip("it is no origin")
	}
	body := bytes.Repeat([]byte("0123456789"), 1000)
	key := prefix + "object"
	put := mustPut(t, s, key, body)
	for _, r := range []struct{ off, size int64 }{{0, 10_000}, {0, 1}, {5000, 2500}, {9999, 1}} {
		got, out, err := fetch(t.Context(), o, key, put.ETag, r.off, r.size, r.size == 10_000)
		want := body[r.off : r.off+r.size]
		if err != nil || !bytes.Equal(got, want) || out.CRC64 != checksum.Sum64(want) || out.Modified.IsZero() {
			t.Errorf("%d bytes from %d: %d bytes, %+v, %v", r.size, r.off, len(got), out, err)
		}
	}
	empty := mustPut(t, s, prefix+"empty", nil)
	if got, _, err := fetch(t.Context(), o, prefix+"empty", empty.ETag, 0, 0, true); err != nil || len(got) != 0 {
		t.Errorf("nothing: %q, %v", got, err)
	}
	mustPut(t, s, key, bytes.Repeat([]byte("9876543210"), 1000))
	var e *transfer.Error
	if _, _, err := fetch(t.Context(), o, key, put.ETag, 0, 10_000, true); !errors.Is(err, transfer.ErrReplaced) || !errors.As(err, &e) {
		t.Errorf("an object that took another's place: %v", err)
	}
	_, _, err := fetch(t.Context(), o, prefix+"missing", put.ETag, 0, 1, false)
	if !errors.Is(err, transfer.ErrNotExist) && !errors.Is(err, transfer.ErrDenied) || !errors.As(err, &e) {
		t.Errorf("an object that is not there: %v", err)
	}
}

func testDelete(t *testing.T, s transfer.Store, prefix string) {
	d, ok := s.(transfer.Deleter)
	if !ok {
		t.Skip("it is no deleter")
	}
	names := []string{"a b", "plus+plus", "per%20cent", "ünï/ç", "日本/語.tif", "q?&=;:@,$'()*!~", "#hash", `"quoted" <&>`, "tab\there", "a", "b/c"}
	var keys []string
	for _, name := range append(names, "stays") {
		mustPut(t, s, prefix+name, []byte("7 bytes"))
		keys = append(keys, prefix+name)
	}
	keys[len(keys)-1] = prefix + "is not there"
	failed, err := d.DeleteAll(t.Context(), keys)
	if err != nil || len(failed) > 0 {
		t.Errorf("delete: %v, %v", failed, err)
	}
	if got := list(t, s, prefix, ""); !slices.Equal(got, []string{prefix + "stays"}) {
		t.Errorf("left: %q", got)
	}
	if failed, err := d.DeleteAll(t.Context(), []string{prefix + "stays"}); err != nil || len(failed) > 0 {
		t.Errorf("delete one: %v, %v", failed, err)
	}
	if got := list(t, s, prefix, ""); got != nil {
		t.Errorf("left: %q", got)
	}
}

// testParts ends a Put when its first part is acknowledged, and puts again by
// the same journal: what that knows is not sent again. A store that makes no
// parts has nothing to end.
func testParts(t *testing.T, s transfer.Store, prefix string) {
	key, body := prefix+"parts", make([]byte, 26<<20+7)
	for i := range body {
		body[i] = byte(i >> 10)
	}
	j := &Journal{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in := Input(key, body, j)
	in.Event = func(e transfer.Event) {
		if e.Kind == transfer.PartDone {
			cancel()
		}
	}
	var have int64
	if _, err := s.Put(ctx, in); err != nil {
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("ended: %v", err)
		}
		up, open, err := j.Upload(key)
		if err != nil || !open || len(up.Parts) == 0 {
			t.Fatalf("the journal has %+v, %v", up, err)
		}
		for _, p := range up.Parts {
			have += p.Size
		}
	}
	out, moved, saved := counted(t, s, key, body, j)
	if moved+saved != int64(len(body)) || saved < have {
		t.Errorf("moved %d and saved %d of %d bytes, of which the journal knew %d", moved, saved, len(body), have)
	}
	wantObject(t, s, key, body, out.ETag)
	if o, ok := s.(transfer.Origin); ok {
		if got, _, err := fetch(t.Context(), o, key, out.ETag, 0, int64(len(body)), true); err != nil || !bytes.Equal(got, body) {
			t.Errorf("it holds %d other bytes, %v", len(got), err)
		}
	}
}

// counted puts, and says how many bytes that took.
func counted(t *testing.T, s transfer.Store, key string, body []byte, j transfer.Journal) (out transfer.PutOutput, moved, saved int64) {
	t.Helper()
	var mu sync.Mutex
	in := Input(key, body, j)
	in.Event = func(e transfer.Event) {
		mu.Lock()
		defer mu.Unlock()
		switch e.Kind {
		case transfer.Moved:
			moved += e.Bytes
		case transfer.Saved:
			saved += e.Bytes
		}
	}
	out, err := s.Put(t.Context(), in)
	if err == nil && out.CRC64 != checksum.Sum64(body) {
		err = fmt.Errorf("CRC64 %x, want %x", out.CRC64, checksum.Sum64(body))
	}
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	mu.Lock()
	defer mu.Unlock()
	return out, moved, saved
}
