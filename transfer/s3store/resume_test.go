package s3store_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"

	"agent/bench/platform"
	"agent/transfer"
	"agent/transfer/s3store"
	"agent/transfer/storetest"
)

// half is an upload of three parts on its way, and the journal of it.
type half struct {
	t      *testing.T
	s      *platform.Sandbox
	key    string
	body   []byte
	stat   transfer.Stat
	faults *storetest.Faulty
	j      *storetest.Journal

	mu     sync.Mutex
	ops    map[string]int
	saved  int64
	moved  int64
	notice []string
}

func newHalf(t *testing.T, role string) *half {
	h := &half{t: t, s: sandbox(t, role), key: storetest.Workspace + t.Name(), body: noise(7, 2*partSize+1000), j: &storetest.Journal{}}
	h.stat = transfer.Stat{Size: int64(len(h.body)), MTime: 1}
	h.faults = &storetest.Faulty{Next: client(t)}
	return h
}

// Do implements storetest.Doer, and counts.
func (h *half) Do(req *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.ops[storetest.OpOf(req)]++
	h.mu.Unlock()
	return h.faults.Do(req)
}

func (h *half) event(e transfer.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e.Kind {
	case transfer.Saved:
		h.saved += e.Bytes
	case transfer.Moved:
		h.moved += e.Bytes
	case transfer.Notice:
		h.notice = append(h.notice, e.Text)
	}
}

// put runs the upload in a process of its own.
func (h *half) put() (transfer.PutOutput, error) {
	h.t.Helper()
	h.ops, h.saved, h.moved, h.notice = map[string]int{}, 0, 0, nil
	o := optionsFor(h.t, h.s, h)
	o.Parallel = 1 // parts go in order
	in := storetest.Input(h.key, h.body, h.j)
	in.Item.Stat, in.Event = h.stat, h.event
	return s3store.New(o).Put(h.t.Context(), in)
}

// stopAt lets the upload fail at its n-th part.
func (h *half) stopAt(n int) {
	h.t.Helper()
	h.faults.On(n, storetest.Op("UploadPart"), storetest.Refuse(400, "EntityTooLarge"))
	if _, err := h.put(); err == nil {
		h.t.Fatal("it did not stop")
	}
	h.faults.Clear()
	if up := h.upload(); len(up.Parts) != n-1 {
		h.t.Fatalf("%d parts in the journal", len(up.Parts))
	}
}

func (h *half) upload() transfer.Upload {
	up, _, _ := h.j.Upload(h.key)
	return up
}

// finish runs the upload to its end, and wants that many parts sent.
func (h *half) finish(parts int) transfer.PutOutput {
	h.t.Helper()
	out, err := h.put()
	if err != nil {
		h.t.Fatal(err)
	}
	if h.ops["UploadPart"] != parts {
		h.t.Errorf("%d parts were sent, want %d (%v)", h.ops["UploadPart"], parts, h.ops)
	}
	if h.saved+h.moved != int64(len(h.body)) {
		h.t.Errorf("%d bytes saved and %d moved, of %d", h.saved, h.moved, len(h.body))
	}
	wantStored(h.t, h.s, h.key, h.body)
	return out
}

func bothRoles(t *testing.T, test func(t *testing.T, role string)) {
	for _, role := range []string{"full", "platform"} {
		t.Run(role, func(t *testing.T) { test(t, role) })
	}
}

func TestResume(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		h.stopAt(3)
		if out := h.finish(1); !out.Verified {
			t.Error("not verified")
		}
		if h.ops["CreateMultipartUpload"] != 0 || h.ops["ListParts"] != 1 {
			t.Errorf("requests: %v", h.ops)
		}
	})
}

func TestResumeTouched(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		h.stopAt(3)
		h.stat.MTime++
		h.finish(1)
	})
}

func TestResumeChangedInPlace(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		h.stopAt(3)
		h.stat.MTime++
		h.body[partSize+5]++
		h.finish(2)
	})
}

func TestResumeOfAnotherSize(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		h.stopAt(3)
		old := h.upload()
		h.body = append(h.body, 1)
		h.stat.Size++
		h.finish(3)
		if len(h.notice) == 0 {
			t.Error("it starts over, and nobody is told")
		}
		if h.upload().ID == old.ID {
			t.Error("the old upload is in use")
		}
	})
}

func TestWitnessKnowsMoreThanTheJournal(t *testing.T) {
	h := newHalf(t, "full")
	h.stopAt(3)
	up := h.upload()
	up.Parts = up.Parts[:1]
	if err := h.j.Begin(up); err != nil {
		t.Fatal(err)
	}
	h.finish(1)
	if parts := h.upload().Parts; len(parts) != 3 {
		t.Errorf("%d parts in the journal", len(parts))
	}
}

// What the witness has is of no use where the file has other bytes now.
func TestWitnessOfOldBytes(t *testing.T) {
	h := newHalf(t, "full")
	h.stopAt(3)
	up := h.upload()
	up.Parts = up.Parts[:1]
	if err := h.j.Begin(up); err != nil {
		t.Fatal(err)
	}
	h.body[partSize+5]++
	h.stat.MTime++
	h.finish(2)
}

func TestWitnessKnowsLessThanTheJournal(t *testing.T) {
	h := newHalf(t, "full")
	h.stopAt(2)
	up := h.upload()
	lost := up.Parts[0]
	lost.Number = 2
	if err := h.j.Part(h.key, up.ID, lost); err != nil {
		t.Fatal(err)
	}
	h.finish(2)
}

func TestCompletedBeforeItWasJournalled(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		first := h.finish(3)
		again := h.finish(0)
		if again.CRC64 != first.CRC64 {
			t.Errorf("%+v, then %+v", first, again)
		}
	})
}

// Completed, not journalled, and then the file was edited in place: the object
// is the old one, whatever the journal's parts say.
func TestEditedAfterItWasCompleted(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		h.finish(3)
		h.body = slices.Clone(h.body)
		h.body[len(h.body)-1]++
		h.stat.MTime++
		out, err := h.put()
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, h.s, h.key, h.body)
		if !out.Verified {
			t.Error("not verified")
		}
	})
}

func TestTouchedAfterItWasCompleted(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		h.finish(3)
		h.stat.MTime++
		h.finish(0)
	})
}

func TestAbortedAtTheStore(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		h.stopAt(3)
		witness, err := h.s.Witness()
		if err != nil {
			t.Fatal(err)
		}
		core := minio.Core{Client: witness}
		if err := core.AbortMultipartUpload(t.Context(), h.s.Bucket(), h.key, h.upload().ID); err != nil {
			t.Fatal(err)
		}
		out, err := h.put()
		if err != nil || !out.Verified {
			t.Fatal(out, err)
		}
		wantStored(t, h.s, h.key, h.body)
		if h.saved+h.moved != int64(len(h.body)) {
			t.Errorf("%d bytes saved and %d moved in the end, of %d", h.saved, h.moved, len(h.body))
		}
	})
}

func TestLostReplyOfComplete(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		h.faults.On(1, storetest.Op("CompleteMultipartUpload"), storetest.Reset(true))
		h.finish(3)
	})
}

// TestWitnessOfNothing proves that an answer which does not say of which upload it
// tells is no witness: by it the store would have none of the parts, and all went again.
func TestWitnessOfNothing(t *testing.T) {
	h := newHalf(t, "full")
	h.stopAt(3)
	h.faults.On(1, storetest.Op("ListParts"), storetest.Fault{Answer: func(r *http.Request, _ *http.Response) (*http.Response, error) {
		return storetest.Response(r, http.StatusOK, "application/xml", "<ListPartsResult></ListPartsResult>"), nil
	}})
	h.finish(1)
	if h.ops["ListParts"] != 2 {
		t.Errorf("requests: %v", h.ops)
	}
}

// TestPartsThatDoNotAddUp proves that an upload whose parts are not what was sent
// is begun anew, whatever a store calls that: else each run would fail at it.
func TestPartsThatDoNotAddUp(t *testing.T) {
	for _, code := range []string{"BadDigest", "XAmzContentChecksumMismatch", "InvalidPart"} {
		t.Run(code, func(t *testing.T) {
			h := newHalf(t, "platform")
			h.faults.On(0, func(req *http.Request) bool {
				h.mu.Lock()
				defer h.mu.Unlock()
				return storetest.OpOf(req) == "CompleteMultipartUpload" && h.ops["CreateMultipartUpload"] == 1
			}, storetest.Refuse(400, code))
			h.finish(6)
			if h.ops["CreateMultipartUpload"] != 2 {
				t.Errorf("requests: %v", h.ops)
			}
		})
	}
}

func TestLostRepliesOfAll(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		for _, op := range []string{"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"} {
			h.faults.On(1, storetest.Op(op), storetest.Reset(true))
		}
		h.finish(4)
	})
}

func TestDiscard(t *testing.T) {
	bothRoles(t, func(t *testing.T, role string) {
		h := newHalf(t, role)
		h.stopAt(2)
		o := optionsFor(t, h.s, nil)
		o.Event = h.event
		if err := s3store.New(o).Discard(t.Context(), h.j, h.upload()); err != nil {
			t.Fatal(err)
		}
		if _, open, _ := h.j.Upload(h.key); open {
			t.Error("the journal has it still")
		}
		if left := len(h.notice) == 1; left != (role == "platform") {
			t.Errorf("notices: %v", h.notice)
		}
	})
}
