package transfer_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
)

// zarrJob has two stores, with a group within the first, and files around.
func zarrJob(t *testing.T) *job {
	return newJob(t, map[string]string{
		"a": "", "p/s.zarr/.zattrs": "", "p/s.zarr/.zgroup": "", "p/s.zarr/.zmetadata": "",
		"p/s.zarr/g/.zgroup": "", "p/s.zarr/g/x/.zarray": "", "p/s.zarr/g/x/0.0": "", "p/s.zarr/g/x/0.1": "", "p/s.zarr/y/0": "", "p/s.zarr/y/.zarray": "",
		"p/t.zarr/c/0": "", "p/t.zarr/zarr.json": "", "p/t.zarr/c/zarr.json": "", "z": "",
	})
}

// zarrEntries are its entries as a scan marks them.
func (jb *job) zarrEntries() []transfer.Entry {
	all := jb.entries()
	for i := range all {
		it := &all[i].Item
		if root, _, found := strings.Cut(it.Path, ".zarr/"); found {
			it.Zarr = root + ".zarr"
			name := it.Key[strings.LastIndexByte(it.Key, '/')+1:]
			it.Meta = strings.HasPrefix(name, ".z") || name == "zarr.json"
		}
	}
	return all
}

func isMeta(key string) bool {
	return strings.Contains(key, "/.z") || strings.HasSuffix(key, "zarr.json")
}

// before checks that no key of the first kind was stored after one of the second.
func (jb *job) before(first, second func(string) bool) {
	jb.t.Helper()
	seen := ""
	for _, key := range jb.store.Order() {
		if second(key) {
			seen = key
		} else if first(key) && seen != "" {
			jb.t.Errorf("%s came after %s", key, seen)
		}
	}
}

func in(prefix string, meta bool) func(string) bool {
	return func(key string) bool { return strings.HasPrefix(key, prefix) && isMeta(key) == meta }
}

func is(keys ...string) func(string) bool {
	return func(key string) bool { return slices.Contains(keys, key) }
}

// slowChunks makes op take its time for all but metadata, the longer the earlier
// the key.
func slowChunks(op string) func(context.Context, string, string) error {
	return func(_ context.Context, did, key string) error {
		if did == op && !isMeta(key) {
			time.Sleep(time.Hour - time.Duration(len(key))*time.Minute - time.Duration(key[len(key)-1])*time.Second)
		}
		return nil
	}
}

func TestZarrMetadataGoesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jb := zarrJob(t)
		jb.store.Fail = slowChunks("Put")
		if res, err := jb.run(jb.zarrEntries()...); err != nil || !res.Complete || len(jb.store.Keys()) != 14 {
			t.Fatalf("%+v, %v, %v", res, err, jb.store.Order())
		}
		jb.before(in("p/s.zarr/", false), in("p/s.zarr/", true))
		jb.before(in("p/t.zarr/", false), in("p/t.zarr/", true))
		jb.before(is("p/s.zarr/g/.zgroup", "p/s.zarr/g/x/.zarray", "p/s.zarr/y/.zarray"), is("p/s.zarr/.zgroup", "p/s.zarr/.zattrs", "p/s.zarr/.zmetadata"))
		jb.before(is("p/s.zarr/.zgroup", "p/s.zarr/.zattrs"), is("p/s.zarr/.zmetadata"))
		jb.before(is("p/t.zarr/c/zarr.json"), is("p/t.zarr/zarr.json"))
	})
}

// The first store's metadata does not wait for what comes behind the store.
func TestZarrStoreEndsBeforeThePlanDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jb := zarrJob(t)
		steps := func(yield func(transfer.Step) bool) {
			for s := range jb.plan(t.Context(), slices.Values(jb.zarrEntries())) {
				if s.Item.Key == "z" {
					synctest.Wait()
					if _, ok := jb.store.Body("p/s.zarr/.zmetadata"); !ok {
						t.Error("not there yet")
					}
				}
				if !yield(s) {
					return
				}
			}
		}
		if res, err := transfer.Run(t.Context(), steps, jb.store, jb.j, jb.o); err != nil || !res.Complete {
			t.Error(res, err)
		}
	})
}

// wantHeldBack runs and wants no metadata of the first store, and all of the second.
func (jb *job) wantHeldBack(entries []transfer.Entry, failed int) {
	jb.t.Helper()
	res, err := jb.run(entries...)
	if err != nil || res.Failed != failed || res.Left != 0 || res.Complete {
		jb.t.Errorf("%+v, %v; want %d failed", res, err, failed)
	}
	for _, key := range jb.store.Keys() {
		if in("p/s.zarr/", true)(key) {
			jb.t.Errorf("%s is stored", key)
		}
	}
	if _, ok := jb.store.Body("p/t.zarr/zarr.json"); !ok {
		jb.t.Error("the other store has no metadata")
	}
	held := 0
	for _, e := range jb.events {
		if e.Kind == transfer.Failed && errors.Is(e.Err, transfer.ErrHeldBack) {
			held++
		}
	}
	if held != 6 {
		jb.t.Errorf("%d files were held back", held)
	}
}

func TestZarrIsHeldBackOnFailure(t *testing.T) {
	jb := zarrJob(t)
	jb.store.Fail = func(_ context.Context, op, key string) error {
		if op == "Put" && key == "p/s.zarr/g/x/0.1" {
			return transfer.ErrDenied
		}
		return nil
	}
	jb.wantHeldBack(jb.zarrEntries(), 7)
	jb.store.Fail = nil
	if res, err := jb.run(jb.zarrEntries()...); err != nil || !res.Complete || len(jb.store.Keys()) != 14 {
		t.Errorf("and then: %+v, %v", res, err)
	}
	for _, key := range jb.store.Keys() {
		if jb.store.Puts(key) != 1 {
			t.Errorf("%s was sent %d times", key, jb.store.Puts(key))
		}
	}
}

func TestZarrIsHeldBackOnAScanError(t *testing.T) {
	jb := zarrJob(t)
	entries := jb.zarrEntries()
	at := slices.IndexFunc(entries, func(e transfer.Entry) bool { return e.Item.Key == "p/s.zarr/y/0" })
	entries[at].Err = &transfer.Error{Op: "stat", Path: entries[at].Item.Path, Err: os.ErrPermission}
	jb.wantHeldBack(entries, 7)
}

// An inner wave that fails keeps the outer ones back.
func TestZarrWavesStopAtAFailure(t *testing.T) {
	jb := zarrJob(t)
	jb.store.Fail = func(_ context.Context, op, key string) error {
		if op == "Put" && key == "p/s.zarr/g/x/.zarray" {
			return transfer.ErrDenied
		}
		return nil
	}
	res, err := jb.run(jb.zarrEntries()...)
	if err != nil || res.Failed != 4 {
		t.Errorf("%+v, %v", res, err)
	}
	for _, key := range []string{"p/s.zarr/.zgroup", "p/s.zarr/.zattrs", "p/s.zarr/.zmetadata"} {
		if _, ok := jb.store.Body(key); ok {
			t.Errorf("%s is stored", key)
		}
	}
}

func TestZarrIsHeldBackOnABrokenPlan(t *testing.T) {
	jb := zarrJob(t)
	steps := func(yield func(transfer.Step) bool) {
		for s := range jb.plan(t.Context(), slices.Values(jb.zarrEntries())) {
			if s.Item.Key == "p/s.zarr/y/0" {
				yield(transfer.Step{Entry: transfer.Entry{Err: &transfer.Error{Op: "List", Err: transfer.ErrUnreachable}}})
				return
			}
			if !yield(s) {
				return
			}
		}
	}
	res, err := transfer.Run(t.Context(), steps, jb.store, jb.j, jb.o)
	if !errors.Is(err, transfer.ErrUnreachable) || res.Left == 0 || res.Complete {
		t.Errorf("%+v, %v", res, err)
	}
	for _, key := range jb.store.Keys() {
		if isMeta(key) {
			t.Errorf("%s is stored", key)
		}
	}
	if res, err := jb.run(jb.zarrEntries()...); err != nil || !res.Complete {
		t.Errorf("and then: %+v, %v", res, err)
	}
}

func TestZarrIsHeldBackOnStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jb := zarrJob(t)
		stop := make(chan struct{})
		jb.o.Stop, jb.o.Items = stop, 1
		jb.store.Fail = func(_ context.Context, op, key string) error {
			if op == "Put" && key == "p/s.zarr/y/0" {
				close(stop)
			}
			return nil
		}
		res, err := jb.run(jb.zarrEntries()...)
		if !errors.Is(err, transfer.ErrStopped) || res.Failed != 0 || res.Left < 6 {
			t.Errorf("%+v, %v", res, err)
		}
		jb.before(func(string) bool { return false }, isMeta)
		jb.o.Stop, jb.store.Fail = nil, nil
		if res, err := jb.run(jb.zarrEntries()...); err != nil || !res.Complete || jb.store.Puts("p/s.zarr/g/x/0.0") != 1 {
			t.Errorf("and then: %+v, %v", res, err)
		}
	})
}
