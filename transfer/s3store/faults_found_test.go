package s3store

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
	"agent/transfer/storetest"
)

// What the fault matrix has found, each by itself.

// TestPageWithETagStoresNothing: a captive portal whose web server gives its
// login page an ETag counted as having stored the object.
func TestPageWithETagStoresNothing(t *testing.T) {
	for op, body := range map[string][]byte{opPut: []byte("body"), opPart: big()} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(nil)
			r.faults.On(1, storetest.Op(op), storetest.Tagged())
			r.mustPut(t, "k", body)
		})
	}
}

// TestPageDeletesNothing: the same page as an answer to DeleteObject counted as
// a deletion, and to AbortMultipartUpload as the end of the upload.
func TestPageDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		d := &depot{}
		r.faults.Next = d
		d.put("k", []byte("body"))
		d.begin("u")
		r.faults.On(1, storetest.Op(opDelete), storetest.HTML())
		r.faults.On(1, storetest.Op(opAbort), storetest.HTML())
		if err := r.Delete(t.Context(), "k"); err != nil || len(d.keys("k")) > 0 {
			t.Errorf("%v, and the store has %q", err, d.keys("k"))
		}
		if err := r.Discard(t.Context(), &storetest.Journal{}, transfer.Upload{Key: "k", ID: "u"}); err != nil || len(d.uploads) > 0 {
			t.Errorf("%v, and %d uploads are open", err, len(d.uploads))
		}
	})
}

// TestPageWithETagReplacesNothing: the same page as an answer to a range counted as
// that of another object, and what was fetched of the file was thrown away.
func TestPageWithETagReplacesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newShelf(func(n int, r *http.Request, resp *http.Response) *http.Response {
			if n == 1 {
				resp, _ = storetest.Tagged().Answer(r, nil)
			}
			return resp
		})
		if _, b, err := r.get(t, transfer.GetInput{ETag: s.etag, Off: 2, Size: 4}); err != nil || string(b) != "2345" {
			t.Errorf("%q, %v", b, err)
		}
	})
}

// TestStalledListingIsTriedAgain: an answer other than an object's that stopped in
// its midst was waited for as long as the connection lived.
func TestStalledListingIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.mustPut(t, "k", []byte("body"))
		r.faults.On(1, storetest.Op(opList), storetest.Stall(time.Hour))
		began, n := time.Now(), 0
		for _, err := range r.List(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if took := time.Since(began); n != 1 || took > 2*readStall {
			t.Errorf("%d objects after %v", n, took)
		}
	})
}

// TestAnswerThatCannotBeReadIsNamed: what was no S3 answer was told as
// "HTTP 200 OK".
func TestAnswerThatCannotBeReadIsNamed(t *testing.T) {
	for want, fault := range map[string]storetest.Fault{
		errNotS3.Error(): storetest.HTML(), "the answer broke off": storetest.Truncate(), errStalled.Error(): storetest.Stall(time.Hour),
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(nil)
			r.faults.On(0, nil, fault)
			for _, err := range r.List(t.Context(), "", "") {
				if !errors.Is(err, transfer.ErrUnreachable) || !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %q", err, want)
				}
			}
		})
	}
}

// TestCompleteOfWhichTheReasonWasLost: a 404 whose body could not be read failed
// a file that was complete.
func TestCompleteOfWhichTheReasonWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.faults.On(1, storetest.Op(opComplete), storetest.Reset(true))
		r.faults.On(2, storetest.Op(opComplete), storetest.Garbage())
		r.mustPut(t, "k", big())
		if n := r.s3.count(opPart); n != 3 {
			t.Errorf("%d parts were sent, of 3", n)
		}
	})
}
