//go:build long && linux

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"agent/bench/platform"
	"agent/bench/stores"
)

// TestLongStores proves that what users rely on holds in every store that is
// here, whoever made it: 'make test-stores' puts all there that can be had.
func TestLongStores(t *testing.T) {
	for _, m := range stores.Makers {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			s := m.For(t, stores.Options{Sandbox: built.sandbox, Watched: true})
			for _, c := range []struct {
				name     string
				try      func(*testing.T, *rig)
				believes bool // what the store tells of the bytes
			}{
				{"everyday", tryEveryday, true}, {"no-journal", tryNoJournal, true}, {"killed", tryKilled, false}, {"stopped", tryStopped, false},
			} {
				t.Run(c.name, func(t *testing.T) {
					if m.Lies != "" && c.believes {
						t.Skip(m.Lies)
					}
					c.try(t, storeRig(t, s, c.name).withKeys(s))
				})
			}
			t.Run("tokens", func(t *testing.T) { tryTokens(t, m, s) })
		})
	}
}

// tryEveryday uploads all sizes and names that the store can hold, looks at
// them, changes some, fetches and deletes them.
func tryEveryday(t *testing.T, r *rig) {
	files := r.holdable(awkward()).and(tree{"empty": {}, "deep/empty.txt": {}}).
		with("one-part.bin", 8<<20).with("parts.tif", 17<<20+5).with("small.txt", 10)
	dir := files.write(t)
	r.upload(0, dir)
	r.holds(files)
	r.lists(files)
	if e := r.run("verify", dir, r.dest); e.code != 0 || e.out != "" {
		t.Errorf("verify: exit %d\n%s%s", e.code, e.out, e.err)
	}
	mark := r.mark()
	r.upload(0, dir)
	r.sendsNothing(mark)

	changed := tree{"small.txt": noise("changed", 10)}.with("new/file", 1000)
	changed.writeTo(t, dir)
	files.and(changed)
	delete(files, "one-part.bin")
	if err := os.Remove(filepath.Join(dir, "one-part.bin")); err != nil {
		t.Fatal(err)
	}
	mark = r.mark()
	r.sync(0, dir, "--delete", "--max-delete", "1")
	r.sentExactly(mark, "small.txt", "new/file")
	r.holds(files)
	mark = r.mark()
	r.sync(0, dir, "--delete")
	if n := ops(r.requests(mark)); len(n) != 1 || n["ListObjectsV2"] == 0 {
		t.Errorf("a sync of what is the same made %v", n)
	}

	to := filepath.Join(t.TempDir(), "copy")
	r.download(0, to)
	files.isIn(t, to)
	mark = r.mark()
	r.download(0, to)
	if n := ops(r.requests(mark))["GetObject"]; n > 0 {
		t.Errorf("%d objects were fetched again", n)
	}
	r.flipped(dir, files)
	if e := r.run("rm", "-r", "-y", r.dest); e.code != 0 || len(r.objects()) > 0 {
		t.Errorf("rm: exit %d, %d objects remain\n%s", e.code, len(r.objects()), e.err)
	}
}

// holdable leaves out the names that another client can't store and find again
// here: the store is at fault, not the agent.
func (r *rig) holdable(files tree) tree {
	r.t.Helper()
	const under = "tried/"
	ctx := r.t.Context()
	for name, b := range files {
		_, err := r.witness.PutObject(ctx, r.bucket, r.prefix+under+name, strings.NewReader(string(b)), int64(len(b)), minio.PutObjectOptions{})
		if err != nil {
			r.t.Logf("the store does not hold %q: %v", name, err)
		}
	}
	found := r.objects()
	kept := tree{}
	for name, b := range files {
		if o, ok := found[under+name]; ok && o.Size == int64(len(b)) {
			kept[name] = b
		} else {
			r.t.Logf("the store does not list %q", name)
		}
	}
	for key := range found {
		r.remove(key)
	}
	if len(kept) < len(files)/2 {
		r.t.Fatalf("of %d names it holds %d", len(files), len(kept))
	}
	return kept
}

// lists checks that ls shows exactly the files of want.
func (r *rig) lists(want tree) {
	r.t.Helper()
	e := r.run("ls", "-r", "--json", r.dest)
	got := map[string]int64{}
	for line := range strings.Lines(e.out) {
		var o struct {
			Type, Key string
			Size      int64
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			r.t.Fatalf("%v: %s", err, line)
		}
		if o.Type == "object" {
			got[strings.TrimPrefix(o.Key, r.prefix)] = o.Size
		}
	}
	all := map[string]int64{}
	for name, b := range want {
		all[name] = int64(len(b))
	}
	if e.code != 0 || !maps.Equal(got, all) {
		r.t.Errorf("ls: exit %d, %v, want %v\n%s", e.code, got, all, e.err)
	}
}

// flipped checks that verify finds one byte that differs.
func (r *rig) flipped(dir string, files tree) {
	r.t.Helper()
	b := slices.Clone(files["parts.tif"])
	b[12<<20] ^= 1
	r.store("parts.tif", b, minio.PutObjectOptions{})
	if e := r.run("verify", "--download", dir, r.dest); e.code != 3 || strings.Count(e.out, "\n") != 1 || !strings.Contains(e.out, "parts.tif") {
		r.t.Errorf("verify of a changed object: exit %d\n%s%s", e.code, e.out, e.err)
	}
}

// tryNoJournal loses the journal of a finished upload: what the store keeps
// of the bytes has to do.
func tryNoJournal(t *testing.T, r *rig) {
	files := tree{"empty": {}}.with("small", 1000).with("parts.tif", 20<<20+3)
	dir := files.write(t)
	r.upload(0, dir)
	if err := os.RemoveAll(r.state); err != nil {
		t.Fatal(err)
	}
	mark := r.mark()
	r.upload(0, dir)
	r.sendsNothing(mark)
	r.holds(files)
}

// slowly are the arguments with which an upload takes seconds, in parts.
var slowly = []string{"--limit", "10MiB/s", "--parallel", "2", "--part-size", "5MiB", "--memory", "10MiB"}

// tryKilled kills an upload each time that it has got on, and lets it finish. Of four
// parts two are a second old at the kill, and have to be known whatever the disk.
func tryKilled(t *testing.T, r *rig) {
	const parts = 4
	files := tree{}.with("large", 80<<20+77)
	for i := range 50 {
		files.with(fmt.Sprintf("small/%02d", i), 1000+i)
	}
	args := append(slices.Clone(slowly), files.write(t))
	probe := probeStalls(t)
	defer probe.stop()
	var kills []kill
	for len(kills) < 3 {
		before := len(stored(r.requests(0), "UploadPart"))
		p := r.startUpload(args...)
		until(t, "more parts, or the end", func() bool {
			return !p.running() || len(stored(r.requests(0), "UploadPart")) >= before+parts
		})
		at := time.Now()
		p.signal(syscall.SIGKILL)
		if e := p.wait(); e.code >= 0 {
			t.Fatalf("it was to be killed, but: exit %d\n%s", e.code, e.err)
		}
		kills = append(kills, probe.kill(at))
	}
	r.upload(0, args...)
	checkKills(t, r, files, kills)
	if n := ops(r.requests(0))["CreateMultipartUpload"]; n != 1 {
		t.Errorf("%d uploads were begun", n)
	}
	if t.Failed() {
		r.tell(0)
	}
}

// tryStopped ends an upload by SIGTERM: what is in flight may finish, and nothing
// goes twice.
func tryStopped(t *testing.T, r *rig) {
	files := tree{}.with("large", 50<<20+1).with("small", 10)
	args := append(slices.Clone(slowly), files.write(t))
	p := r.startUpload(args...)
	r.acked("large", 2)
	p.signal(syscall.SIGTERM)
	if e := p.wait(); e.code != exitSignal+int(syscall.SIGTERM) {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	r.upload(0, args...)
	r.eachOnce()
	r.holds(files)
}

// tryTokens lets tokens end in mid-upload that lie in a file without a word of
// when they end, so that it is the store that tells.
func tryTokens(t *testing.T, m stores.Maker, s *stores.Store) {
	const life = 3 * time.Second
	switch {
	case s.Least == 0:
		t.Skip("it looks at no token")
	case m.Programs == nil:
		s = m.For(t, stores.Options{Sandbox: built.sandbox, Watched: true, Life: life})
	case s.Least > time.Minute && os.Getenv("STORES") != "all":
		t.Skipf("its tokens live at least %v: see 'make test-stores'", s.Least)
	}
	s.Life = max(s.Least, life)
	files := tree{}.with("one.tif", 25<<20).with("two.tif", 11<<20)
	for i := range 30 {
		files.with(fmt.Sprintf("small/%02d", i), 2000)
	}
	dir := files.write(t)
	r := storeRig(t, s, "tokens")
	path := filepath.Join(r.home, "credentials")
	r.env = append(r.env, "AWS_SHARED_CREDENTIALS_FILE="+path)
	writeCredentials(t, path, r.storeToken(s))
	<-time.After(s.Life - life) // most of the life of a long one
	p := r.startUpload("--limit", "5MiB/s", "--parallel", "2", "--part-size", "5MiB", dir)
	p.says("waiting for credentials")
	given := 1
	for ; p.running() && given < 20; given++ {
		mark := r.mark()
		writeCredentials(t, path, r.storeToken(s))
		until(t, "a refusal or the end", func() bool { return !p.running() || refusal(r.requests(mark)) })
	}
	if e := p.wait(); e.code != 0 || !strings.Contains(e.err, "going on after") {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	t.Logf("%d tokens", given)
	r.holds(files)
	r.eachOnce()
}

// refusal reports a request that was not let in.
func refusal(all []platform.Request) bool {
	return slices.ContainsFunc(all, func(q platform.Request) bool { return q.Status == 400 || q.Status == 403 })
}
