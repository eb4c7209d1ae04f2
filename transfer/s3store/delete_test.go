package s3store

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"agent/transfer"
	"agent/transfer/storetest"
)

// deletions is an S3 of which one only deletes.
type deletions struct {
	mu     sync.Mutex
	ops    []string
	gone   []string
	batch  func(r *http.Request, keys []string) *http.Response
	single func(r *http.Request, key string) *http.Response
	signed bool // the batch's body
}

var inDelete = regexp.MustCompile(`<Key>([^<]*)</Key>`)

func (d *deletions) Do(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Method == http.MethodPost {
		d.ops = append(d.ops, opDeleteAll)
		d.signed = r.Header.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD"
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		var keys []string
		for _, m := range inDelete.FindAllStringSubmatch(string(body), -1) {
			keys = append(keys, m[1])
		}
		return d.batch(r, keys), nil
	}
	key := strings.TrimPrefix(r.URL.Path, "/b/")
	d.ops = append(d.ops, opDelete)
	if d.single != nil {
		if resp := d.single(r, key); resp != nil {
			return resp, nil
		}
	}
	d.gone = append(d.gone, key)
	return storetest.Response(r, 204, "", ""), nil
}

func (d *deletions) store() *Store {
	return New(Options{Bucket: "b", Region: "r", Endpoint: "http://s3.test", Credentials: newKeys("key-1"), HTTP: d, Seed: func() float64 { return 0 }})
}

// all says that these keys are gone.
func (d *deletions) all(r *http.Request, keys []string, more string) *http.Response {
	var b strings.Builder
	for _, key := range keys {
		d.gone = append(d.gone, key)
		fmt.Fprintf(&b, "<Deleted><Key>%s</Key></Deleted>", key)
	}
	return good(r, "<DeleteResult>"+b.String()+more+"</DeleteResult>")
}

func TestDeleteAll(t *testing.T) {
	var keys []string
	for i := range 5 {
		keys = append(keys, fmt.Sprintf("k%d", i))
	}
	keys = append(keys, "bell\a")
	count := func(d *deletions, op string) int {
		n := 0
		for _, o := range d.ops {
			if o == op {
				n++
			}
		}
		return n
	}
	for name, c := range map[string]struct {
		batch            func(d *deletions, r *http.Request, keys []string) *http.Response
		batches, singles int // of two calls
	}{
		"allowed": {func(d *deletions, r *http.Request, keys []string) *http.Response { return d.all(r, keys, "") }, 2, 2},
		"denied":  {func(_ *deletions, r *http.Request, _ []string) *http.Response { return refusal(r, 403, "AccessDenied") }, 1, 12},
		"not implemented": {func(_ *deletions, r *http.Request, _ []string) *http.Response {
			return refusal(r, 501, "NotImplemented")
		}, 1, 12},
		"denied for some": {func(d *deletions, r *http.Request, keys []string) *http.Response {
			return d.all(r, keys[1:], "<Error><Key>k0</Key><Code>AccessDenied</Code></Error>")
		}, 2, 4},
	} {
		t.Run(name, func(t *testing.T) {
			d := &deletions{}
			d.batch = func(r *http.Request, keys []string) *http.Response { return c.batch(d, r, keys) }
			s := d.store()
			for range 2 {
				d.gone = nil
				failed, err := s.DeleteAll(t.Context(), keys)
				if err != nil || len(failed) > 0 {
					t.Fatalf("%v, %v", failed, err)
				}
				slices.Sort(d.gone)
				if want := slices.Sorted(slices.Values(keys)); !slices.Equal(d.gone, want) {
					t.Errorf("gone: %q", d.gone)
				}
			}
			if b, n := count(d, opDeleteAll), count(d, opDelete); b != c.batches || n != c.singles {
				t.Errorf("%d batches and %d single ones", b, n)
			}
			if !d.signed {
				t.Error("the keys were sent unsigned")
			}
		})
	}
}

func TestDeleteMissingAndDenied(t *testing.T) {
	d := &deletions{
		batch: func(r *http.Request, _ []string) *http.Response { return refusal(r, 403, "AccessDenied") },
		single: func(r *http.Request, key string) *http.Response {
			switch key {
			case "missing":
				return refusal(r, 404, "NoSuchKey")
			case "denied":
				return refusal(r, 403, "AccessDenied")
			}
			return nil
		},
	}
	failed, err := d.store().DeleteAll(t.Context(), []string{"denied", "missing", "there"})
	if err != nil || len(failed) != 1 || !errors.Is(failed["denied"], transfer.ErrDenied) || !slices.Equal(d.gone, []string{"there"}) {
		t.Errorf("failed %v, %v; gone %q", failed, err, d.gone)
	}
}

// TestDeletePortal proves that a login page deletes nothing: it is waited out.
func TestDeletePortal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		d := &deletions{}
		d.batch = func(r *http.Request, keys []string) *http.Response {
			if n++; n == 1 {
				return storetest.Response(r, 200, "text/html", "<html><body>Welcome</body></html>")
			}
			return d.all(r, keys, "")
		}
		failed, err := d.store().DeleteAll(t.Context(), []string{"a", "b"})
		if err != nil || len(failed) > 0 || n != 2 || len(d.gone) != 2 {
			t.Errorf("%v, %v after %d; gone %q", failed, err, n, d.gone)
		}
	})
}
