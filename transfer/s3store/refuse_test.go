package s3store

import (
	"errors"
	"net/http"
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
