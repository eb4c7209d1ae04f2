package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
	"agent/transfer/storetest"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// doer is an HTTP client made of a function.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// underKey matches what is signed with one key.
func underKey(id string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return strings.Contains(r.Header.Get("Authorization"), "Credential="+id+"/")
	}
}

func TestExpiredTokenSpendsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.faults.On(0, underKey("key-1"), storetest.Refuse(400, "ExpiredToken"))
		began := time.Now()
		time.AfterFunc(time.Hour, func() { r.keys.swap("key-2", time.Time{}) })
		r.mustPut(t, "k", []byte("body"))
		if waited := time.Since(began); waited != time.Hour {
			t.Errorf("waited %v", waited)
		}
		if n := r.keys.given("key-1"); n != 1 {
			t.Errorf("given back %d times", n)
		}
		if n, _ := r.told(transfer.Retry); n != 0 {
			t.Errorf("%d retries", n)
		}
	})
}

func TestManyRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) { o.Parallel = 64 })
		refused := 0
		r.faults.On(0, func(req *http.Request) bool {
			if underKey("key-1")(req) {
				refused++
				return true
			}
			return false
		}, storetest.Refuse(400, "ExpiredToken"))
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() { r.mustPut(t, fmt.Sprint(i), []byte("body")) })
		}
		synctest.Wait()
		r.keys.swap("key-2", time.Time{})
		all.Wait()
		if refused > 64 || r.s3.count(opPut) != 64 {
			t.Errorf("%d refused, %d stored", refused, r.s3.count(opPut))
		}
	})
}

func TestExpiredWhileTheCircuitIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.mustPut(t, "first", nil)
		down := atomic.Bool{}
		down.Store(true)
		r.faults.On(0, func(*http.Request) bool { return down.Load() }, storetest.Reset(false))
		r.faults.On(0, underKey("key-1"), storetest.Refuse(400, "ExpiredToken"))
		time.AfterFunc(10*time.Minute, func() { down.Store(false) })
		time.AfterFunc(20*time.Minute, func() { r.keys.swap("key-2", time.Time{}) })
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() { r.mustPut(t, fmt.Sprint(i), []byte("body")) })
		}
		all.Wait()
		waiting, _ := r.told(transfer.Waiting)
		going, _ := r.told(transfer.Going)
		if waiting != going || waiting == 0 {
			t.Errorf("%d times waiting, %d going", waiting, going)
		}
	})
}

func TestOneRequestAloneTellsThatTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		back := time.Now().Add(20 * time.Second)
		r.faults.On(0, func(*http.Request) bool { return time.Now().Before(back) }, storetest.Reset(false))
		var all sync.WaitGroup
		all.Go(func() { r.mustPut(t, "alone", []byte("body")) })
		time.Sleep(15 * time.Second)
		if n, _ := r.told(transfer.Waiting); n != 1 {
			t.Errorf("told %d times within 15 s", n)
		}
		all.Wait()
		if n, _ := r.told(transfer.Going); n != 1 {
			t.Errorf("told %d times that it goes on", n)
		}
	})
}

func TestEndedProbeLetsTheNextOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.mustPut(t, "first", nil)
		r.health.mu.Lock()
		r.health.row = breakAfter
		r.health.mu.Unlock()
		blocked := make(chan struct{})
		r.faults.On(1, nil, storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
			close(blocked)
			<-req.Context().Done()
			return nil, req.Context().Err()
		}})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-blocked
			synctest.Wait()
			cancel()
		}()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := r.Put(ctx, r.in("probe", nil, nil)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		<-blocked
		all.Go(func() { r.mustPut(t, "next", []byte("body")) })
		all.Wait()
	})
}

// TestGivenUpProbeLetsTheNextOneTry proves that a request which has failed too
// often, and is the one that tries while the store is away, does not leave all
// others waiting for ever.
func TestGivenUpProbeLetsTheNextOneTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		last := try{s: r.Store, op: opPut, key: "poison", count: maxAttempts - 1, since: time.Now()}
		time.Sleep(time.Second)
		r.mustPut(t, "well", nil) // since its last attempt but one
		r.health.mu.Lock()
		r.health.row = breakAfter
		r.health.mu.Unlock()
		cr, err := last.ready(t.Context())
		if err != nil || last.ticket == 0 {
			t.Fatalf("it does not try alone: ticket %d, %v", last.ticket, err)
		}
		if again, err := last.judge(t.Context(), cr, time.Now(), syscall.ECONNRESET); again || !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("it is to be given up: %v, %v", again, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := r.Put(ctx, r.in("next", nil, nil)); err != nil {
			t.Errorf("nobody may try any more: %v", err)
		}
	})
}

func TestCircuitLetsOneProbeThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, most int
		var mu sync.Mutex
		back := time.Now().Add(time.Hour)
		s3 := &fakeS3{}
		r := newRig(func(o *Options) {
			o.Parallel = 64
			o.HTTP = doer(func(req *http.Request) (*http.Response, error) {
				mu.Lock()
				out++
				if time.Since(back) > -50*time.Minute && time.Now().Before(back) {
					most = max(most, out)
				}
				mu.Unlock()
				defer func() { mu.Lock(); out--; mu.Unlock() }()
				time.Sleep(time.Second)
				if time.Now().Before(back) {
					return nil, syscall.ECONNREFUSED
				}
				return s3.Do(req)
			})
		})
		r.health.succeeded(r.event)
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				if _, err := r.put(t, fmt.Sprint(i), nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if most != 1 {
			t.Errorf("%d requests at once while the store was away", most)
		}
		if late := time.Since(back); late > 2*time.Minute {
			t.Errorf("%v until all was stored", late)
		}
	})
}

func TestStormWithPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) { o.Parallel = 16; o.Seed = nil })
		var n atomic.Int64
		over := time.Now().Add(3 * time.Minute)
		r.faults.On(0, func(*http.Request) bool {
			return time.Now().Before(over) || n.Add(1)%4 != 0
		}, storetest.Refuse(503, "SlowDown"))
		r.health.succeeded(r.event)
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() { r.mustPut(t, fmt.Sprint(i), []byte("body")) })
		}
		all.Wait()
	})
}

func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		name            string
		before          bool
		patience, first time.Duration
		want            time.Duration
	}{
		{name: "before the first answer", first: 0, want: time.Minute},
		{name: "before the first answer, longer", first: 5 * time.Minute, want: 5 * time.Minute},
		{name: "later", before: true, patience: time.Hour, want: time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(func(o *Options) { o.Patience, o.FirstPatience = tt.patience, tt.first })
				if tt.before {
					r.mustPut(t, "first", nil)
				}
				r.faults.On(0, nil, storetest.Reset(false))
				began := time.Now()
				_, err := r.put(t, "k", nil)
				if !errors.Is(err, transfer.ErrUnreachable) || !transfer.Fatal(err) {
					t.Error(err)
				}
				if d := time.Since(began); d < tt.want || d > tt.want+backoffCap {
					t.Errorf("gave up after %v", d)
				}
			})
		})
	}
}

// Waiting for a key is not the store's absence.
func TestKeyWaitIsNoAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) { o.Patience = time.Hour })
		r.mustPut(t, "first", nil)
		r.faults.On(1, nil, storetest.Refuse(503, "SlowDown"))
		r.faults.On(2, nil, storetest.Refuse(400, "ExpiredToken"))
		r.faults.On(3, nil, storetest.Refuse(503, "SlowDown"))
		time.AfterFunc(8*time.Hour, func() { r.keys.swap("key-2", time.Time{}) })
		r.mustPut(t, "k", []byte("body"))
	})
}

func TestPoisonObjectFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		poison := 0
		r.faults.On(0, func(req *http.Request) bool {
			if strings.HasSuffix(req.URL.Path, "/poison") {
				poison++
				return true
			}
			return false
		}, storetest.Refuse(500, "InternalError"))
		ctx, cancel := context.WithCancel(t.Context())
		var others sync.WaitGroup
		others.Go(func() {
			for ctx.Err() == nil {
				r.mustPut(t, "well", []byte("body"))
				time.Sleep(100 * time.Millisecond)
			}
		})
		synctest.Wait()
		_, err := r.put(t, "poison", []byte("body"))
		cancel()
		others.Wait()
		if err == nil || transfer.Fatal(err) || poison < maxAttempts || poison > maxAttempts+1 {
			t.Errorf("%d attempts, %v", poison, err)
		}
	})
}

func TestStopEndsWaiting(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{
		"backoff": storetest.Reset(false), "credentials": storetest.Refuse(400, "ExpiredToken"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(nil)
				r.faults.On(0, nil, fault)
				time.AfterFunc(20*time.Second+time.Millisecond, func() { close(r.stop) })
				began := time.Now()
				_, err := r.put(t, "k", nil)
				if !errors.Is(err, transfer.ErrStopped) || transfer.Fatal(err) {
					t.Error(err)
				}
				if d := time.Since(began); d != 20*time.Second+time.Millisecond {
					t.Errorf("ended after %v", d)
				}
				if _, err := r.put(t, "l", nil); !errors.Is(err, transfer.ErrStopped) {
					t.Errorf("begun after the stop: %v", err)
				}
			})
		})
	}
}

func TestKeyPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) { o.KeyPatience = time.Hour })
		for range 2 { // before the first answer as later
			r.keys.Invalidate(aws.Credentials{AccessKeyID: "key-1"}, "test")
			began := time.Now()
			if _, err := r.put(t, "k", nil); !errors.Is(err, transfer.ErrCredentials) || time.Since(began) != time.Hour {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			r.keys.swap("key-1", time.Time{})
			r.mustPut(t, "k", nil)
		}
	})
}

// Sets that come and are refused, one after the other, are no credentials either.
func TestKeyPatienceOverManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) { o.KeyPatience = time.Hour })
		r.mustPut(t, "first", nil)
		r.faults.On(0, nil, storetest.Refuse(400, "ExpiredToken"))
		began := time.Now()
		for n := range 9 {
			time.AfterFunc(time.Duration(n+1)*7*time.Minute, func() { r.keys.swap(fmt.Sprint("key-", n+2), time.Time{}) })
		}
		_, err := r.put(t, "k", nil)
		var f *Fault
		if !errors.Is(err, transfer.ErrCredentials) || !errors.As(err, &f) || f.Code != "ExpiredToken" {
			t.Error(err)
		}
		if !strings.HasSuffix(err.Error(), "; the last ones were refused: ExpiredToken: as the test wants it (HTTP 400)") {
			t.Errorf("%q does not say why", err)
		}
		if d := time.Since(began); d != time.Hour {
			t.Errorf("gave up after %v", d)
		}
	})
}

// Patience is for one wait; it begins anew once a key did something.
func TestKeyPatienceBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(func(o *Options) { o.KeyPatience = time.Hour })
		r.faults.On(1, nil, storetest.Refuse(400, "ExpiredToken"))
		r.faults.On(2, nil, storetest.Refuse(503, "SlowDown"))
		r.faults.On(3, nil, storetest.Refuse(400, "ExpiredToken"))
		time.AfterFunc(50*time.Minute, func() { r.keys.swap("key-2", time.Time{}) })
		time.AfterFunc(100*time.Minute, func() { r.keys.swap("key-3", time.Time{}) })
		r.mustPut(t, "k", []byte("body"))
	})
}
