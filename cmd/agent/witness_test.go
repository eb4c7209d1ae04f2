//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"agent/bench/platform"
)

// What the store holds is asked by minio-go, a client that we did not write;
// what was sent is told by the server's own log.

// objects are those below the rig's prefix, by key without it.
func (r *rig) objects() map[string]minio.ObjectInfo {
	r.t.Helper()
	found := map[string]minio.ObjectInfo{}
	for o := range r.witness.ListObjects(context.Background(), r.bucket, minio.ListObjectsOptions{Prefix: r.prefix, Recursive: true}) {
		if o.Err != nil {
			r.t.Fatal(o.Err)
		}
		found[strings.TrimPrefix(o.Key, r.prefix)] = o
	}
	return found
}

// holds checks that the store has exactly the files of want below the prefix,
// byte for byte.
func (r *rig) holds(want tree) {
	r.t.Helper()
	got := r.objects()
	for key := range got {
		if _, ok := want[key]; !ok {
			r.t.Errorf("the store has %q, which nobody sent", key)
		}
	}
	var wg sync.WaitGroup
	keys := make(chan string)
	for range 4 {
		wg.Go(func() {
			for key := range keys {
				r.compare(key, want[key])
			}
		})
	}
	for key := range want {
		if _, ok := got[key]; !ok {
			r.t.Errorf("the store lacks %q", key)
			continue
		}
		keys <- key
	}
	close(keys)
	wg.Wait()
}

func (r *rig) compare(key string, want []byte) {
	o, err := r.witness.GetObject(context.Background(), r.bucket, r.prefix+key, minio.GetObjectOptions{})
	if err != nil {
		r.t.Errorf("%q: %v", key, err)
		return
	}
	defer o.Close()
	got, err := io.ReadAll(o)
	if err != nil {
		r.t.Errorf("%q: %v", key, err)
	} else if !bytes.Equal(got, want) {
		r.t.Errorf("%q: %d bytes differ from the %d of the file", key, len(got), len(want))
	}
}

// store puts an object as another tool would.
func (r *rig) store(key string, b []byte, o minio.PutObjectOptions) {
	r.t.Helper()
	_, err := r.witness.PutObject(context.Background(), r.bucket, r.prefix+key, bytes.NewReader(b), int64(len(b)), o)
	if err != nil {
		r.t.Fatal(err)
	}
}

// remove deletes an object behind the agent's back.
func (r *rig) remove(key string) {
	r.t.Helper()
	if err := r.witness.RemoveObject(context.Background(), r.bucket, r.prefix+key, minio.RemoveObjectOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

// requests are what the server has logged since n requests ago, but those of
// the witness.
func (r *rig) requests(since int) []platform.Request {
	r.t.Helper()
	all, err := r.log.Requests()
	if err != nil {
		r.t.Fatal(err)
	}
	var own []platform.Request
	for _, q := range all[since:] {
		if (r.root == "" || q.AccessKey != r.root) && !strings.HasPrefix(q.Key, "/api/") {
			own = append(own, q)
		}
	}
	return own
}

// mark is how many requests there were, for requests.
func (r *rig) mark() int {
	r.t.Helper()
	all, err := r.log.Requests()
	if err != nil {
		r.t.Fatal(err)
	}
	return len(all)
}

// ops counts requests by operation.
func ops(all []platform.Request) map[string]int {
	n := map[string]int{}
	for _, q := range all {
		n[q.Op]++
	}
	return n
}

// stored are the requests of one operation that the server accepted.
func stored(all []platform.Request, op string) []platform.Request {
	var good []platform.Request
	for _, q := range all {
		if q.Op == op && q.Status == 200 {
			good = append(good, q)
		}
	}
	return good
}

// sentBytes are the bytes of all bodies.
func sentBytes(all []platform.Request) (n int64) {
	for _, q := range all {
		if q.Op == "PutObject" || q.Op == "UploadPart" {
			n += q.Bytes
		}
	}
	return n
}

// unit is what is sent in one piece: a part of an upload, or a small object.
type unit struct {
	key, upload string
	part        int
}

func unitOf(q platform.Request) (unit, bool) {
	switch q.Op {
	case "UploadPart":
		return unit{q.Key, q.UploadID, q.Part}, true
	case "PutObject":
		return unit{key: q.Key}, true
	}
	return unit{}, false
}

// noneTwice checks that nothing the server had acknowledged long enough before
// a kill was sent again after it. What was answered after the kill that ended
// its sender was acknowledged to nobody.
func noneTwice(t *testing.T, all []platform.Request, kills []kill) {
	t.Helper()
	safe := map[unit]kill{} // the kill that the unit outlived
	for _, q := range all {
		u, ok := unitOf(q)
		if !ok || q.Status != 200 {
			continue
		}
		if k, ok := firstAfter(kills, q.Start); ok && q.Time.Before(k.at.Add(-k.safe)) {
			safe[u] = k
		}
	}
	for _, q := range all {
		u, ok := unitOf(q)
		if k := safe[u]; ok && !k.at.IsZero() && q.Start.After(k.at.Add(durable)) {
			t.Errorf("sent again after the kill at %s, acknowledged more than %v before: %s", k.at.Format("05.000"), k.safe, describe(q))
		}
	}
}

// firstAfter is the first of some kills, in order, that is after at.
func firstAfter(kills []kill, at time.Time) (kill, bool) {
	for _, k := range kills {
		if k.at.After(at) {
			return k, true
		}
	}
	return kill{}, false
}

// tell logs the requests since mark when the test fails.
func (r *rig) tell(mark int) {
	if r.t.Failed() {
		for _, q := range r.requests(mark) {
			r.t.Log(describe(q))
		}
	}
}

func describe(q platform.Request) string {
	return fmt.Sprintf("%s %s part %d of %s: %d %s from %s to %s", q.Op, q.Key, q.Part, q.UploadID,
		q.Status, q.Code, q.Start.Format("05.000"), q.Time.Format("05.000"))
}

// acked waits until n parts of key are acknowledged so long ago that they are
// safe from a crash.
func (r *rig) acked(key string, n int) {
	r.t.Helper()
	until(r.t, fmt.Sprintf("%d parts of %s", n, key), func() bool {
		old := 0
		for _, q := range stored(r.requests(0), "UploadPart") {
			if q.Key == r.prefix+key && time.Since(q.Time) > 3*durable {
				old++
			}
		}
		return old >= n
	})
}
