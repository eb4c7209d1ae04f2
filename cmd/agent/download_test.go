//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// download runs a download of r.dest, which must end with code.
func (r *rig) download(code int, args ...string) ended {
	r.t.Helper()
	e := r.run(append([]string{"download", r.dest}, args...)...)
	if e.code != code {
		r.t.Fatalf("download %q: exit %d, want %d\n%s%s", args, e.code, code, e.out, e.err)
	}
	return e
}

// fill stores the files of a tree as another tool would.
func (r *rig) fill(f tree) {
	r.t.Helper()
	var wg sync.WaitGroup
	names := make(chan string)
	for range 4 {
		wg.Go(func() {
			for name := range names {
				r.store(name, f[name], minio.PutObjectOptions{})
			}
		})
	}
	for name := range f {
		names <- name
	}
	close(names)
	wg.Wait()
}

// isIn checks that dir has exactly the files of want, byte for byte.
func (want tree) isIn(t *testing.T, dir string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		b, err := os.ReadFile(path)
		if body, ok := want[name]; !ok {
			t.Errorf("there is %q, which nobody stored", name)
		} else if !bytes.Equal(b, body) {
			t.Errorf("%q: %d bytes differ from the %d of the object", name, len(b), len(body))
		}
		found++
		return err
	})
	if err != nil || found != len(want) {
		t.Errorf("%d files of %d, %v", found, len(want), err)
	}
}

// link counts what answers bring through it, slows it down, and lets a test
// change it.
type link struct {
	rate   int64 // bytes per second; 0: without limit
	came   atomic.Int64
	gets   atomic.Int64
	change func(q *http.Request, b []byte) // of the body of a GetObject; may be nil
}

func (l *link) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet || q.URL.Query().Has("list-type") {
			next.ServeHTTP(w, q)
			return
		}
		l.gets.Add(1)
		next.ServeHTTP(&counted{w, l, q}, q)
	})
}

type counted struct {
	http.ResponseWriter
	l *link
	q *http.Request
}

func (c *counted) Write(b []byte) (int, error) {
	if c.l.change != nil {
		b = bytes.Clone(b)
		c.l.change(c.q, b)
	}
	if c.l.rate > 0 {
		time.Sleep(time.Duration(int64(len(b)) * int64(time.Second) / c.l.rate))
	}
	n, err := c.ResponseWriter.Write(b)
	c.l.came.Add(int64(n))
	return n, err
}

// TestDownloadRoundTrip proves that what is fetched is what is stored, for
// every name and size, with the platform's rights, and that a second run
// fetches nothing.
func TestDownloadRoundTrip(t *testing.T) {
	t.Parallel()
	files := awkward().and(tree{"empty": {}, "deep/empty.txt": {}}).
		with("ranges.tif", 17<<20+5).with("one.bin", 16<<20).with("just-over.bin", 16<<20+1)
	for name, flags := range map[string][]string{
		"http, role platform": {"-role", "platform"},
		"https, role full":    {"-role", "full", "-tls"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, flags...).withToken()
			r.upload(0, files.write(t))
			dir := filepath.Join(t.TempDir(), "new", "data")
			mark := r.mark()
			e := r.download(0, dir)
			files.isIn(t, dir)
			if strings.Contains(e.err, "keeps no checksum") {
				t.Errorf("checksums were not compared:\n%s", e.err)
			}
			for _, q := range r.requests(mark) {
				if q.Status >= 400 || q.Op != "GetObject" && q.Op != "HeadObject" && q.Op != "ListObjectsV2" {
					t.Errorf("a request that it should not make: %s", describe(q))
				}
			}
			mark = r.mark()
			r.download(0, dir)
			if n := ops(r.requests(mark)); n["GetObject"]+n["HeadObject"] != 0 {
				t.Errorf("the second run asked for %v", n)
			}
		})
	}
}

// TestDownloadKilled proves that a crash costs what was in flight and nothing
// else: ranges that were there are read from the disk, not fetched.
func TestDownloadKilled(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large.tif", 60<<20+77).with("other.tif", 20<<20)
	for i := range 50 {
		files.with(fmt.Sprintf("small/%03d", i), 1000+i)
	}
	l := &link{rate: 6 << 20}
	r := newRig(t, "-role", "platform").withToken()
	r.fill(files)
	r.through(l.handler)
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"--parallel", "4", "--part-size", "2MiB", dir}
	kills := 0
	for i := range 10 {
		p := r.start(append([]string{"download", r.dest}, args...)...)
		goal := l.came.Load() + int64(4+i%4)<<20
		until(t, "bytes", func() bool { return l.came.Load() >= goal || !p.running() })
		p.signal(syscall.SIGKILL)
		if e := p.wait(); e.code < 0 {
			kills++
		} else if e.code != 0 {
			t.Fatalf("exit %d\n%s", e.code, e.err)
		}
	}
	e := r.download(0, args...)
	files.isIn(t, dir)
	const inFlight = 4*2<<20 + 2<<20 // and what lay in the sockets
	over := l.came.Load() - files.bytes()
	t.Logf("%d kills: %d bytes came for %d of data", kills, l.came.Load(), files.bytes())
	if kills < 7 || over > int64(kills)*inFlight {
		t.Errorf("%d kills, %d bytes came in vain: more than what was in flight\n%s", kills, over, e.err)
	}
}

// TestDownloadReplaced proves that an object which is replaced in mid-download
// is not stitched together from two.
func TestDownloadReplaced(t *testing.T) {
	t.Parallel()
	old, now := tree{}.with("large", 24<<20), tree{"large": noise("new", 20<<20)}
	l := &link{rate: 8 << 20}
	r := newRig(t, "-role", "platform").withToken()
	r.fill(old)
	r.through(l.handler)
	dir := filepath.Join(t.TempDir(), "data")
	p := r.start("download", "--parallel", "2", "--part-size", "2MiB", r.dest, dir)
	until(t, "a few ranges", func() bool { return l.came.Load() > 6<<20 || !p.running() })
	r.fill(now)
	if e := p.wait(); e.code != 0 {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	now.isIn(t, dir)
}

// TestDownloadReplacedMeanwhile is the same between two runs.
func TestDownloadReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	old, now := tree{}.with("large", 24<<20), tree{"large": noise("new", 24<<20)}
	l := &link{rate: 8 << 20}
	r := newRig(t, "-role", "platform").withToken()
	r.fill(old)
	r.through(l.handler)
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"--parallel", "2", "--part-size", "2MiB", dir}
	p := r.start(append([]string{"download", r.dest}, args...)...)
	until(t, "a few ranges", func() bool { return l.came.Load() > 6<<20 || !p.running() })
	p.signal(syscall.SIGKILL)
	p.wait()
	r.fill(now)
	if e := r.download(0, args...); !strings.Contains(e.err, "replaced in the store since it was begun") {
		t.Errorf("it does not say that it starts over:\n%s", e.err)
	}
	now.isIn(t, dir)
}

// TestDownloadDamaged proves that bytes which are damaged on the way are
// noticed, in small objects and in ranges, and fetched again; and that an
// object which always comes damaged is a failure and no file.
func TestDownloadDamaged(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 9<<20).with("small", 5000)
	var hit sync.Map
	l := &link{change: func(q *http.Request, b []byte) {
		if _, again := hit.LoadOrStore(q.URL.Path, true); !again || strings.HasSuffix(q.URL.Path, "/always") {
			b[len(b)/2] ^= 1
		}
	}}
	r := newRig(t, "-role", "platform").withToken()
	r.upload(0, files.write(t))
	r.through(l.handler)
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"--parallel", "2", "--part-size", "2MiB", dir}
	r.download(0, args...)
	files.isIn(t, dir)
	for _, n := range []int{700, 5 << 20} {
		r.upload(0, tree{}.with("always", n).write(t))
		if e := r.download(1, args...); !strings.Contains(e.err, "always: ") || !strings.Contains(e.err, "checksum") {
			t.Errorf("it says\n%s", e.err)
		}
		files.isIn(t, dir)
	}
}

// TestDownloadTokensDie proves that tokens which die while it fetches cost
// waiting at most.
func TestDownloadTokensDie(t *testing.T) {
	t.Parallel()
	files := tree{}.with("one.tif", 15<<20)
	for i := range 60 {
		files.with(fmt.Sprintf("small/%02d", i), 20000)
	}
	l := &link{rate: 3 << 20}
	r := newRig(t, "-token-life", "2s")
	r.fill(files)
	r.through(l.handler)
	config, err := r.sb.ProcessConfig(r.home)
	if err != nil {
		t.Fatal(err)
	}
	r.env = append(r.env, "AWS_CONFIG_FILE="+config)
	dir := filepath.Join(t.TempDir(), "data")
	r.download(0, "--parallel", "2", "--part-size", "1MiB", dir)
	files.isIn(t, dir)
	tokens := map[string]bool{}
	for _, q := range r.requests(0) {
		tokens[q.AccessKey] = true
	}
	if len(tokens) < 2 {
		t.Errorf("%d token was used: that proves nothing", len(tokens))
	}
}

// TestDownloadBrokenConnections proves that a broken connection costs no byte
// that had come: the next attempt goes on behind it.
func TestDownloadBrokenConnections(t *testing.T) {
	t.Parallel()
	files := tree{}.with("one", 8<<20)
	l := &link{}
	var broken atomic.Int64
	l.change = func(*http.Request, []byte) {
		if l.came.Load() > (broken.Load()+1)<<20 && broken.Load() < 3 {
			broken.Add(1)
			panic(http.ErrAbortHandler)
		}
	}
	r := newRig(t, "-role", "platform").withToken()
	r.fill(files)
	r.through(l.handler)
	dir := filepath.Join(t.TempDir(), "data")
	r.download(0, dir)
	files.isIn(t, dir)
	if n := l.came.Load(); broken.Load() != 3 || n > 8<<20+3<<19 {
		t.Errorf("%d breaks, %d bytes came", broken.Load(), n)
	}
}

// TestDownloadSecondAgent proves that one run at a time holds a download, and
// that ^C ends it and the same command goes on.
func TestDownloadSecondAgent(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 20<<20)
	l := &link{rate: 5 << 20}
	r := newRig(t, "-role", "platform").withToken()
	r.fill(files)
	r.through(l.handler)
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"--parallel", "2", "--part-size", "1MiB", dir}
	p := r.start(append([]string{"download", r.dest}, args...)...)
	until(t, "a few ranges", func() bool { return l.came.Load() > 4<<20 || !p.running() })
	r.download(75, args...)
	p.signal(os.Interrupt)
	if e := p.wait(); e.code != 130 || !strings.Contains(e.err, "goes on from here") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	if e := r.download(0, args...); !strings.Contains(e.err, "were there and not fetched again") {
		t.Errorf("nothing was resumed:\n%s", e.err)
	}
	files.isIn(t, dir)
}

// TestDownloadTimes proves that a file gets the time that its metadata name, as
// rclone writes it, else the object's, and that either tells a later run, of
// another job too, that the file is the same.
func TestDownloadTimes(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-role", "platform").withToken()
	r.fill(tree{}.with("with", 5).with("without", 5).with("large", 3<<20))
	// The local platform keeps no metadata of objects.
	metadata := map[string]string{"with": "1500000000.25", "large": "1500000001"}
	r.through(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if v := metadata[filepath.Base(q.URL.Path)]; v != "" {
				w.Header().Set("X-Amz-Meta-Mtime", v)
			}
			next.ServeHTTP(w, q)
		})
	})
	dir := filepath.Join(t.TempDir(), "data")
	r.download(0, "--part-size", "1MiB", dir)
	want := map[string]time.Time{"with": time.Unix(1500000000, 25e7), "large": time.Unix(1500000001, 0), "without": r.objects()["without"].LastModified}
	for name, at := range want {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || fi.ModTime().Sub(at).Abs() >= time.Second || name == "with" && !fi.ModTime().Equal(at) {
			t.Errorf("%s: %v, %v; want %v", name, fi.ModTime(), err, at)
		}
	}
	r.env = append(r.env, "AGENT_STATE_DIR="+t.TempDir())
	mark := r.mark()
	r.download(0, dir)
	if n := ops(r.requests(mark)); n["GetObject"] != 0 {
		t.Errorf("another job fetched %d of the objects again", n["GetObject"])
	}
}
