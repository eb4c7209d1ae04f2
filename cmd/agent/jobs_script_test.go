//go:build linux

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/rogpeppe/go-internal/testscript"

	"agent/journal"
	"agent/transfer"
)

// held are the journals that scripts hold, by their state folder.
var held sync.Map

// onlyJob is the folder of the script's only job, and what its journal says.
func onlyJob(ts *testscript.TestScript) (string, journal.Job) {
	found, err := filepath.Glob(filepath.Join(ts.Getenv("STATE"), "jobs", "*", "journal.db"))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%d journals", len(found))
	}
	dir := filepath.Dir(found[0])
	c, err := journal.ReadCommand(dir)
	ts.Check(err)
	return dir, c.Job
}

// scriptHold holds the only job as a running agent does: hold [WAITING].
func scriptHold(ts *testscript.TestScript, _ bool, args []string) {
	dir, job := onlyJob(ts)
	db, err := journal.Open(context.Background(), dir, job, journal.Options{})
	ts.Check(err)
	h := journal.Holder{PID: 4711, Host: "far", Started: time.Now().Add(-time.Minute), Updated: time.Now(),
		Progress: journal.Progress{FilesDone: 3, FilesFound: 8, BytesDone: 3 << 20, BytesFound: 8 << 20}}
	if len(args) > 0 {
		h.Progress.Waiting = args[0]
	}
	ts.Check(db.WriteHolder(h))
	held.Store(ts.Getenv("STATE"), db)
	ts.Defer(func() { _ = db.Close() })
}

// scriptRelease lets go of the job: release; as if killed: release killed.
func scriptRelease(ts *testscript.TestScript, _ bool, args []string) {
	dir, _ := onlyJob(ts)
	run := filepath.Join(dir, "run.json")
	text, err := os.ReadFile(run)
	ts.Check(err)
	db, _ := held.LoadAndDelete(ts.Getenv("STATE"))
	ts.Check(db.(*journal.DB).Close())
	if len(args) > 0 {
		ts.Check(os.WriteFile(run, text, 0o600))
	}
}

// scriptBegun begins an upload of the only job that is never finished: begun KEY.
func (r *rig) scriptBegun(ts *testscript.TestScript, _ bool, args []string) {
	dir, job := onlyJob(ts)
	key := below(ts) + "/" + args[0]
	id, err := minio.Core{Client: r.witness}.NewMultipartUpload(context.Background(), r.sb.Bucket(), key, minio.PutObjectOptions{})
	ts.Check(err)
	db, err := journal.Open(context.Background(), dir, job, journal.Options{})
	ts.Check(err)
	ts.Check(db.Begin(transfer.Upload{Key: key, ID: id, Stat: transfer.Stat{Size: 20 << 20}, PartSize: 5 << 20, Begun: time.Now(),
		Parts: []transfer.Part{{Number: 1, Size: 5 << 20, ETag: `"x"`}}}))
	ts.Check(db.Close())
	ts.Setenv("UPLOAD", id)
}

// scriptJobID sets JOB to the id of the only job, and SHORT to its beginning.
func scriptJobID(ts *testscript.TestScript, _ bool, _ []string) {
	dir, _ := onlyJob(ts)
	ts.Setenv("JOB", filepath.Base(dir))
	ts.Setenv("SHORT", filepath.Base(dir)[:4])
}

// scriptOlder moves the last run of the only job 100 days into the past.
func scriptOlder(ts *testscript.TestScript, _ bool, _ []string) {
	dir, _ := onlyJob(ts)
	o, err := journal.ReadOutcome(dir)
	ts.Check(err)
	o.Ended = o.Ended.Add(-100 * 24 * time.Hour)
	ts.Check(journal.WriteOutcome(dir, o))
}

// scriptJSONLines checks that stdout is one JSON object a line, with a type.
func scriptJSONLines(ts *testscript.TestScript, _ bool, _ []string) {
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var v struct{ Type string }
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Type == "" {
			ts.Fatalf("no JSON line: %v: %s", err, line)
		}
	}
}
