package s3store

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer"
	"agent/transfer/storetest"
)

// judgeClock refuses, as a store does, what is signed for another time than
// that of its own clock, which is ahead of ours.
func (r *rig) judgeClock(t *testing.T, ahead time.Duration) (refused *int) {
	r.s3.clock = ahead
	refused = new(int)
	r.faults.On(0, func(req *http.Request) bool {
		at, err := time.Parse("20060102T150405Z", req.Header.Get("X-Amz-Date"))
		if err != nil {
			t.Error(err)
		}
		if at.Sub(time.Now().Add(ahead)).Abs() > 15*time.Minute {
			*refused++
			return true
		}
		return false
	}, storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
		resp := refusal(req, 403, "RequestTimeTooSkewed")
		resp.Header.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		return resp, nil
	}})
	return refused
}

func TestOtherClocks(t *testing.T) {
	const rest = " the store's: requests are signed, and tokens expire, by the store's time"
	for _, tt := range []struct {
		ahead   time.Duration
		refused int
		says    []string
	}{
		{ahead: 50 * time.Second},
		{ahead: 5 * time.Minute, says: []string{"this machine's clock is 5 min behind" + rest}},
		{ahead: time.Hour, refused: 1, says: []string{"this machine's clock is 60 min behind" + rest}},
		{ahead: -time.Hour, refused: 1, says: []string{"this machine's clock is 60 min ahead of" + rest}},
		{ahead: 24 * time.Hour, refused: 1, says: []string{"this machine's clock is 24 h behind" + rest}},
		{ahead: -24 * time.Hour, refused: 1, says: []string{"this machine's clock is 24 h ahead of" + rest}},
		{ahead: 400 * 24 * time.Hour, refused: 1, says: []string{"this machine's clock is 400 days behind" + rest}},
	} {
		t.Run(tt.ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(nil)
				refused := r.judgeClock(t, tt.ahead)
				for range 10 {
					r.mustPut(t, "k", []byte("body"))
					time.Sleep(time.Minute)
				}
				if n, _ := r.told(transfer.Retry); *refused != tt.refused || n != 0 {
					t.Errorf("refused %d times, %d retries", *refused, n)
				}
				if got := r.texts(transfer.Notice); !slices.Equal(got, tt.says) {
					t.Errorf("said %q", got)
				}
				if d := r.keys.times[0].Sub(r.begun.Add(tt.ahead)); d.Abs() > 2*time.Second {
					t.Errorf("the provider was told a time %v off", d)
				}
			})
		})
	}
}

// A clock that jumps is told of again, but a restless one not for ever.
func TestClockThatJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		for n, want := range []int{0, 1, 1, 2, 3, 3, 3} {
			r.s3.clock = []time.Duration{0, 10 * time.Minute, 10*time.Minute + 30*time.Second,
				-20 * time.Minute, time.Hour, 2 * time.Hour, -time.Hour}[n]
			r.mustPut(t, "k", nil)
			if got, _ := r.told(transfer.Notice); got != want {
				t.Errorf("jump %d: told %d times, want %d", n, got, want)
			}
			time.Sleep(time.Minute)
		}
	})
}

// A portal's page has a Date, too, and a slow answer one of long ago.
func TestDatesThatTellNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(nil)
		r.faults.On(1, nil, storetest.Fault{Answer: func(req *http.Request, _ *http.Response) (*http.Response, error) {
			resp := storetest.Response(req, 200, "text/html", "<html>")
			resp.Header.Set("Date", time.Now().Add(9*time.Hour).UTC().Format(http.TimeFormat))
			return resp, nil
		}})
		r.faults.On(2, nil, storetest.Fault{After: true, Answer: func(_ *http.Request, resp *http.Response) (*http.Response, error) {
			time.Sleep(5 * time.Minute)
			return resp, nil
		}})
		r.mustPut(t, "k", []byte("body"))
		r.mustPut(t, "l", []byte("body"))
		if got := r.texts(transfer.Notice); len(got) != 0 || len(r.keys.times) == 0 {
			t.Errorf("said %q, the provider was told %v", got, r.keys.times)
		}
	})
}

// Keys end by the store's clock, not by ours.
func TestExpiryByTheStoresClock(t *testing.T) {
	for _, tt := range []struct {
		name    string
		ahead   time.Duration
		expires time.Duration // from now, by our clock
		over    bool
	}{
		{"ours is behind", time.Hour, 30 * time.Minute, true},
		{"ours is ahead", -time.Hour, -30 * time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(func(o *Options) { o.KeyPatience = time.Hour })
				r.keys.swap("key-1", time.Now().Add(tt.expires))
				r.s3.clock = tt.ahead
				r.mustPut(t, "first", nil)
				r.faults.On(0, underKey("key-1"), storetest.Refuse(403, "AccessDenied"))
				time.AfterFunc(time.Minute, func() { r.keys.swap("key-2", time.Time{}) })
				_, err := r.put(t, "k", []byte("body"))
				if over := r.keys.given("key-1") == 1; over != tt.over || over != (err == nil) {
					t.Errorf("given back: %v, want %v; %v", over, tt.over, err)
				}
			})
		})
	}
}
