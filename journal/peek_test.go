package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestJobIn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	if _, err := JobIn(t.Context(), dir); !errors.Is(err, ErrNoJournal) {
		t.Errorf("nothing there: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it made the folder")
	}
	job := NewJob("upload", []string{"/src"}, "https://s3.example", "bucket", "ws/x")
	d := open(t, dir, job)
	var busy *BusyError
	if _, err := JobIn(t.Context(), dir); !errors.As(err, &busy) {
		t.Errorf("held: %v", err)
	}
	ok(t, d.Close())
	before := bytesOf(t, dir)
	got, err := JobIn(t.Context(), dir)
	if err != nil || got.ID != job.ID || got.Prefix != "ws/x" {
		t.Errorf("%+v, %v", got, err)
	}
	if !bytes.Equal(before, bytesOf(t, dir)) {
		t.Error("it changed the journal")
	}
	ok(t, os.Truncate(filepath.Join(dir, fileName), 0))
	if _, err := JobIn(t.Context(), dir); !errors.Is(err, ErrNoJournal) {
		t.Errorf("empty: %v", err)
	}
	ok(t, os.WriteFile(filepath.Join(dir, fileName), bytes.Repeat([]byte("x"), 9000), 0o600))
	var bad *UnusableError
	if _, err := JobIn(t.Context(), dir); !errors.As(err, &bad) {
		t.Errorf("garbage: %v", err)
	}
}
