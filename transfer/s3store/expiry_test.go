package s3store

import (
	"context"
	"errors"
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

var _ Credentials = (*creds.Provider)(nil)

// issuer is a source that gives another key each time, and counts.
type issuer struct {
	mu    sync.Mutex
	asked int
}

func (i *issuer) Retrieve(context.Context) (aws.Credentials, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	return aws.Credentials{AccessKeyID: fmt.Sprint("key-", i.asked), SecretAccessKey: fakeSecret, SessionToken: fakeToken}, nil
}

// hold keeps the requests that match until n of them are there, or for ever
// until free is called; then they all get fault, or their proper answer.
type hold struct {
	next  storetest.Doer
	match func(*http.Request) bool
	n     int
	fault *storetest.Fault

	mu   sync.Mutex
	held int
	seen map[string]int // by request and key
	gone chan struct{}
}

func (h *hold) Do(req *http.Request) (*http.Response, error) {
	if !h.match(req) {
		return h.next.Do(req)
	}
	h.mu.Lock()
	h.held++
	if h.held == h.n {
		close(h.gone)
	}
	key, _, _ := strings.Cut(req.Header.Get("Authorization"), "/")
	h.seen[req.URL.RequestURI()+" "+key]++
	h.mu.Unlock()
	<-h.gone
	if h.fault != nil {
		return h.fault.Answer(req, nil)
	}
	return h.next.Do(req)
}

// With many requests in flight when the token ends, the sources are asked once,
// and each request is refused once, however the store calls that.
func TestRefusedAtOnce(t *testing.T) {
	for _, fault := range []storetest.Fault{
		storetest.Refuse(400, "ExpiredToken"),         // AWS
		storetest.Refuse(403, "InvalidAccessKeyId"),   // MinIO, SeaweedFS
		storetest.Refuse(403, "AccessDenied"),         // Ceph RGW
		storetest.Refuse(400, "TokenRefreshRequired"), // AWS also
	} {
		synctest.Test(t, func(t *testing.T) {
			const objects = 61 // and three parts make 64
			h := &hold{n: objects + 3, fault: &fault, seen: map[string]int{}, gone: make(chan struct{})}
			src := &issuer{}
			p := creds.New(creds.Options{Sources: []creds.Source{src}})
			defer p.Close()
			r := newRig(func(o *Options) { o.Parallel, o.Credentials, o.HTTP = 64, p, h })
			h.next, h.match = r.s3, func(*http.Request) bool { return false }
			r.open()
			r.mustPut(t, "first", nil)
			h.match = func(req *http.Request) bool {
				op := storetest.OpOf(req)
				return (op == opPut || op == opPart) && underKey("key-1")(req)
			}
			var all sync.WaitGroup
			for i := range objects {
				all.Go(func() { r.mustPut(t, fmt.Sprint(i), []byte("body")) })
			}
			all.Go(func() { r.mustPut(t, "parts", big()) })
			all.Wait()
			if src.asked != 2 {
				t.Errorf("the source was asked %d times", src.asked)
			}
			if h.held != h.n || len(h.seen) != h.n {
				t.Errorf("%d refusals of %d requests", h.held, len(h.seen))
			}
			if n, _ := r.told(transfer.Retry); n != 0 {
				t.Errorf("%d attempts were spent", n)
			}
		})
	}
}

// A key that is replaced does not disturb what is in flight under it.
func TestSwapWhileInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hold{match: underKey("key-1"), seen: map[string]int{}, gone: make(chan struct{})}
		r := newRig(func(o *Options) { o.Parallel, o.HTTP = 16, h })
		h.next = r.s3
		r.open()
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() { r.mustPut(t, fmt.Sprint(i), []byte("body")) })
		}
		synctest.Wait()
		r.keys.swap("key-2", time.Time{})
		r.mustPut(t, "later", []byte("body"))
		close(h.gone)
		all.Wait()
		if h.held != 16 || r.s3.count(opPut) != 17 || len(r.keys.whys) != 0 {
			t.Errorf("%d in flight, %d stored, given back for %q", h.held, r.s3.count(opPut), r.keys.whys)
		}
	})
}

// MinIO and SeaweedFS say InvalidAccessKeyId of a token that has ended.
func TestUnknownKeyThatWorkedIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.mustPut(t, "first", nil)
		r.faults.On(0, underKey("key-1"), storetest.Refuse(403, "InvalidAccessKeyId"))
		time.AfterFunc(time.Hour, func() { r.keys.swap("key-2", time.Time{}) })
		r.mustPut(t, "k", []byte("body"))
		if n, _ := r.told(transfer.Retry); n != 0 || r.keys.given("key-1") != 1 {
			t.Errorf("%d attempts were spent, given back %d times", n, r.keys.given("key-1"))
		}
	})
}

// In mid-run a key that nobody knows is waited out like an old one: somebody
// mistook it and will find the right one.
func TestWrongKeyLaterIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.mustPut(t, "first", nil)
		r.keys.swap("key-2", time.Time{})
		r.faults.On(0, underKey("key-2"), storetest.Refuse(400, "InvalidToken"))
		time.AfterFunc(time.Hour, func() { r.keys.swap("key-3", time.Time{}) })
		r.mustPut(t, "k", []byte("body"))
	})
}

// Ceph RGW says AccessDenied of a token that has ended.
func TestDeniedMayMeanExpiry(t *testing.T) {
	for _, tt := range []struct {
		name   string
		known  bool // when the token ends
		renews bool // the sources have another one at once
		asked  int  // for another key: once for each request
		why    string
	}{
		{name: "a known end", known: true, why: "AccessDenied"},
		{name: "an unknown end", asked: 8, why: "AccessDenied to PutObject, which it could before"},
		{name: "an unknown end, renewed", renews: true, asked: 8, why: "AccessDenied to PutObject, which it could before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(func(o *Options) {
					o.Prefix = "ws/"
					latency(o)
				})
				r.open()
				if tt.known {
					r.keys.swap("key-1", time.Now().Add(time.Minute))
				}
				r.mustList(t, "ws/")
				r.mustPut(t, "ws/first", nil)
				time.Sleep(2 * time.Minute)
				r.faults.On(0, underKey("key-1"), storetest.Refuse(403, "AccessDenied"))
				next := func() { r.keys.swap("key-2", time.Time{}) }
				if tt.renews {
					r.keys.renew = next
				} else {
					time.AfterFunc(time.Hour, next)
				}
				began := time.Now()
				var all sync.WaitGroup
				for i := range 8 {
					all.Go(func() { r.mustPut(t, fmt.Sprint("ws/", i), []byte("body")) })
				}
				all.Wait()
				if d := time.Since(began).Round(time.Minute); tt.renews && d != 0 || !tt.renews && d != time.Hour {
					t.Errorf("took %v", d)
				}
				if len(r.keys.refreshed) != tt.asked || r.keys.given("key-2") != 0 || r.keys.whys[0] != tt.why {
					t.Errorf("asked %d times, given back for %q", len(r.keys.refreshed), r.keys.whys)
				}
				if n := r.s3.count(opList); n != 2 { // the first, and key-2's
					t.Errorf("%d listings", n)
				}
			})
		})
	}
}

// A token may end behind the listing that it is admitted by, and before anything was
// written with it: no file fails by that, either.
func TestEndedBehindItsListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) {
			o.Prefix, o.Parallel = "ws/", 8
			latency(o)
		})
		r.open()
		r.mustList(t, "ws/")
		r.mustPut(t, "ws/first", nil)
		time.Sleep(time.Minute)
		r.keys.swap("key-2", time.Time{})
		listed := false
		r.faults.On(0, func(req *http.Request) bool {
			second, before := underKey("key-2")(req), listed
			listed = listed || second
			return second && before
		}, storetest.Refuse(403, "AccessDenied"))
		time.AfterFunc(time.Hour, func() { r.keys.swap("key-3", time.Time{}) })
		began := time.Now()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() { r.mustPut(t, fmt.Sprint("ws/", i), []byte("body")) })
		}
		all.Wait()
		if d := time.Since(began).Round(time.Minute); d != time.Hour || r.keys.given("key-2") == 0 || r.keys.given("key-3") != 0 {
			t.Errorf("took %v, given back for %q", d, r.keys.whys)
		}
	})
}

// One object that may not be written fails, once and alone.
func TestDeniedObject(t *testing.T) {
	deniedKey := func(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/ws/denied") }
	for _, tt := range []struct {
		name         string
		lists        bool // the role may
		renews       bool
		requests     int
		listings     int
		dead1, dead2 int
	}{
		{name: "nothing newer", lists: true, requests: 1, listings: 2},
		{name: "nothing newer, no right to list", requests: 1},
		{name: "another key", lists: true, renews: true, requests: 2, listings: 2, dead1: 1},
		{name: "another key, no right to list", renews: true, requests: 2, dead1: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(func(o *Options) { o.Prefix = "ws/" })
				if tt.lists {
					r.mustList(t, "ws/")
				}
				r.mustPut(t, "ws/first", nil)
				if tt.renews {
					r.keys.renew = func() { r.keys.swap("key-2", time.Time{}) }
				}
				n := 0
				r.faults.On(0, func(req *http.Request) bool {
					if deniedKey(req) {
						n++
						return true
					}
					return false
				}, storetest.Refuse(403, "AccessDenied"))
				time.Sleep(time.Minute)
				_, err := r.put(t, "ws/denied", nil)
				if !errors.Is(err, transfer.ErrDenied) || transfer.Fatal(err) || n != tt.requests {
					t.Errorf("%d requests: %v", n, err)
				}
				if len(r.keys.refreshed) != 1 || r.s3.count(opList) != tt.listings {
					t.Errorf("%d times asked for another key, %d listings", len(r.keys.refreshed), r.s3.count(opList))
				}
				if r.keys.given("key-1") != tt.dead1 || r.keys.given("key-2") != 0 {
					t.Errorf("given back for %q", r.keys.whys)
				}
				r.mustPut(t, "ws/next", nil)
			})
		})
	}
}

// Many denied at once ask by one listing, and by few even when they come one by one.
func TestManyDeniedObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) {
			o.Prefix, o.Parallel = "ws/", 16
			latency(o)
		})
		r.open()
		r.mustList(t, "ws/")
		r.mustPut(t, "ws/first", nil)
		r.faults.On(0, storetest.Op(opPut), storetest.Refuse(403, "AccessDenied"))
		began := time.Now()
		for range 3 {
			var all sync.WaitGroup
			for i := range 16 {
				all.Go(func() {
					if _, err := r.put(t, fmt.Sprint("ws/", i), nil); !errors.Is(err, transfer.ErrDenied) {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		if d, n := time.Since(began), r.s3.count(opList); n != 1+3 || d < 2*listEvery || d > 3*listEvery {
			t.Errorf("%d listings in %v", n, d)
		}
	})
}

// While the listing that is to tell can't be had, nothing is decided.
func TestDoubtInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) { o.Prefix = "ws/" })
		r.mustList(t, "ws/")
		r.mustPut(t, "ws/first", nil)
		for n := range 3 {
			r.faults.On(n+1, storetest.Op(opList), storetest.Refuse(503, "SlowDown"))
		}
		r.faults.On(0, underKey("key-1"), storetest.Refuse(403, "AccessDenied"))
		time.AfterFunc(time.Hour, func() { r.keys.swap("key-2", time.Time{}) })
		r.mustPut(t, "ws/k", []byte("body"))
		if n, _ := r.told(transfer.Retry); n != 3 || len(r.keys.refreshed) != 1 || r.keys.given("key-1") != 1 {
			t.Errorf("%d retries, %d times asked, given back for %q", n, len(r.keys.refreshed), r.keys.whys)
		}
	})
}
