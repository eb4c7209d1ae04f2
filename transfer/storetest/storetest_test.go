package storetest_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"agent/journal"
	"agent/transfer"
	"agent/transfer/storetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.TestStore(t, func(*testing.T) transfer.Store { return &storetest.Memory{} })
}

func TestJournalKeepsTheContract(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		storetest.TestJournal(t, func(*testing.T) storetest.JobJournal { return &storetest.Journal{} })
	})
	t.Run("faulty without faults", func(t *testing.T) {
		storetest.TestJournal(t, func(*testing.T) storetest.JobJournal {
			return &storetest.FaultyJournal{Next: &storetest.Journal{}}
		})
	})
	t.Run("file", func(t *testing.T) {
		storetest.TestJournal(t, func(t *testing.T) storetest.JobJournal {
			job := journal.NewJob("upload", []string{"/d"}, "e", "b", "p")
			db, err := journal.Open(t.Context(), t.TempDir(), job, journal.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			return db
		})
	})
}

func TestJournalAt(t *testing.T) {
	j := &storetest.Journal{}
	_ = j.Begin(transfer.Upload{Key: "k", ID: "1"})
	_ = j.Part("k", "1", transfer.Part{Number: 1})
	_ = j.Done(transfer.Record{Key: "k"})
	for n, want := range []struct {
		open    bool
		parts   int
		records int
	}{{}, {open: true}, {true, 1, 0}, {records: 1}} {
		old := j.At(n)
		u, open, _ := old.Upload("k")
		recs, _ := old.Records("", 10)
		if open != want.open || len(u.Parts) != want.parts || len(recs) != want.records || old.Changes() != n {
			t.Errorf("after %d changes: %v %+v %v", n, open, u, recs)
		}
	}
}

func TestFaultyJournal(t *testing.T) {
	broken := errors.New("broken")
	inner := &storetest.Journal{}
	f := &storetest.FaultyJournal{Next: inner, Hook: func(n int, _, _ string, after bool) error {
		if n == 2 && !after || n == 3 && after {
			return broken
		}
		return nil
	}}
	for i, want := range []error{nil, broken, broken, nil} {
		if err := f.Done(transfer.Record{Key: string(rune('a' + i))}); !errors.Is(err, want) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	recs, _ := inner.Records("", 10)
	if len(recs) != 3 || recs[1].Key != "c" || f.Calls() != 4 {
		t.Errorf("the second alone was not made: %+v", recs)
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestFaulty(t *testing.T) {
	reached := 0
	f := &storetest.Faulty{Next: doer(func(r *http.Request) (*http.Response, error) {
		reached++
		resp := storetest.Response(r, 200, "text/plain", "fine")
		resp.Header.Set("ETag", "good")
		return resp, nil
	})}
	f.On(2, storetest.Op("PutObject"), storetest.Reset(false))
	f.On(3, storetest.Op("PutObject"), storetest.Reset(true))
	f.On(4, nil, storetest.Refuse(503, "SlowDown"))
	f.On(5, nil, storetest.HTML())
	f.On(6, nil, storetest.Garbage())
	f.On(7, nil, storetest.Header("ETag", "bad"))
	for i, want := range []struct {
		reached int
		body    string
		err     error
	}{{1, "fine", nil}, {1, "", syscall.ECONNRESET}, {2, "", syscall.ECONNRESET}, {2, "SlowDown", nil}, {2, "log in", nil}, {3, "<Name>", nil}, {4, "fine", nil}} {
		r, _ := http.NewRequest(http.MethodPut, "http://s3/bucket/key", nil)
		resp, err := f.Do(r)
		var body []byte
		if err == nil {
			body, _ = io.ReadAll(resp.Body)
		}
		if reached != want.reached || !errors.Is(err, want.err) || !strings.Contains(string(body), want.body) {
			t.Errorf("request %d: reached %d, %v, %q", i+1, reached, err, body)
		}
		if i == 6 && resp.Header.Get("ETag") != "bad" {
			t.Error("the header is the server's")
		}
	}
}

func TestOpOf(t *testing.T) {
	for line, want := range map[string]string{
		"PUT /b/k": "PutObject", "PUT /b/k?partNumber=1&uploadId=u": "UploadPart", "POST /b/k?uploads": "CreateMultipartUpload",
		"POST /b/k?uploadId=u": "CompleteMultipartUpload", "DELETE /b/k?uploadId=u": "AbortMultipartUpload", "HEAD /b/k": "HeadObject",
		"POST /b?delete": "DeleteObjects", "DELETE /b/k": "DeleteObject",
		"GET /b/k?uploadId=u": "ListParts", "GET /b?list-type=2": "ListObjectsV2", "GET /b/k": "GetObject", "PATCH /b": "",
	} {
		method, url, _ := strings.Cut(line, " ")
		r, _ := http.NewRequest(method, "http://s3"+url, nil)
		if got := storetest.OpOf(r); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
