package storetest_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"agent/transfer/storetest"
)

// TestFaultsOfTheWire shows what a client sees of each, when, and whether the
// server took the request.
func TestFaultsOfTheWire(t *testing.T) {
	timedOut := func(err error) bool {
		var timeout net.Error
		return errors.As(err, &timeout) && timeout.Timeout()
	}
	is := func(want error) func(error) bool {
		return func(err error) bool { return errors.Is(err, want) }
	}
	for name, tt := range map[string]struct {
		fault   storetest.Fault
		reached int
		err     func(error) bool // of the answer; nil where there is one
		body    string
		broken  func(error) bool // of its body; nil where it is whole
		took    time.Duration
	}{
		"timeout before": {storetest.Timeout(time.Minute, false), 0, timedOut, "", nil, time.Minute},
		"timeout after":  {storetest.Timeout(time.Minute, true), 1, timedOut, "", nil, time.Minute},
		"cut":            {storetest.Cut(), 0, is(syscall.ECONNRESET), "", nil, 0},
		"truncated":      {storetest.Truncate(), 1, nil, "<E>fi", is(io.ErrUnexpectedEOF), 0},
		"stalled":        {storetest.Stall(time.Minute), 1, nil, "<E>fi", timedOut, 10 * time.Minute},
		"skewed":         {storetest.Skewed(time.Hour), 0, nil, "RequestTimeTooSkewed", nil, 0},
		"tagged":         {storetest.Tagged(), 0, nil, "log in", nil, 0},
		"element":        {storetest.Element("E", "bad"), 1, nil, "<E>bad</E>", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reached := 0
				f := &storetest.Faulty{Next: doer(func(r *http.Request) (*http.Response, error) {
					reached++
					return storetest.Response(r, 200, "application/xml", "<E>fine</E>"), nil
				})}
				f.On(1, nil, tt.fault)
				r, _ := http.NewRequest(http.MethodGet, "http://s3/bucket/key", nil)
				began := time.Now()
				resp, err := f.Do(r)
				var b []byte
				var broken error
				if err == nil {
					b, broken = io.ReadAll(resp.Body)
				}
				if wrong(err, tt.err) || wrong(broken, tt.broken) || !strings.Contains(string(b), tt.body) {
					t.Errorf("%v, %q, %v", err, b, broken)
				}
				if took := time.Since(began); reached != tt.reached || took != tt.took {
					t.Errorf("reached the server %d times, and took %v", reached, took)
				}
			})
		})
	}
}

func wrong(err error, want func(error) bool) bool {
	if want == nil {
		return err != nil
	}
	return !want(err)
}
