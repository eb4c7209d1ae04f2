//go:build unix

package s3store_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"agent/bench/platform"
	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/s3store"
	"agent/transfer/storetest"
)

// A file is changed, by real operations of the file system, at each instant that
// matters between the scan and the store's last answer. Whatever it was at one
// instant is one consistent version; what is stored is one of them, or nothing and
// the file is named.

// seam is such an instant.
type seam string

const (
	atScanned  seam = "scanned"    // seen by the scan, not open yet
	atOpened   seam = "opened"     // open, and not looked at
	atLooked   seam = "looked at"  // its times are known
	atBegun    seam = "begun"      // its first bytes were read
	atRead     seam = "read"       // as many bytes were read as it has
	atAgain    seam = "read again" // in the middle of a second reading
	atSending  seam = "sending"    // its first request with a body is to be sent
	atParts    seam = "parts"      // its second part is to be sent
	atComplete seam = "completing" // the last request is to be sent
	atStored   seam = "stored"     // the store has made the object
)

var allSeams = []seam{atScanned, atOpened, atLooked, atBegun, atRead, atAgain, atSending, atParts, atComplete, atStored}

// shape is a way in which a file is sent.
type shape struct {
	name     string
	size     int
	memory   int64
	before   func(c *changing) // earlier runs
	parallel int
}

var shapes = []shape{
	{name: "small", size: 3000, memory: 4 * partSize},
	{name: "small read twice", size: 300_000, memory: 1 << 20},
	{name: "parts", size: 2*partSize + 1000, memory: 4 * partSize},
	{name: "parts read twice", size: 2*partSize + 1000, memory: 1 << 20},
	{name: "parts at once", size: 2*partSize + 1000, memory: 4 * partSize, parallel: 4},
	{name: "half sent", size: 2*partSize + 1000, memory: 4 * partSize, before: (*changing).halfSent},
	{name: "stored and touched", size: 3000, memory: 4 * partSize, before: (*changing).storedAndTouched},
	{name: "an older one is stored", size: 300_000, memory: 1 << 20, before: (*changing).olderStored},
}

// change is what happens at a seam.
type change struct {
	at seam
	op fileOp
}

// changing is one file that is changed while it is sent.
type changing struct {
	*subject
	sb     *platform.Sandbox
	shape  shape
	prefix string
	j      *storetest.Journal
	faults *storetest.Faulty

	mu      sync.Mutex
	todo    []change
	reached []seam
	requests
}

// requests counts those of one run.
type requests struct{ bodies, parts int }

// at does what is to happen there.
func (c *changing) at(s seam) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.todo) == 0 || c.todo[0].at != s {
		return
	}
	c.todo[0].op.do(c.subject)
	c.remember()
	c.reached, c.todo = append(c.reached, s), c.todo[1:]
}

// watched is the file with the seams in it.
type watched struct {
	transfer.File
	c      *changing
	looked atomic.Bool
	read   atomic.Int64
}

func (w *watched) Stat() (transfer.Stat, error) {
	first := !w.looked.Swap(true)
	if first {
		w.c.at(atOpened)
	}
	st, err := w.File.Stat()
	if first {
		w.c.at(atLooked)
	}
	return st, err
}

func (w *watched) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.File.ReadAt(p, off)
	size := int64(w.c.shape.size)
	switch now := w.read.Add(int64(n)); {
	case now == int64(n):
		w.c.at(atBegun)
		fallthrough
	case now >= size && now-int64(n) < size:
		if now >= size {
			w.c.at(atRead)
		}
	case now > size:
		w.c.at(atAgain)
	}
	return n, err
}

// Do implements storetest.Doer.
func (c *changing) Do(req *http.Request) (*http.Response, error) {
	op := storetest.OpOf(req)
	c.mu.Lock()
	switch op {
	case "UploadPart":
		c.parts++
		fallthrough
	case "PutObject":
		c.bodies++
	}
	n := c.requests
	c.mu.Unlock()
	last := op == "PutObject" || op == "CompleteMultipartUpload"
	switch {
	case op == "UploadPart" && n.parts == 2:
		c.at(atParts)
	case n.bodies == 1 && op != "CompleteMultipartUpload":
		c.at(atSending)
	case op == "CompleteMultipartUpload":
		c.at(atComplete)
	}
	resp, err := c.faults.Do(req)
	if last && err == nil && resp.StatusCode == http.StatusOK {
		c.at(atStored)
	}
	return resp, err
}

// outcome is how a run ended for the file.
type outcome struct {
	done, there, failed int
	beside              int   // failures of other files
	err                 error // of the failure
	res                 transfer.Result
}

// send makes one run over the source, during which todo happens.
func (c *changing) send(t *testing.T, todo ...change) (out outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c.mu.Lock()
	c.todo, c.reached, c.requests = todo, nil, requests{}
	c.mu.Unlock()
	o := optionsFor(t, c.sb, c)
	o.Memory, o.Parallel = c.shape.memory, max(1, c.shape.parallel)
	var mu sync.Mutex
	event := func(e transfer.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Key != c.prefix+c.name { // a file in its directory's place
			if e.Kind == transfer.Failed { // some stores have no object beside what lies below its name
				out.beside++
			}
			return
		}
		switch e.Kind {
		case transfer.Done:
			out.done++
		case transfer.There:
			out.there++
		case transfer.Failed:
			out.failed++
			out.err = e.Err
		}
	}
	store := s3store.New(o)
	mark, err := c.j.Mark()
	if err != nil {
		t.Fatal(err)
	}
	if mark.Finished {
		mark = transfer.Mark{}
	}
	open := transfer.OpenStraight(nil) // the usual one
	scan := transfer.Scan(ctx, []transfer.Source{{Path: c.dir, Prefix: c.prefix, Dir: true}}, transfer.ScanOptions{})
	steps := transfer.Plan(ctx, scan, transfer.PlanOptions{Records: c.j, Mark: mark, Store: store, Prefix: c.prefix, Event: event})
	out.res, err = transfer.Run(ctx, steps, store, c.j, transfer.RunOptions{Items: 2, Event: event, Mark: mark,
		Open: func(path string) (transfer.File, error) {
			c.at(atScanned)
			f, err := open(path)
			if err != nil {
				return nil, err
			}
			return &watched{File: f, c: c}, nil
		}})
	if err != nil {
		t.Fatalf("the run ended: %v", err)
	}
	return out
}

func (c *changing) halfSent() {
	c.faults.On(2, storetest.Op("UploadPart"), storetest.Refuse(400, "EntityTooLarge"))
	c.send(c.t)
	c.faults.Clear()
}

func (c *changing) storedAndTouched() {
	c.send(c.t)
	fileOps["touched"](c.subject)
}

func (c *changing) olderStored() {
	c.send(c.t)
	fileOps["rewritten"](c.subject)
	c.remember()
}

// object is what is stored, as a client tells that we did not write.
func (c *changing) object(t *testing.T) (body []byte, stored bool) {
	t.Helper()
	witness, err := c.sb.Witness()
	if err != nil {
		t.Fatal(err)
	}
	obj, err := witness.GetObject(t.Context(), c.sb.Bucket(), c.prefix+c.name, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Close()
	body, err = io.ReadAll(obj)
	if minio.ToErrorResponse(err).Code == "NoSuchKey" {
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	return body, true
}

// check holds what is stored against what was told, and against what the file was.
func (c *changing) check(t *testing.T, out outcome) (body []byte, stored bool) {
	t.Helper()
	body, stored = c.object(t)
	if stored && !slices.ContainsFunc(c.states, func(s []byte) bool { return bytes.Equal(s, body) }) {
		t.Errorf("what is stored is no version that the file ever was: %s", blocks(body))
	}
	recs, err := c.j.Records(c.prefix, 10)
	if err != nil {
		t.Fatal(err)
	}
	recs = slices.DeleteFunc(recs, func(r transfer.Record) bool { return r.Doubtful() || r.Key != c.prefix+c.name })
	if out.done+out.there > 0 && len(recs) != 1 {
		t.Errorf("it is done, and recorded %d times", len(recs))
	}
	for _, rec := range recs {
		if !stored || rec.CRC64 != checksum.Sum64(body) || rec.Stat.Size != int64(len(body)) {
			t.Errorf("it is marked done as %+v: stored %v, %s", rec, stored, blocks(body))
		}
	}
	if out.failed+out.beside != out.res.Failed || out.failed > 0 && (out.err == nil || !strings.Contains(out.err.Error(), c.name)) {
		t.Errorf("%d failures were told, and %d counted: %v", out.failed+out.beside, out.res.Failed, out.err)
	}
	return body, stored
}

// play is one case: the changes while it is sent, and the run after.
func (c *changing) play(t *testing.T, todo ...change) (reached int) {
	if c.shape.before != nil {
		c.shape.before(c)
	}
	out := c.send(t, todo...)
	if out.done+out.there+out.failed != 1 {
		t.Errorf("told %+v", out)
	}
	c.check(t, out)
	reached = len(c.reached)
	c.mu.Lock()
	c.todo = nil
	c.mu.Unlock()

	want, there := c.content()
	out = c.send(t)
	body, stored := c.check(t, out)
	switch {
	case there && (!stored || !bytes.Equal(body, want) || out.done+out.there != 1):
		t.Errorf("the next run left another version than there is: stored %v, %s, want %s; %+v", stored, blocks(body), blocks(want), out)
	case !there && out.done+out.there > 0:
		t.Errorf("there is no file, and the next run has %+v", out)
	}
	return reached
}

// newChanging is a file in its first version, and nothing stored.
func newChanging(t *testing.T, seed uint64, sh shape) *changing {
	role := []string{"full", "platform"}[seed%2]
	return &changing{subject: newSubject(t, sh.size, rand.New(rand.NewPCG(seed, 0))), sb: sandbox(t, role), shape: sh,
		prefix: fmt.Sprintf("%schanging/%d/%s/", storetest.Workspace, seed, strings.ReplaceAll(t.Name(), " ", "-")), j: &storetest.Journal{},
		faults: &storetest.Faulty{Next: client(t)}}
}

// TestSourceUnderChange changes a file in every way, each at some of the instants
// and in some of the ways to send it: always the same ones.
// TestLongSourceUnderChange has all of them.
func TestSourceUnderChange(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 0))
	var reached atomic.Int64
	n := 0
	t.Run("cases", func(t *testing.T) {
		for _, op := range opNames() {
			for _, i := range rnd.Perm(len(allSeams))[:3] {
				n++
				seed, at, sh := rnd.Uint64(), allSeams[i], shapes[rnd.IntN(len(shapes))]
				t.Run(fmt.Sprintf("%s/%s/%s", op, at, sh.name), func(t *testing.T) {
					t.Parallel()
					reached.Add(int64(newChanging(t, seed, sh).play(t, change{at, fileOps[op]})))
				})
			}
		}
	})
	t.Logf("%d cases, %d of them changed the file", n, reached.Load())
	if reached.Load() < int64(n)*6/10 {
		t.Errorf("only %d of %d cases changed the file", reached.Load(), n)
	}
}
