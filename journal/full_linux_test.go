package journal

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"agent/transfer"
)

func mountTmpfs(t *testing.T, size string) string {
	t.Helper()
	at := t.TempDir()
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no small disk to fill: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return at
}

func TestDiskFull(t *testing.T) {
	at := mountTmpfs(t, "600k")
	dir := filepath.Join(at, "jobs", "a")
	d, err := Open(t.Context(), dir, testJob(), Options{})
	ok(t, err)
	flushed := 0
	for i := 0; ; i++ {
		if i > 50_000 {
			t.Fatal("the disk is never full")
		}
		if err = d.Done(rec(i)); err != nil {
			break
		}
		if i%100 == 0 {
			if err = d.Flush(t.Context()); err != nil {
				break
			}
			flushed = i + 1
		}
	}
	if !errors.Is(err, transfer.ErrLocal) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("full: %v", err)
	}
	wantFailed(t, d, syscall.ENOSPC)
	for range 2 {
		if err := d.Close(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("close: %v", err)
		}
	}
	// With room again, everything that was said to be durable is there.
	ok(t, syscall.Mount("tmpfs", at, "tmpfs", syscall.MS_REMOUNT, "size=20m"))
	d = open(t, dir, testJob())
	if dmg := d.Damage(); dmg != nil {
		t.Errorf("damage %+v", dmg)
	}
	got := records(t, d)
	if len(got) < flushed {
		t.Errorf("%d records of %d that were flushed", len(got), flushed)
	}
	for i, r := range got {
		if r != rec(i) {
			t.Fatalf("record %d: %+v", i, r)
		}
	}
	ok(t, d.Close())
}

func TestNoRoomToBegin(t *testing.T) {
	at := mountTmpfs(t, "64k")
	ok(t, os.WriteFile(filepath.Join(at, "filler"), make([]byte, 52<<10), 0o600))
	_, err := Open(t.Context(), filepath.Join(at, "a"), testJob(), Options{})
	if !errors.Is(err, ErrUnusable) || !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	at := mountTmpfs(t, "1m")
	ok(t, syscall.Mount("tmpfs", at, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	_, err := Open(t.Context(), filepath.Join(at, "a"), testJob(), Options{})
	if !errors.Is(err, ErrUnusable) || !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
}
