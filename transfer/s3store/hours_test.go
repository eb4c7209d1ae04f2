package s3store

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agent/creds"
	"agent/transfer"
	"agent/transfer/storetest"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// hourly is a source of tokens that live an hour, and a store that refuses those
// whose hour is over when a request begins. Its requests take their time.
type hourly struct {
	next  storetest.Doer
	begun time.Time
	fresh bool // each answer is a new token; else there is one an hour, for all who ask in it
	known bool // it says when a token ends

	mu      sync.Mutex
	asked   int
	ends    map[string]time.Time
	used    map[string]int // requests that were let in, by key
	refused map[string]int // and that were not
	twice   []string       // requests that were refused again under the same key
	seen    map[string]bool
}

func newHourly(fresh, known bool) *hourly {
	return &hourly{begun: time.Now(), fresh: fresh, known: known,
		ends: map[string]time.Time{}, used: map[string]int{}, refused: map[string]int{}, seen: map[string]bool{}}
}

// Retrieve implements creds.Source.
func (h *hourly) Retrieve(context.Context) (aws.Credentials, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	now := time.Now()
	n, ends := h.asked, now.Add(time.Hour)
	if !h.fresh {
		n = int(now.Sub(h.begun)/time.Hour) + 1
		ends = h.begun.Add(time.Duration(n) * time.Hour)
	}
	c := aws.Credentials{AccessKeyID: fmt.Sprint("key-", n), SecretAccessKey: fakeSecret, SessionToken: fakeToken}
	h.ends[c.AccessKeyID] = ends
	if h.known {
		c.CanExpire, c.Expires = true, ends
	}
	return c, nil
}

// What requests take: a large part so long that several are under way whenever a
// token ends.
const (
	partTakes  = 20 * time.Minute
	smallTakes = 4 * time.Minute
)

// Do implements storetest.Doer.
func (h *hourly) Do(req *http.Request) (*http.Response, error) {
	_, id, _ := strings.Cut(req.Header.Get("Authorization"), "Credential=")
	id, _, _ = strings.Cut(id, "/")
	h.mu.Lock()
	over := !time.Now().Before(h.ends[id])
	if over {
		h.refused[id]++
		what := req.Method + " " + req.URL.RequestURI() + " " + id
		if h.seen[what] {
			h.twice = append(h.twice, what)
		}
		h.seen[what] = true
	} else {
		h.used[id]++
	}
	h.mu.Unlock()
	if over {
		resp := refusal(req, 400, "ExpiredToken")
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		return resp, nil
	}
	switch storetest.OpOf(req) {
	case opPart:
		time.Sleep(partTakes)
	case opPut:
		time.Sleep(smallTakes)
	}
	return h.next.Do(req)
}

// held is a file in memory.
type held struct {
	*bytes.Reader
	st transfer.Stat
}

func (held) Close() error                   { return nil }
func (f held) Stat() (transfer.Stat, error) { return f.st, nil }
func (f held) Now() (transfer.Stat, error)  { return f.st, nil }

// shift is files that come for so long as it lasts: one of many parts, and small ones.
type shift struct {
	lasts time.Duration
	begun time.Time
	large []byte
	n     int
}

func newShift(lasts time.Duration) *shift {
	return &shift{lasts: lasts, begun: time.Now(), large: bytes.Repeat([]byte("large part "), 24*MinPartSize/11)}
}

const largeOfShift = "p/!large" // before all others

func (s *shift) body(path string) []byte {
	if path == largeOfShift {
		return s.large
	}
	return []byte("small " + path)
}

func (s *shift) item(key string) transfer.Item {
	return transfer.Item{Key: key, Path: key, Stat: transfer.Stat{Size: int64(len(s.body(key))), MTime: 1, Inode: 1}}
}

func (s *shift) entries(yield func(transfer.Entry) bool) {
	ok := yield(transfer.Entry{Item: s.item(largeOfShift)})
	for ; ok && time.Since(s.begun) < s.lasts; s.n++ {
		ok = yield(transfer.Entry{Item: s.item(fmt.Sprintf("p/%06d", s.n))})
	}
}

func (s *shift) open(path string) (transfer.File, error) {
	return held{bytes.NewReader(s.body(path)), s.item(path).Stat}, nil
}

// TestEightHours proves that a transfer of eight hours lives through its tokens of an
// hour: no file fails, no attempt is spent, each token is asked for once, and none
// is used after its end, but where nobody says when that is; then each request is
// refused once at most.
func TestEightHours(t *testing.T) {
	const lanes, hours = 4, 8
	for _, tt := range []struct {
		name         string
		fresh, known bool
		each         time.Duration // for which a token is of use
		refused      int           // for each token, at most
	}{
		{name: "login or issuer", fresh: true, known: true, each: 50 * time.Minute}, // the next one comes ten minutes ahead of each end
		{name: "file that is written anew each hour", known: true, each: time.Hour},
		{name: "paste without its end", each: time.Hour, refused: lanes * smallPerLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newHourly(tt.fresh, tt.known)
				p := creds.New(creds.Options{Sources: []creds.Source{src}})
				defer p.Close()
				r := newRig(func(o *Options) { o.Parallel, o.Credentials, o.HTTP, o.Prefix = lanes, p, src, "p/" })
				src.next = r.s3
				work := newShift(hours * time.Hour)
				j := &storetest.Journal{}
				steps := transfer.Plan(t.Context(), work.entries, transfer.PlanOptions{Records: j, Store: r.Store, Prefix: "p/", Event: r.event})
				res, err := transfer.Run(t.Context(), steps, r.Store, j, transfer.RunOptions{Items: lanes * 2 * smallPerLarge, Open: work.open, Event: r.event})
				if err != nil || !res.Complete {
					t.Errorf("%+v, %v", res, err)
				}
				took := time.Since(work.begun)
				work.check(t, r, took)
				src.check(t, int(took/tt.each)+1, tt.refused)
				if n, _ := r.told(transfer.Retry); n > 0 {
					t.Errorf("%d attempts were spent", n)
				}
				if tt.fresh && src.asked != len(src.used) {
					t.Errorf("asked %d times for %d tokens", src.asked, len(src.used))
				}
				t.Logf("%v: %d files, %d tokens, asked %d times, refused %v", took, work.n+1, len(src.used), src.asked, src.refused)
			})
		})
	}
}

func (s *shift) check(t *testing.T, r *rig, took time.Duration) {
	t.Helper()
	if took < s.lasts || s.n < 500 || len(r.s3.objects) != s.n+1 {
		t.Errorf("%d of %d files were stored in %v", len(r.s3.objects), s.n+1, took)
	}
	for key, body := range r.s3.objects {
		if !bytes.Equal(body, s.body(key)) {
			t.Fatalf("%s has other bytes", key)
		}
	}
	if n, _ := r.told(transfer.Failed); n > 0 {
		t.Errorf("%d files failed", n)
	}
}

func (h *hourly) check(t *testing.T, tokens, refused int) {
	t.Helper()
	// One more or less: the last may have come just before the end.
	if n := len(h.used); n < 8 || n < tokens-1 || n > tokens+1 {
		t.Errorf("%d tokens were used, want %d", n, tokens)
	}
	for id, n := range h.refused {
		if n > refused {
			t.Errorf("%s was used %d times after its end", id, n)
		}
	}
	if len(h.twice) > 0 {
		t.Errorf("refused again under the same token: %q", h.twice)
	}
}
