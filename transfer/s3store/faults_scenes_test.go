package s3store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// scene is a job in one of the states that decide which calls it makes.
type scene struct {
	name  string
	ops   []string // that it makes
	down  bool     // it fetches
	older bool     // an older object is under each key
	// settled: the first HeadObject of a key meets no fault. It is the plan's, and
	// the next is that by which an upload is settled.
	settled bool
	ready   func(*world)
	run     func(context.Context, *world, *Store, storetest.JobJournal) error
}

// scenes reach every call.
var scenes = []*scene{
	{name: "upload", run: sceneUpload, ops: []string{opList, opPut, opCreate, opPart, opComplete}},
	{name: "resume", run: sceneUpload, ops: []string{opParts, opPart, opComplete}, ready: sceneBegun},
	{name: "grown", run: sceneUpload, ops: []string{opAbort, opCreate}, ready: sceneGrown},
	{name: "completed", run: sceneUpload, ops: []string{opList, opHead}, ready: sceneCompleted},
	{name: "completing", run: sceneUpload, ops: []string{opParts, opHead}, ready: sceneCompleting},
	{name: "adopt", run: sceneUpload, ops: []string{opList, opHead}, ready: sceneStored},
	{name: "replaced", run: sceneUpload, ops: []string{opList, opHead, opPut, opCreate, opPart, opComplete}, ready: sceneOlder, older: true},
	{name: "unsettled", run: sceneUpload, ops: []string{opParts, opComplete, opHead}, ready: sceneUnsettled, older: true, settled: true},
	{name: "mirror", run: sceneMirror, ops: []string{opList, opDeleteAll}, ready: sceneSurplus},
	{name: "mirror-singly", run: sceneMirror, ops: []string{opDeleteAll, opDelete}, ready: sceneNoBatch},
	{name: "download", run: sceneDownload, ops: []string{opList, opHead, opGet}, ready: sceneStored, down: true},
}

func sceneNamed(name string) *scene {
	for _, s := range scenes {
		if s.name == name {
			return s
		}
	}
	return nil
}

// errSomeFailed is that some files failed, each of which was told.
var errSomeFailed = errors.New("some files failed")

func sceneUpload(ctx context.Context, w *world, s *Store, j storetest.JobJournal) error {
	return w.send(ctx, s, j, nil)
}

func (w *world) send(ctx context.Context, s *Store, j storetest.JobJournal, surplus *transfer.Surplus) error {
	mark, err := j.Mark()
	if err != nil {
		return err
	}
	if mark.Finished || surplus != nil { // as the program does
		mark = transfer.Mark{}
		if err := j.SetMark(mark); err != nil {
			return err
		}
	}
	scan := transfer.Scan(ctx, []transfer.Source{{Path: w.dir, Prefix: faultPrefix, Dir: true}}, transfer.ScanOptions{})
	steps := transfer.Plan(ctx, scan, transfer.PlanOptions{
		Records: j, Mark: mark, Store: s, Prefix: faultPrefix, Event: w.event, Surplus: surplus})
	res, err := transfer.Run(ctx, steps, s, j, transfer.RunOptions{Items: 4, Size: MinPartSize, Event: w.event, Mark: mark})
	return outcomeOf(res, err)
}

func outcomeOf(res transfer.Result, err error) error {
	if err == nil && !res.Complete {
		return fmt.Errorf("%w: %d, and %d are left", errSomeFailed, res.Failed, res.Left)
	}
	return err
}

// sceneMirror uploads, and deletes what the source does not have.
func sceneMirror(ctx context.Context, w *world, s *Store, j storetest.JobJournal) error {
	u := transfer.NewSurplus(transfer.SurplusOptions{
		Source: transfer.Source{Path: w.dir, Prefix: faultPrefix, Dir: true}, Dir: w.state})
	defer u.Close()
	if err := w.send(ctx, s, j, u); err != nil {
		return err
	}
	if why := u.Doubt(); why != "" {
		return errors.New("nothing was deleted: " + why)
	}
	res, err := transfer.Prune(ctx, u, s, j, transfer.PruneOptions{Event: w.event})
	if err == nil && res.Failed > 0 {
		return errSomeFailed
	}
	return err
}

func sceneDownload(ctx context.Context, w *world, s *Store, j storetest.JobJournal) error {
	target, err := transfer.OpenTarget(w.dir, "job")
	if err != nil {
		return err
	}
	defer target.Close()
	o := transfer.DownloadOptions{Target: target, PartSize: 4 << 20, Parallel: 4,
		RunOptions: transfer.RunOptions{Items: 4, Size: 4 << 20, Event: w.event}}
	steps := transfer.PlanDownload(ctx, s, []transfer.Remote{{Key: faultPrefix, Dir: true}}, j, o)
	return outcomeOf(transfer.Download(ctx, steps, s, j, o))
}

// sceneStored has everything in the store, and nothing in the journal.
func sceneStored(w *world) {
	for name, body := range faultFiles() {
		w.s3.put(faultPrefix+name, body)
	}
}

// sceneOlder has an older object of the same size under each key. What is told to
// be done and is not leaves other bytes than the file's.
func sceneOlder(w *world) {
	for name, body := range faultFiles() {
		w.s3.put(faultPrefix+name, madeUp("older "+name, len(body)))
	}
}

// sceneUnsettled is the same, and the upload of the large file was completed by a
// run that had no answer: the store works at it, says yes to whoever asks again,
// and it may come to nothing.
func sceneUnsettled(w *world) {
	sceneOlder(w)
	bodies, parts := partsOfBig()
	w.s3.begin("unsettled", bodies...)
	w.journalUpload("unsettled", func(u *transfer.Upload) { u.Parts = parts })
	if w.rnd.IntN(2) == 0 {
		w.s3.fate = fateNever
	}
	w.worthless = int64(len(faultFiles()[faultBig])) + framing
	w.s3.work("unsettled", joinedOf(faultPrefix+faultBig, bodies))
}

// partsOfBig are the slices of the large file.
func partsOfBig() (bodies [][]byte, parts []transfer.Part) {
	body := faultFiles()[faultBig]
	for off := 0; off < len(body); off += MinPartSize {
		b := body[off:min(off+MinPartSize, len(body))]
		bodies = append(bodies, b)
		parts = append(parts, transfer.Part{Number: int32(len(bodies)), Size: int64(len(b)),
			ETag: strings.ReplaceAll(etagOf(b), "&quot;", `"`), CRC64: checksum.Sum64(b)})
	}
	return bodies, parts
}

// journalUpload has the journal know of an upload of the large file.
func (w *world) journalUpload(id string, change func(*transfer.Upload)) {
	fi, err := os.Stat(filepath.Join(w.dir, faultBig))
	if err != nil {
		w.t.Fatal(err)
	}
	up := transfer.Upload{Key: faultPrefix + faultBig, ID: id, Stat: transfer.StatOf(fi), PartSize: MinPartSize, Begun: time.Now()}
	change(&up)
	for _, p := range up.Parts {
		w.had = append(w.had, unitOf(opPart, "/"+faultBucket+"/"+up.Key, fmt.Sprint(p.Number)))
	}
	db := w.openJournal(w.t.Context())
	if err := db.Begin(up); err != nil {
		w.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// sceneBegun is an upload whose first part is stored.
func sceneBegun(w *world) {
	bodies, parts := partsOfBig()
	w.s3.begin("begun", bodies[0])
	w.journalUpload("begun", func(u *transfer.Upload) { u.Parts = parts[:1] })
}

// sceneGrown is an upload of a file that has another size now.
func sceneGrown(w *world) {
	w.worthless = MinPartSize + framing
	bodies, parts := partsOfBig()
	w.s3.begin("smaller", bodies[0])
	w.journalUpload("smaller", func(u *transfer.Upload) {
		u.Parts = parts[:1]
		u.Stat.Size -= 1000
	})
}

// sceneCompleted is an upload that was completed, which nobody was told.
func sceneCompleted(w *world) {
	bodies, parts := partsOfBig()
	w.s3.begin("completed", bodies...)
	w.s3.finish("completed", joinedOf(faultPrefix+faultBig, bodies))
	w.journalUpload("completed", func(u *transfer.Upload) { u.Parts = parts })
}

// sceneCompleting is the same, and the object comes behind the listing: the upload is
// asked for, and then the object.
func sceneCompleting(w *world) {
	bodies, parts := partsOfBig()
	w.s3.begin("completing", bodies...)
	w.s3.onList = func() { w.s3.finish("completing", joinedOf(faultPrefix+faultBig, bodies)) }
	w.journalUpload("completing", func(u *transfer.Upload) { u.Parts = parts })
}

// sceneSurplus has in the store what the source has, and more.
func sceneSurplus(w *world) {
	sceneStored(w)
	for i := range 5 {
		w.s3.put(fmt.Sprintf("%sold/%d", faultPrefix, i), []byte("old"))
	}
}

func sceneNoBatch(w *world) {
	sceneSurplus(w)
	w.s3.noBatch = true
}
