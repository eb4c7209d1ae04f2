package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
)

// zarrKeys are two stores, of format 2 and 3, with a group in each, a store that
// lies in a source of its own name, and files around.
var zarrKeys = []string{
	"p/a", "p/s.zarr/!first", "p/s.zarr/.zattrs", "p/s.zarr/.zgroup", "p/s.zarr/.zmetadata", "p/s.zarr/g/.zgroup", "p/s.zarr/g/x/.zarray",
	"p/s.zarr/g/x/0.0", "p/s.zarr/g/x/0.1", "p/s.zarr/y/.zarray", "p/s.zarr/y/0",
	"p/t.zarr/c/0", "p/t.zarr/zarr.json", "p/t.zarr/x/c/0/0", "p/t.zarr/x/zarr.json", "p/z",
}

func zarrFetching(t *testing.T) *fetching {
	f := newFetching(t)
	for _, key := range zarrKeys {
		f.store.Set(key, []byte(key))
	}
	return f
}

// below checks that all of a store that is no metadata was fetched before any
// that is, in each of its directories.
func (f *fetching) metaIsLast(t *testing.T) {
	t.Helper()
	for i, key := range f.order {
		dir := key[:strings.LastIndexByte(key, '/')+1]
		if !isMeta(key) {
			continue
		}
		for _, late := range f.order[i+1:] {
			if strings.HasPrefix(late, dir) && (!isMeta(late) || strings.Count(late, "/") > strings.Count(key, "/")) {
				t.Errorf("%s came after %s", late, key)
			}
		}
	}
}

func TestDownloadZarrMetadataComesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := zarrFetching(t)
		f.store.Fail = slowChunks("Get")
		for _, sources := range [][]transfer.Remote{
			{below},
			{{Key: "p/z", Keep: true}, {Key: "p/t.zarr/", Dir: true, Keep: true}, {Key: "p/s.zarr", Keep: true}, {Key: "p/a", Keep: true}},
			{{Key: "p/s.zarr"}},
		} {
			f.dir = t.TempDir()
			res, err := f.run(t, sources...)
			if err != nil || !res.Complete {
				t.Fatalf("%+v, %v, %v", res, err, f.failed)
			}
			f.metaIsLast(t)
			if last := slices.Index(f.order, "p/s.zarr/.zmetadata"); len(f.order) < 10 || last < slices.Index(f.order, "p/s.zarr/.zgroup") {
				t.Errorf("%v", f.order)
			}
		}
	})
}

// TestDownloadZarrIsHeldBack proves that each directory on the way from a chunk
// that failed to the root gets no metadata, and that others do; and that a run
// which has the chunk brings the rest.
func TestDownloadZarrIsHeldBack(t *testing.T) {
	f := zarrFetching(t)
	f.store.Fail = func(_ context.Context, op, key string) error {
		if op == "Get" && (key == "p/s.zarr/g/x/0.1" || key == "p/t.zarr/x/c/0/0") {
			return fmt.Errorf("%w: just so", transfer.ErrDenied)
		}
		return nil
	}
	res, err := f.run(t, below)
	held := []string{"p/s.zarr/.zattrs", "p/s.zarr/.zgroup", "p/s.zarr/.zmetadata", "p/s.zarr/g/.zgroup", "p/s.zarr/g/x/.zarray", "p/t.zarr/zarr.json", "p/t.zarr/x/zarr.json"}
	if err != nil || res.Failed != len(held)+2 || len(f.failed) != len(held)+2 || res.Left != 0 {
		t.Fatalf("%+v, %v, %v", res, err, f.failed)
	}
	for _, key := range held {
		if !errors.Is(f.failed[key], transfer.ErrHeldBack) {
			t.Errorf("%s: %v", key, f.failed[key])
		}
	}
	if !slices.Contains(f.order, "p/s.zarr/y/.zarray") {
		t.Error("an array that is complete got no metadata")
	}
	f.store.Fail = nil
	if res, err := f.run(t, below); err != nil || !res.Complete || len(f.order) != len(held)+2 {
		t.Errorf("%+v, %v, %v", res, err, f.order)
	}
	f.metaIsLast(t)
}

// TestDownloadZarrWaits proves that metadata wait for what is left to later.
func TestDownloadZarrWaits(t *testing.T) {
	f := zarrFetching(t)
	f.taken.Later = func(at time.Time) string {
		if at.Year() > 3000 {
			return "young"
		}
		return ""
	}
	f.store.Touch("p/t.zarr/c/0", time.Date(3001, 1, 1, 0, 0, 0, 0, time.UTC))
	res, err := f.run(t, below)
	if err != nil || !res.Complete || res.Waiting != 1 || f.ignored["p/t.zarr/c/0"] != "young" || !strings.Contains(f.ignored["p/t.zarr/zarr.json"], "left to a later run") {
		t.Fatalf("%+v, %v, %v", res, err, f.ignored)
	}
	if slices.Contains(f.order, "p/t.zarr/zarr.json") || !slices.Contains(f.order, "p/t.zarr/x/zarr.json") {
		t.Errorf("%v", f.order)
	}
}

// TestDownloadZarrLeft proves that metadata of a plan that broke off stay
// away.
func TestDownloadZarrLeft(t *testing.T) {
	f := zarrFetching(t)
	f.store.Fail = func(_ context.Context, op, key string) error {
		if op == "Get" && key == "p/s.zarr/y/0" {
			return fmt.Errorf("%w: just so", transfer.ErrUnreachable)
		}
		return nil
	}
	res, err := f.run(t, below)
	if !errors.Is(err, transfer.ErrUnreachable) || res.Left == 0 || res.Complete {
		t.Fatalf("%+v, %v, %v", res, err, f.failed)
	}
	if slices.Contains(f.order, "p/s.zarr/.zmetadata") || slices.Contains(f.order, "p/s.zarr/y/.zarray") {
		t.Errorf("%v", f.order)
	}
}
