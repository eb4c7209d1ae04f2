package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"agent/transfer"
)

// TestDownloadOnlyThese proves that of a list what is there is fetched, what is
// missing fails, and that not everything between is listed.
func TestDownloadOnlyThese(t *testing.T) {
	f := newFetching(t)
	for i := range 9000 {
		f.store.Set(fmt.Sprintf("p/d%d/%04d", i%3, i), []byte("x"))
	}
	f.store.Set("p/d1", []byte("beside its directory"))
	names, err := transfer.ReadNames(strings.NewReader("d2/0002\n./d0/0003\nd2/gone\nd2\nd1\nd1/8998\n"), false)
	if err != nil {
		t.Fatal(err)
	}
	f.taken.Only = names
	listed := 0
	f.store.Fail = func(_ context.Context, op, _ string) error {
		if op == "List" {
			listed++
		}
		return nil
	}
	res, err := f.run(t, below)
	if err != nil || res.Failed != 2 {
		t.Fatalf("%+v, %v, %v", res, err, f.failed)
	}
	if err := f.failed["p/d2/gone"]; !errors.Is(err, transfer.ErrNotExist) {
		t.Errorf("what is missing: %v", err)
	}
	if err := f.failed["p/d1/8998"]; !errors.Is(err, transfer.ErrPath) {
		t.Errorf("below a file: %v", err)
	}
	if got := f.files(t, f.dir); len(got) != 6 || got["d2/0002"] != "x" || got["d0/0003"] != "x" || got["d1"] == "" {
		t.Errorf("%v", got)
	}
	if f.ignored["p/d2"] != "directory in a list of files" || len(f.ignored) != 1 {
		t.Errorf("%v", f.ignored)
	}
	if listed > 6 {
		t.Errorf("it asked for %d listings", listed)
	}

	f.store.Fail = func(context.Context, string, string) error { return transfer.ErrDenied }
	if _, err := f.run(t, below); !errors.Is(err, transfer.ErrDenied) {
		t.Errorf("a listing that is denied: %v", err)
	}
}

// TestDownloadLeavesOut proves that filters are asked about names below the
// directory, that what is left out neither fails nor is in the way of others,
// and that what was stored just now waits.
func TestDownloadLeavesOut(t *testing.T) {
	f := newFetching(t)
	for _, key := range []string{"p/a", "p/a/b", "p/../out", "p/keep", "p/d/"} {
		f.store.Set(key, nil)
	}
	asked := map[string]bool{}
	f.taken.LeaveOut = func(name string) string {
		asked[name] = true
		return map[string]string{"a": "rule", "../out": "rule", "d/": "rule"}[name]
	}
	res, err := f.run(t, below)
	if err != nil || !res.Complete {
		t.Fatalf("%+v, %v, %v", res, err, f.failed)
	}
	if got := f.files(t, f.dir); len(got) != 4 || len(f.ignored) != 3 || len(asked) != 5 {
		t.Errorf("%v, ignored %v, asked %v", got, f.ignored, asked)
	}

	f.taken = transfer.Taken{Later: func(at time.Time) string {
		if time.Since(at) < time.Hour {
			return "young"
		}
		return ""
	}}
	f.store.Set("p/new", nil)
	if res, err := f.run(t, below); err != nil || !res.Complete || f.ignored["p/new"] != "young" {
		t.Errorf("%+v, %v, %v", res, err, f.ignored)
	}
}
