package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
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

const (
	keyA = "ASIAAAAAAAAAAAAAAAAA"
	keyB = "ASIABBBBBBBBBBBBBBBB"
	keyC = "ASIACCCCCCCCCCCCCCCC"
)

// both matches what all of ms match.
func both(ms ...func(*http.Request) bool) func(*http.Request) bool {
	return func(req *http.Request) bool {
		return !slices.ContainsFunc(ms, func(m func(*http.Request) bool) bool { return !m(req) })
	}
}

func (r *rig) mustList(t *testing.T, prefix string) {
	t.Helper()
	for _, err := range r.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// atRotation is a rig that worked under keyA and has keyB now.
func atRotation(t *testing.T, lists bool, change func(*Options)) *rig {
	r := newRig(func(o *Options) {
		o.Prefix, o.Parallel = "ws/", 16
		latency(o)
		if change != nil {
			change(o)
		}
	})
	r.open()
	r.keys.swap(keyA, time.Time{})
	if lists {
		r.mustList(t, "ws/")
	}
	r.mustPut(t, "ws/first", nil)
	r.keys.swap(keyB, time.Time{})
	return r
}

// putMany puts n objects at once.
func (r *rig) putMany(t *testing.T, n int) {
	t.Helper()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { r.mustPut(t, fmt.Sprint("ws/", i), []byte("body")) })
	}
	all.Wait()
}

// Credentials of another workspace, put in place of the old ones, are refused
// by name; nothing fails, and the right ones go on.
func TestAnotherIdentity(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lists bool
		puts  int // refused
		want  string
	}{
		{name: "that may not list", lists: true,
			want: "key ASIA…BBBB from test may not list s3://b/ws/, which key ASIA…AAAA from test could: it is for another workspace or account"},
		{name: "where no key may list", puts: 16,
			want: "key ASIA…BBBB from test may not write to s3://b/ws/, which key ASIA…AAAA from test could: it is for another workspace or account"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := atRotation(t, tt.lists, nil)
				refused := map[string]int{}
				var mu sync.Mutex
				r.faults.On(0, func(req *http.Request) bool {
					mu.Lock()
					defer mu.Unlock()
					if underKey(keyB)(req) {
						refused[storetest.OpOf(req)]++
						return true
					}
					return false
				}, storetest.Refuse(403, "AccessDenied"))
				time.AfterFunc(time.Hour, func() { r.keys.swap(keyC, time.Time{}) })
				r.putMany(t, 16)
				if refused[opPut] != tt.puts || refused[opList] > 1 {
					t.Errorf("refused: %v", refused)
				}
				if got := r.texts(transfer.Notice); !slices.Equal(got, []string{tt.want}) || r.keys.whys[0] != tt.want {
					t.Errorf("said %q, given back for %q", got, r.keys.whys)
				}
				if r.keys.given(keyA)+r.keys.given(keyC) != 0 || len(r.keys.refreshed) != 0 {
					t.Errorf("given back for %q; asked for others than %q", r.keys.whys, r.keys.refreshed)
				}
				if n, _ := r.told(transfer.Retry); n != 0 {
					t.Errorf("%d attempts were spent", n)
				}
				for _, text := range append(r.keys.whys, r.texts(transfer.Notice)...) {
					if strings.Contains(text, fakeSecret) || strings.Contains(text, fakeToken) {
						t.Errorf("a secret in %q", text)
					}
				}
			})
		})
	}
}

// With the real provider, whose source gives another key each time.
func TestAnotherIdentityThenARightOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &issuer{}
		p := creds.New(creds.Options{Sources: []creds.Source{src}})
		defer p.Close()
		r := newRig(func(o *Options) {
			o.Prefix, o.Parallel, o.Credentials = "ws/", 16, p
			latency(o)
		})
		r.open()
		r.mustList(t, "ws/")
		r.faults.On(0, underKey("key-1"), storetest.Refuse(400, "ExpiredToken"))
		r.faults.On(0, underKey("key-2"), storetest.Refuse(403, "AccessDenied"))
		r.putMany(t, 16)
		if src.asked != 3 || r.s3.count(opList) != 2 {
			t.Errorf("the source was asked %d times, %d listings were granted", src.asked, r.s3.count(opList))
		}
		if got := r.texts(transfer.Notice); len(got) != 1 || !strings.Contains(got[0], "another workspace or account") {
			t.Errorf("said %q", got)
		}
	})
}

// Where no other credentials come, that is what a request ends with.
func TestAnotherIdentityForGood(t *testing.T) {
	for name, request := range map[string]func(*rig) error{
		"put":  func(r *rig) error { _, err := r.Put(context.Background(), r.in("ws/k", nil, nil)); return err },
		"stat": func(r *rig) error { _, err := r.Stat(context.Background(), "ws/k"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := atRotation(t, true, func(o *Options) { o.KeyPatience = time.Minute })
				r.faults.On(0, underKey(keyB), storetest.Refuse(403, "AccessDenied"))
				began := time.Now()
				err := request(r)
				if !errors.Is(err, transfer.ErrCredentials) || errors.Is(err, transfer.ErrDenied) || !strings.Contains(err.Error(), "key ASIA…BBBB from test may not list") {
					t.Error(err)
				}
				if d := time.Since(began).Round(time.Second); d != time.Minute {
					t.Errorf("ended after %v", d)
				}
			})
		})
	}
}

// What the first listing under a new key can end with, beside a denial.
func TestNewKey(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fault    *storetest.Fault
		given    int // how often keyB was given back
		why      string
		listings int // under keyB: for 16 requests at once and, a minute later, for one more
	}{
		{name: "good", listings: 1},
		{name: "dead", fault: ptr(storetest.Refuse(400, "ExpiredToken")), given: 1, why: "ExpiredToken", listings: 1},
		{name: "damaged", fault: ptr(storetest.Refuse(403, "SignatureDoesNotMatch")), given: 1, why: "SignatureDoesNotMatch", listings: 1},
		{name: "busy", fault: ptr(storetest.Refuse(503, "SlowDown")), listings: 2},
		{name: "lost", fault: ptr(storetest.Reset(false)), listings: 2},
		{name: "not S3's", fault: ptr(storetest.HTML()), listings: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := atRotation(t, true, nil)
				n := 0
				r.faults.On(0, both(underKey(keyB), storetest.Op(opList), func(*http.Request) bool { n++; return false }), storetest.Fault{})
				if tt.fault != nil {
					r.faults.On(1, both(underKey(keyB), storetest.Op(opList)), *tt.fault)
				}
				time.AfterFunc(30*time.Second, func() {
					if tt.given > 0 {
						r.keys.swap(keyC, time.Time{})
					}
				})
				r.putMany(t, 16)
				time.Sleep(time.Minute)
				r.putMany(t, 1)
				r.putMany(t, 1)
				if n != tt.listings {
					t.Errorf("%d listings", n)
				}
				if tt.given > 0 && (r.keys.given(keyB) == 0 || r.keys.whys[0] != tt.why) || tt.given == 0 && len(r.keys.whys) != 0 {
					t.Errorf("given back for %q", r.keys.whys)
				}
			})
		})
	}
}

func ptr(f storetest.Fault) *storetest.Fault { return &f }

// A role may be held to "ws/*": what lies below the prefix was listed, it never was.
func TestListingBelowThePrefixProvesLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := atRotation(t, false, func(o *Options) { o.Prefix = "ws" })
		r.keys.swap(keyA, time.Time{})
		r.mustList(t, "ws/")
		r.keys.swap(keyB, time.Time{})
		r.faults.On(0, func(req *http.Request) bool { return req.URL.Query().Get("prefix") == "ws" }, storetest.Refuse(403, "AccessDenied"))
		r.putMany(t, 4)
		if len(r.keys.whys) != 0 {
			t.Errorf("given back for %q", r.keys.whys)
		}
	})
}

// While the first listing under a new key is out, what would use that key
// waits, and what is in flight under the old one goes on.
func TestNewKeyIsJudgedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hold{match: both(underKey(keyB), storetest.Op(opList)), n: 2, seen: map[string]int{}, gone: make(chan struct{})}
		old := &hold{match: both(underKey(keyA), func(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/old") }),
			seen: map[string]int{}, gone: make(chan struct{}), next: h}
		r := newRig(func(o *Options) { o.Prefix, o.Parallel, o.HTTP = "ws/", 16, old })
		h.next = r.s3
		r.open()
		r.keys.swap(keyA, time.Time{})
		r.mustList(t, "ws/")
		var all sync.WaitGroup
		all.Go(func() { r.mustPut(t, "ws/old", []byte("body")) })
		synctest.Wait()
		r.keys.swap(keyB, time.Time{})
		all.Go(func() { r.putMany(t, 8) })
		synctest.Wait()
		if h.held != 1 || r.s3.count(opPut) != 0 {
			t.Errorf("%d listings, %d stored before it was judged", h.held, r.s3.count(opPut))
		}
		close(old.gone)
		synctest.Wait()
		if n := r.s3.count(opPut); n != 1 {
			t.Errorf("%d stored under the old key", n)
		}
		close(h.gone)
		all.Wait()
		if h.held != 1 || r.s3.count(opPut) != 9 {
			t.Errorf("%d listings, %d stored", h.held, r.s3.count(opPut))
		}
	})
}

// A cancelled request takes the listing with it; the next one makes its own.
func TestNewKeyJudgedByTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := atRotation(t, true, nil)
		r.faults.On(1, storetest.Op(opList), storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}})
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := r.Put(ctx, r.in("ws/ended", nil, nil)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		all.Go(func() { r.putMany(t, 8) })
		synctest.Wait()
		cancel()
		all.Wait()
		if n := r.s3.count(opList); n != 2 {
			t.Errorf("%d listings", n)
		}
	})
}

// oneSet is one set of credentials and no other.
type oneSet struct {
	aws.Credentials
	dead bool
}

func (o *oneSet) Retrieve(context.Context) (aws.Credentials, error) {
	if o.dead {
		return aws.Credentials{}, errors.New("no live credentials")
	}
	return o.Credentials, nil
}

func (o *oneSet) Wait(ctx context.Context) (aws.Credentials, error) { return o.Retrieve(ctx) }

func (o *oneSet) Another(ctx context.Context, _ string, _ bool) (aws.Credentials, error) {
	return o.Retrieve(ctx)
}

func (o *oneSet) Invalidate(aws.Credentials, string) { o.dead = true }

func (o *oneSet) ServerTime(time.Time) {}

func TestCheck(t *testing.T) {
	all := []error{transfer.ErrRefused, transfer.ErrDenied, transfer.ErrUnreachable, transfer.ErrCredentials}
	for _, tt := range []struct {
		name  string
		fault *storetest.Fault
		is    []error
		code  string
		text  string
	}{
		{name: "good"},
		{name: "ended", fault: ptr(storetest.Refuse(400, "ExpiredToken")), is: []error{transfer.ErrRefused, transfer.ErrCredentials}, code: "ExpiredToken",
			text: "ListObjectsV2 ws/: ExpiredToken: as the test wants it (HTTP 400)"},
		{name: "damaged", fault: ptr(storetest.Refuse(400, "InvalidToken")), is: []error{transfer.ErrRefused}, code: "InvalidToken",
			text: "ListObjectsV2 ws/: InvalidToken: as the test wants it (HTTP 400)"},
		{name: "unknown", fault: ptr(storetest.Refuse(403, "InvalidAccessKeyId")), is: []error{transfer.ErrRefused}, code: "InvalidAccessKeyId"},
		{name: "wrong secret", fault: ptr(storetest.Refuse(403, "SignatureDoesNotMatch")), is: []error{transfer.ErrRefused}, code: "SignatureDoesNotMatch"},
		{name: "denied", fault: ptr(storetest.Refuse(403, "AccessDenied")), is: []error{transfer.ErrDenied}, code: "AccessDenied"},
		{name: "away", fault: ptr(storetest.Reset(false)), is: []error{transfer.ErrUnreachable}},
		{name: "portal", fault: ptr(storetest.HTML()), is: []error{transfer.ErrUnreachable}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := &oneSet{Credentials: aws.Credentials{AccessKeyID: keyA, SecretAccessKey: fakeSecret, SessionToken: fakeToken}}
				r := newRig(func(o *Options) { o.Prefix, o.Credentials, o.FirstPatience = "ws/", set, 10*time.Second })
				if tt.fault != nil {
					r.faults.On(0, nil, *tt.fault)
				}
				began := time.Now()
				err := r.Check(t.Context())
				for _, e := range all {
					if errors.Is(err, e) != slices.Contains(tt.is, e) {
						t.Errorf("%v is %v: %v", err, e, errors.Is(err, e))
					}
				}
				var f *Fault
				if errors.As(err, &f); tt.code != "" && (f == nil || f.Code != tt.code) {
					t.Errorf("%v does not tell the code", err)
				}
				var te *transfer.Error
				if !errors.As(err, &te) && tt.is != nil || tt.text != "" && err.Error() != tt.text {
					t.Errorf("said %q", err)
				}
				if tt.is == nil && (err != nil || r.s3.count(opList) != 1 || len(r.s3.ops) != 1) {
					t.Errorf("%v after %v", err, r.s3.ops)
				}
				if d := time.Since(began); d > 10*time.Second+backoffCap {
					t.Errorf("took %v", d)
				}
			})
		})
	}
}

// Keys that are denied whatever they are tried for, before any other was
// granted anything, give way to another source's at the first write. A listing
// alone that is denied is no such sign.
func TestSomebodyElsesKeyFromTheStart(t *testing.T) {
	for _, tt := range []struct {
		name    string
		sources []string // that have another key, in turn; the last for ever
		right   string
		asked   int
	}{
		{"a login behind a role", []string{keyB}, keyB, 1},
		{"the third one is right", []string{keyB, keyC}, keyC, 2},
		{"there is no other", nil, "", 1},
		{"there are others without end", []string{"K1", "K2", "K3", "K4", "K5", "K6", "K7", "K8", "K9", "K10", "K11"}, "", mostSources},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(func(o *Options) { o.Prefix = "ws/" })
				r.open()
				r.keys.swap(keyA, time.Time{})
				asked := 0
				if tt.sources != nil {
					r.keys.renew = func() {
						r.keys.swap(tt.sources[min(asked, len(tt.sources)-1)], time.Time{})
						asked++
					}
				}
				right := underKey(tt.right)
				r.faults.On(0, func(req *http.Request) bool { return tt.right == "" || !right(req) }, storetest.Refuse(403, "AccessDenied"))
				for _, err := range r.List(t.Context(), "ws/", "") {
					if !errors.Is(err, transfer.ErrDenied) || len(r.keys.whys) != 0 || len(r.keys.refreshed) != 0 {
						t.Fatalf("listing: %v, given back for %q", err, r.keys.whys)
					}
				}
				_, err := r.put(t, "ws/first", nil)
				if tt.right == "" {
					if !errors.Is(err, transfer.ErrRefused) || len(r.keys.refreshed) != tt.asked {
						t.Errorf("%v, asked for others than %q", err, r.keys.refreshed)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				r.mustPut(t, "ws/x", nil)
				if r.keys.given(keyA) != 1 || r.keys.given(tt.right) != 0 || len(r.keys.refreshed) != tt.asked {
					t.Errorf("given back for %q, asked for others than %q", r.keys.whys, r.keys.refreshed)
				}
				if said := r.texts(transfer.Notice); len(said) != tt.asked || !strings.HasPrefix(said[0], "key ASIA…AAAA from test is denied s3://b/ws/: trying key ASIA…BBBB from test") {
					t.Errorf("said %q", said)
				}
			})
		})
	}
}
