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

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		code   string
		before bool // the key had worked
		op     string
		want   error
		fatal  bool
		max    int // requests
	}{
		{name: "a key nobody knows", status: 403, code: "InvalidAccessKeyId", want: transfer.ErrRefused, fatal: true, max: 1},
		{name: "a broken token", status: 400, code: "InvalidToken", want: transfer.ErrRefused, fatal: true, max: 1},
		{name: "a wrong secret", status: 403, code: "SignatureDoesNotMatch", want: transfer.ErrRefused, fatal: true, max: 1},
		{name: "a secret that was right", status: 403, code: "SignatureDoesNotMatch", before: true, want: transfer.ErrRefused, fatal: true, max: 3},
		{name: "no bucket", status: 404, code: "NoSuchBucket", want: transfer.ErrRefused, fatal: true, max: 1},
		{name: "another region", status: 301, code: "PermanentRedirect", want: transfer.ErrRefused, fatal: true, max: 1},
		{name: "no right at all", status: 403, code: "AccessDenied", want: transfer.ErrRefused, fatal: true, max: 1},
		{name: "no right to one key", status: 403, code: "AccessDenied", before: true, want: transfer.ErrDenied, max: 1},
		{name: "too large", status: 400, code: "EntityTooLarge", max: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(nil)
				if tt.before {
					r.mustPut(t, "first", nil)
				}
				n := 0
				r.faults.On(0, func(*http.Request) bool { n++; return true }, storetest.Refuse(tt.status, tt.code))
				began := time.Now()
				_, err := r.put(t, "k", []byte("body"))
				var f *Fault
				if !errors.As(err, &f) || f.Code != tt.code || tt.want != nil && !errors.Is(err, tt.want) || transfer.Fatal(err) != tt.fatal {
					t.Errorf("%v (fatal %v)", err, transfer.Fatal(err))
				}
				if n > tt.max || time.Since(began) > 10*time.Second {
					t.Errorf("%d requests, %v", n, time.Since(began))
				}
			})
		})
	}
}

func TestUnknownKeyThatWorkedIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.mustPut(t, "first", nil)
		r.faults.On(0, refuseKey("key-1"), storetest.Refuse(403, "InvalidAccessKeyId"))
		time.AfterFunc(time.Hour, func() { r.keys.swap("key-2", time.Time{}) })
		r.mustPut(t, "k", []byte("body"))
	})
}

func TestDeniedMayMeanExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.keys.swap("key-1", time.Now().Add(time.Minute))
		r.mustPut(t, "first", nil)
		time.Sleep(2 * time.Minute)
		r.faults.On(0, refuseKey("key-1"), storetest.Refuse(403, "AccessDenied"))
		time.AfterFunc(time.Minute, func() { r.keys.swap("key-2", time.Time{}) })
		r.mustPut(t, "k", []byte("body"))
		if r.keys.given("key-1") != 1 {
			t.Error("the key whose time is up was not given back")
		}
	})
}

func TestDeniedToTwoKeysIsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.mustPut(t, "first", nil)
		n := 0
		r.faults.On(0, func(req *http.Request) bool {
			if !strings.HasSuffix(req.URL.Path, "/k") {
				return false
			}
			if n++; n == 1 {
				r.keys.swap("key-2", time.Time{}) // rotated meanwhile
			}
			return true
		}, storetest.Refuse(403, "AccessDenied"))
		if _, err := r.put(t, "k", nil); !errors.Is(err, transfer.ErrDenied) || transfer.Fatal(err) || n != 2 {
			t.Errorf("%d requests: %v", n, err)
		}
		if r.keys.given("key-1")+r.keys.given("key-2") != 0 {
			t.Error("a good key was given back")
		}
		r.mustPut(t, "l", nil)
	})
}

func TestDeniedWhereExpiryIsNoReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.mustPut(t, "k", []byte("12345"))
		r.keys.swap("key-1", time.Now().Add(time.Minute))
		time.Sleep(2 * time.Minute)
		r.faults.On(0, func(req *http.Request) bool { return req.Method == http.MethodHead }, storetest.Refuse(403, "AccessDenied"))
		obj, err := r.Stat(t.Context(), "k")
		if err != nil || obj.Size != 5 || obj.HasCRC64 {
			t.Errorf("where HEAD is denied a listing tells: %+v, %v", obj, err)
		}
		if r.keys.given("key-1") != 0 {
			t.Error("a HEAD gave the key back")
		}
	})
}

func TestOtherClocks(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(nil)
				r.s3.clock = ahead
				refused := 0
				r.faults.On(0, func(req *http.Request) bool {
					at, err := time.Parse("20060102T150405Z", req.Header.Get("X-Amz-Date"))
					if err != nil {
						t.Error(err)
					}
					if at.Sub(time.Now().Add(ahead)).Abs() > 15*time.Minute {
						refused++
						return true
					}
					return false
				}, storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
					resp := refusal(req, 403, "RequestTimeTooSkewed")
					resp.Header.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
					return resp, nil
				}})
				r.mustPut(t, "k", []byte("body"))
				r.mustPut(t, "l", []byte("body"))
				if n, _ := r.told(transfer.Retry); refused != 1 || n != 0 {
					t.Errorf("refused %d times, %d retries", refused, n)
				}
				if d := time.Until(r.keys.times[0]) - ahead; d.Abs() > 2*time.Second {
					t.Errorf("the provider was told a time %v off", d)
				}
			})
		})
	}
}

func TestSkewThatCannotBeMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.faults.On(0, nil, storetest.Refuse(403, "RequestTimeTooSkewed"))
		if _, err := r.put(t, "k", nil); !errors.Is(err, transfer.ErrRefused) {
			t.Error(err)
		}
	})
}

func TestRedirectsAreWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.faults.On(1, nil, storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
			resp := storetest.Response(req, 302, "text/html", "<html>")
			resp.Header.Set("Location", "https://portal.example/login")
			return resp, nil
		}})
		r.mustPut(t, "k", []byte("body"))
		if n, _ := r.told(transfer.Retry); n != 1 {
			t.Errorf("%d retries", n)
		}
	})
}
