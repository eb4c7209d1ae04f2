package main

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agent/journal"
	"agent/transfer"
)

// TestUninstallLeavesRunsAlone proves that a download which begins while somebody
// is asked keeps the files that it writes to.
func TestUninstallLeavesRunsAlone(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	job := journal.NewDownload([]string{"s3://b/p/"}, "", "b", "p/", dir)
	folder := filepath.Join(state, "jobs", job.ID)
	open := func() *journal.DB {
		db, err := journal.Open(t.Context(), folder, job, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open()
	up := transfer.Upload{Key: "x", ID: "etag", Stat: transfer.Stat{Size: 1}, PartSize: 1, Begun: time.Now()}
	if err := errors.Join(db.Begin(up), db.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(job.ID + "\x00x"))
	part := filepath.Join(dir, ".x."+strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:8])+".agent-part")
	if err := os.WriteFile(part, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := &uninstall{shelf: shelf{name: program, state: state}, o: uninstallOptions{state: true}}
	jobs, err := u.all(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	u.findState(jobs)
	db = open()
	err = u.traces[0].remove(t.Context())
	if !errors.Is(err, journal.ErrBusy) || !exists(part) {
		t.Errorf("while it runs: %v, its file is there: %v", err, exists(part))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := u.traces[0].remove(t.Context()); err != nil || exists(part) || exists(folder) {
		t.Errorf("%v, its file is there: %v", err, exists(part))
	}
}
