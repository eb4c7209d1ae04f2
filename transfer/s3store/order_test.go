package s3store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"agent/journal"
	"agent/transfer"
	"agent/transfer/checksum"
	"agent/transfer/storetest"
)

// spying is a rig that shows its requests before they are made.
func spying(spy func(req *http.Request)) *rig {
	return newRig(func(o *Options) {
		o.Parallel = 1 // parts go in order
		next := o.HTTP
		o.HTTP = doer(func(req *http.Request) (*http.Response, error) {
			spy(req)
			return next.Do(req)
		})
	})
}

// slowJournal is a journal in dir that writes nothing within an hour, unless
// somebody waits for it.
func slowJournal(t *testing.T, dir string, job journal.Job) *journal.DB {
	t.Helper()
	db, err := journal.Open(t.Context(), dir, job, journal.Options{Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	// The first change after a pause is written at once: let it be this one.
	if err := errors.Join(db.SetMark(transfer.Mark{}), db.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	return db
}

// afterACrash is what the journal in dir would know of key if all ended now.
func afterACrash(t *testing.T, dir string, job journal.Job, key string) transfer.Upload {
	t.Helper()
	image := t.TempDir()
	b, err := os.ReadFile(filepath.Join(dir, "journal.db"))
	if err == nil {
		err = os.WriteFile(filepath.Join(image, "journal.db"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := journal.Open(t.Context(), image, job, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	up, _, err := db.Upload(key)
	if err != nil {
		t.Fatal(err)
	}
	return up
}

// TestDurableInOrder proves that the id of an upload is on the disk before its
// first part is sent, and all its parts are before an object is made of them.
func TestDurableInOrder(t *testing.T) {
	dir, job := t.TempDir(), journal.NewJob("upload", []string{"/d"}, "http://s3.test", "b", "")
	db := slowJournal(t, dir, job)
	parts, completed := 0, 0
	r := spying(func(req *http.Request) {
		switch storetest.OpOf(req) {
		case opPart:
			parts++
			if up := afterACrash(t, dir, job, "k"); up.ID != req.URL.Query().Get("uploadId") {
				t.Errorf("part %d is sent, and a crash now would not know its upload", parts)
			}
		case opComplete:
			completed++
			if up := afterACrash(t, dir, job, "k"); len(up.Parts) != parts {
				t.Errorf("the object is made of %d parts, of which a crash now would know %d", parts, len(up.Parts))
			}
		}
	})
	if out, err := r.Put(t.Context(), r.in("k", big(), db)); err != nil || !out.Verified {
		t.Errorf("%+v, %v", out, err)
	}
	if parts != 3 || completed != 1 {
		t.Errorf("%d parts were sent, and %d objects made", parts, completed)
	}
}

// TestChangedBehindItsLastPart proves that a file which changes when all its
// parts are there becomes no object.
func TestChangedBehindItsLastPart(t *testing.T) {
	r := newRig(nil)
	in := r.in("k", big(), nil)
	in.Unchanged = func() error {
		if r.s3.count(opPart) == 3 {
			return transfer.ErrChanged
		}
		return nil
	}
	if _, err := r.Put(t.Context(), in); !errors.Is(err, transfer.ErrChanged) || r.s3.object("k") != nil {
		t.Errorf("the object was made: %v; %v", r.s3.object("k") != nil, err)
	}
}

// TestChecksumsGoWithEveryRequest proves that the store is given a checksum to
// compare with everything it takes: small objects, each part, and the whole of
// the parts.
func TestChecksumsGoWithEveryRequest(t *testing.T) {
	const behind = "behind the bytes" // a store that compares those refuses wrong ones
	got := map[string][]string{}
	r := spying(func(req *http.Request) {
		op, sum := storetest.OpOf(req), req.Header.Get("X-Amz-Checksum-Crc64nvme")
		if trailedPart(req) {
			sum = behind
		}
		got[op] = append(got[op], sum)
		if op == opComplete && req.Header.Get("X-Amz-Checksum-Type") != "FULL_OBJECT" {
			t.Errorf("the whole has a checksum of type %q", req.Header.Get("X-Amz-Checksum-Type"))
		}
	})
	body := big()
	r.mustPut(t, "large", body)
	r.mustPut(t, "small", body[:1000])
	sum := func(b []byte) string { return checksum.Encode64(checksum.Sum64(b)) }
	for op, want := range map[string][]string{
		opPart:     {sum(body[:MinPartSize]), behind, sum(body[2*MinPartSize:])},
		opComplete: {sum(body)},
		opPut:      {sum(body[:1000])},
	} {
		if !slices.Equal(got[op], want) {
			t.Errorf("%s went with %q, want %q", op, got[op], want)
		}
	}
}

// TestLostCompleteIsSettled proves that a lost answer to Complete, behind which
// the store knows the upload no more, is settled by the object and sends nothing.
func TestLostCompleteIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.faults.On(1, storetest.Op(opComplete), storetest.Reset(true))
		out := r.mustPut(t, "k", big())
		if n := r.s3.count(opPart); n != 3 || !out.Verified {
			t.Errorf("%d parts were sent; %+v", n, out)
		}
	})
}

// TestCompleteThatComesToNothing proves that a second Complete is not believed before
// the object is the one of these parts: some stores say yes to it while they work at the
// first, and may end before that is done. What was there before then stays, and may have
// the same size. Where neither HEAD nor a listing is allowed, nothing is believed.
func TestCompleteThatComesToNothing(t *testing.T) {
	for name, older := range map[string][]byte{"nothing there": nil, "an older object": make([]byte, len(big()))} {
		for what, c := range map[string]struct{ noSums, blind bool }{"sums": {}, "no sums": {noSums: true}, "blind": {blind: true}} {
			t.Run(name+", "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(nil)
					r.s3.noSums = c.noSums
					if c.blind {
						r.blind()
					}
					if older != nil {
						r.s3.objects, r.s3.uploads = map[string][]byte{"k": older}, map[string]map[string][]byte{}
					}
					r.faults.On(1, storetest.Op(opComplete), storetest.Reset(false))
					r.faults.On(2, storetest.Op(opComplete), storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
						return good(req, `<CompleteMultipartUploadResult><ETag>"0123-3"</ETag></CompleteMultipartUploadResult>`), nil
					}})
					out := r.mustPut(t, "k", big())
					if n := r.s3.count(opPart); n != 6 || out.ETag == `"0123-3"` || !bytes.Equal(r.s3.object("k"), big()) {
						t.Errorf("%d parts were sent; %+v", n, out)
					}
				})
			})
		}
	}
}

// TestSecondCompleteIsBelieved proves that a second Complete that is answered sends
// nothing again where the object tells that it is of these parts: by its checksum, by the
// ETag that its parts make, or by that of the answer.
func TestSecondCompleteIsBelieved(t *testing.T) {
	for name, c := range map[string]struct {
		sums bool
		etag string
	}{
		"by its checksum": {true, `"another"`},
		"by the ETag":     {false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(nil)
				r.s3.noSums = !c.sums
				r.faults.On(1, storetest.Op(opComplete), storetest.Reset(true))
				r.faults.On(2, storetest.Op(opComplete), storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
					etag := cmp.Or(c.etag, fmt.Sprintf(`"%x"`, md5.Sum(big())))
					return good(req, "<CompleteMultipartUploadResult><ETag>"+strings.ReplaceAll(etag, `"`, "&quot;")+"</ETag></CompleteMultipartUploadResult>"), nil
				}})
				out := r.mustPut(t, "k", big())
				if n := r.s3.count(opPart); n != 3 || out.ETag == "" {
					t.Errorf("%d parts were sent; %+v", n, out)
				}
			})
		})
	}
}

// TestCompleteAfterARefusal proves that a Complete which the store has turned away, or
// that never reached it, leaves no doubt about the next one: nothing is asked for it, and
// nothing goes again where nothing may be asked.
func TestCompleteAfterARefusal(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{
		"slow down": storetest.Refuse(http.StatusServiceUnavailable, "SlowDown"),
		"expired":   storetest.Refuse(http.StatusBadRequest, "ExpiredToken"),
		"no network": {Answer: func(*http.Request, *http.Response) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(nil)
				r.blind()
				r.faults.On(1, storetest.Op(opComplete), fault)
				time.AfterFunc(time.Hour, func() { r.keys.swap("key-2", time.Time{}) })
				r.mustPut(t, "k", big())
				if n := r.s3.count(opPart); n != 3 || r.s3.count(opComplete) != 1 {
					t.Errorf("%d parts were sent, and %d Completes came", n, r.s3.count(opComplete))
				}
			})
		})
	}
}

// blind denies every way to look at an object.
func (r *rig) blind() {
	for _, op := range []string{opHead, opList} {
		r.faults.On(0, storetest.Op(op), storetest.Refuse(http.StatusForbidden, "AccessDenied"))
	}
}

// TestKilledWhileTheStoreCompletes proves that a run whose predecessor was killed behind
// its Complete waits for the object, where the store does not know the upload while it
// works at it; and that it sends everything again where nothing comes of that.
func TestKilledWhileTheStoreCompletes(t *testing.T) {
	for name, comes := range map[string]bool{"it comes": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, j := newRig(nil), &storetest.Journal{}
				ctx, kill := context.WithCancel(t.Context())
				r.faults.On(1, storetest.Op(opComplete), storetest.Fault{Answer: func(*http.Request, *http.Response) (*http.Response, error) {
					kill()
					return nil, context.Canceled
				}})
				if out, err := r.Put(ctx, r.in("k", big(), j)); err == nil {
					t.Fatalf("%+v", out)
				}
				r.s3.mu.Lock()
				clear(r.s3.uploads)
				r.s3.objects["k"] = make([]byte, len(big()))
				r.s3.mu.Unlock()
				if comes {
					time.AfterFunc(workWithin/2, func() {
						r.s3.mu.Lock()
						defer r.s3.mu.Unlock()
						r.s3.objects["k"] = big()
					})
				}
				began := time.Now()
				_, err := r.Put(t.Context(), r.in("k", big(), j))
				took := time.Since(began)
				if n := r.s3.count(opPart); err != nil || (n == 3) != comes || !bytes.Equal(r.s3.object("k"), big()) || took > 2*workWithin {
					t.Errorf("%d parts were sent, in %v; %v", n, took, err)
				}
			})
		})
	}
}

// TestCompleteOfNobody proves that a 404 which does not say that the upload is gone, as
// a proxy answers whose store is away, costs nothing that is stored: the file fails, and
// the next run goes on.
func TestCompleteOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, j := newRig(nil), &storetest.Journal{}
		page := storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
			return storetest.Response(req, http.StatusNotFound, "text/plain", "404 page not found"), nil
		}}
		r.faults.On(0, func(*http.Request) bool { return r.s3.count(opPart) == 3 }, page)
		in := r.in("k", big(), j)
		if _, err := r.Put(t.Context(), in); err == nil || r.s3.object("k") != nil {
			t.Fatalf("it is stored: %v, %v", r.s3.object("k") != nil, err)
		}
		if up, open, err := j.Upload("k"); !open || len(up.Parts) != 3 || err != nil {
			t.Errorf("the journal has %d parts, open %v, %v", len(up.Parts), open, err)
		}
		r.faults.Clear()
		if out, err := r.Put(t.Context(), r.in("k", big(), j)); err != nil || !out.Verified || r.s3.count(opPart) != 3 {
			t.Errorf("%d parts were sent; %+v, %v", r.s3.count(opPart), out, err)
		}
	})
}
