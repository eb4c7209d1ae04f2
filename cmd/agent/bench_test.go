//go:build linux

package main

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// benchStored are the keys that are stored below r's destination.
func (r *rig) benchStored() []string {
	r.t.Helper()
	var keys []string
	for o := range r.witness.ListObjects(context.Background(), r.sb.Bucket(), minio.ListObjectsOptions{Prefix: r.prefix, Recursive: true}) {
		if o.Err != nil {
			r.t.Fatal(o.Err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

// startBench starts one that would take 20 s, and returns when parts are sent:
// many objects are stored then, and some on their way.
func (r *rig) startBench() *proc {
	r.t.Helper()
	began := time.Now()
	p := r.start("bench", "--time", "20s", r.dest)
	until(r.t, "parts on their way", func() bool {
		if !p.running() {
			e := p.wait()
			r.t.Fatalf("it ended first: %d\n%s%s", e.code, e.out, e.err)
		}
		for _, q := range r.requests(0) {
			if q.Start.After(began) && strings.Contains(q.Key, "/"+benchParts+"-") {
				return true
			}
		}
		return false
	})
	return p
}

// TestBenchStopped: a signal ends it at once, and everything is removed all the
// same; what kill -9 leaves, the next run removes.
func TestBenchStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-rate", "20MB").withToken()
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		p := r.startBench()
		p.signal(sig)
		e := p.wait()
		if e.code != code || !strings.Contains(e.err, "stopping: what was sent is removed") || strings.Contains(e.err, "left behind") || strings.Contains(e.out, "your link") {
			t.Errorf("%v: exit %d\n%s%s", sig, e.code, e.out, e.err)
		}
		if keys := r.benchStored(); len(keys) > 0 {
			t.Errorf("%v: %d objects are left, such as %s", sig, len(keys), keys[0])
		}
	}

	p := r.startBench()
	p.signal(syscall.SIGKILL)
	p.wait()
	if len(r.benchStored()) == 0 {
		t.Fatal("the killed one has left nothing")
	}
	e := r.run("bench", "--time", "5s", "--quiet", r.dest)
	if e.code != 0 || !strings.Contains(e.err, "note: an earlier run has left ") || !strings.Contains(e.err, " of an earlier run\n") {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
	if keys := r.benchStored(); len(keys) > 0 {
		t.Errorf("%d objects are left, such as %s", len(keys), keys[0])
	}
}

// TestBenchOutlivesTokens: tokens end meanwhile, and it goes on; with all rights,
// too.
func TestBenchOutlivesTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-token-life", "2s", "-rate", "20MB", "-role", "full")
	e := r.run("bench", "--time", "8s", "--credential-process", r.sb.TokenCommand(), r.dest)
	if e.code != 0 || !strings.Contains(e.out, "your link carries") {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
	if keys := r.benchStored(); len(keys) > 0 {
		t.Errorf("%d objects are left, such as %s", len(keys), keys[0])
	}
	used := map[string]bool{}
	for _, q := range r.requests(0) {
		if q.Status == 200 {
			used[q.AccessKey] = true
		}
	}
	if len(used) < 2 {
		t.Errorf("%d tokens were used", len(used))
	}
}

// TestBenchLeavesAndSays: what can't be removed, because no credentials come any
// more, is told with what removes it, and the next run does.
func TestBenchLeavesAndSays(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-token-life", "4s", "-rate", "20MB")
	e := r.withToken().run("bench", "--time", "20s", "--wait-credentials", "1s", r.dest)
	if e.code != exitCredentials || !strings.Contains(e.err, "left behind at s3://") || !strings.Contains(e.err, "agent rm -r --yes s3://") {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
	if len(r.benchStored()) == 0 {
		t.Fatal("nothing is left")
	}
	if e := r.run("bench", "--time", "5s", "--quiet", "--credential-process", r.sb.TokenCommand(), r.dest); e.code != 0 {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
	if keys := r.benchStored(); len(keys) > 0 {
		t.Errorf("%d objects are left, such as %s", len(keys), keys[0])
	}
}
