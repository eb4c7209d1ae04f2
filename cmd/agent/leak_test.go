//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"agent/bench/sink"
	"agent/transfer/checksum"
)

// leaks looks at what this process has open before and after a command that it runs
// itself, against a server that ends it at one of its requests.
type leaks struct {
	t    *testing.T
	sink *sink.Server

	mu     sync.Mutex
	at     instant
	now    instant // counts; its kind means nothing
	lines  int
	cancel func()
}

// instant is when a command is ended: at the n-th request, before it is answered or
// behind, or at the n-th line that it prints.
type instant struct {
	kind string
	n    int // from 1; 0 is never
}

const (
	beforeRequest = "before request"
	afterRequest  = "after request"
	atLine        = "at line"
	signalled     = "signalled at request"
)

func (i instant) String() string { return fmt.Sprintf("%s %d", i.kind, i.n) }

// ServeHTTP passes a request to the sink.
func (l *leaks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.now.n++
	n := l.now.n
	l.mu.Unlock()
	l.reach(instant{beforeRequest, n})
	l.reach(instant{signalled, n})
	l.sink.ServeHTTP(w, r)
	l.reach(instant{afterRequest, n})
}

// Write takes what a command prints.
func (l *leaks) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.lines++
	n := l.lines
	l.mu.Unlock()
	l.reach(instant{atLine, n})
	return len(p), nil
}

func (l *leaks) reach(i instant) {
	l.mu.Lock()
	now, cancel := i == l.at, l.cancel
	l.mu.Unlock()
	switch {
	case !now:
	case i.kind == signalled:
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM) // whoever listens
	default:
		cancel()
	}
}

// run runs the agent in this process, to be ended at an instant.
func (l *leaks) run(at instant, args ...string) (code int, errs string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l.mu.Lock()
	l.at, l.now, l.lines, l.cancel = at, instant{}, 0, cancel
	l.mu.Unlock()
	var text bytes.Buffer
	code = run(ctx, append([]string{program}, args...), std{in: strings.NewReader(""), out: l, err: &text})
	return code, text.String()
}

// openFilesNow is how many descriptors this process has.
func openFilesNow(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.Contains(to, "/fd") { // else that of this very look
			all = append(all, to)
		}
	}
	slices.Sort(all)
	return all
}

// leakCase is a command, and what it finds.
type leakCase struct {
	name    string
	prepare func(l *leaks, dir string) // "" is left to be made
	args    func(dir string) []string
	holds   func(l *leaks, dir string) error // after a run that was not ended
	code    int
}

var leakTree = map[string]int{"large": 10<<20 + 1, "a": 10, "b/c": 2000, "b/d": 0, "z.zarr/.zarray": 20, "z.zarr/0.0": 300}

func makeLeakFiles(l *leaks, dir string) {
	for name, n := range leakTree {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			l.t.Fatal(err)
		}
		if err := os.WriteFile(path, noise(name, n), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
}

func storeLeakFiles(l *leaks, _ string) {
	for name, n := range leakTree {
		l.sink.Store("bench", "data/"+name, noise(name, n))
	}
}

// storedAll and fetchedAll compare both sides with the tree.
func storedAll(l *leaks, _ string) error {
	n := 0
	for o := range l.sink.Objects() {
		name := strings.TrimPrefix(o.Key, "data/")
		size, ok := leakTree[name]
		if n++; !ok || o.Size != int64(size) || o.CRC64 != checksum.Sum64(noise(name, size)) {
			return fmt.Errorf("%s is stored with %d bytes", o.Key, o.Size)
		}
	}
	if n != len(leakTree) {
		return fmt.Errorf("%d objects are stored", n)
	}
	return nil
}

func fetchedAll(_ *leaks, dir string) error {
	n := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		name, _ := filepath.Rel(dir, path)
		name = filepath.ToSlash(name)
		b, err := os.ReadFile(path)
		if size, ok := leakTree[name]; err == nil && (!ok || !bytes.Equal(b, noise(name, size))) {
			err = fmt.Errorf("%s has %d bytes", name, len(b))
		}
		return err
	})
	if err == nil && n != len(leakTree) {
		err = fmt.Errorf("%d files were fetched", n)
	}
	return err
}

func bothAll(l *leaks, dir string) error {
	return errors.Join(storedAll(l, dir), fetchedAll(l, dir))
}

const leakDest = "s3://bench/data/"

var leakCases = []leakCase{
	{name: "upload", prepare: makeLeakFiles, holds: storedAll,
		args: func(dir string) []string { return []string{"upload", "--json", "--part-size", "5MiB", dir, leakDest} }},
	{name: "download", prepare: storeLeakFiles, holds: fetchedAll,
		args: func(dir string) []string { return []string{"download", "--json", "--part-size", "4MiB", leakDest, dir} }},
	{name: "sync up", holds: bothAll,
		prepare: func(l *leaks, dir string) {
			makeLeakFiles(l, dir)
			storeLeakFiles(l, dir)
			l.sink.Store("bench", "data/large", noise("another", 10<<20+2))
			l.sink.Store("bench", "data/gone", nil)
		},
		args: func(dir string) []string {
			return []string{"sync", "--json", "--delete", "--max-delete", "50%", "--part-size", "5MiB", dir, leakDest}
		}},
	{name: "sync down", holds: bothAll,
		prepare: func(l *leaks, dir string) {
			storeLeakFiles(l, dir)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				l.t.Fatal(err)
			}
			for _, name := range []string{"gone", "a"} {
				if err := os.WriteFile(filepath.Join(dir, name), noise("another", 50), 0o600); err != nil {
					l.t.Fatal(err)
				}
			}
		},
		args: func(dir string) []string {
			return []string{"sync", "--json", "--delete", "--max-delete", "50%", leakDest, dir}
		}},
	{name: "verify", code: exitDifferent, holds: fetchedAll,
		prepare: func(l *leaks, dir string) {
			makeLeakFiles(l, dir)
			storeLeakFiles(l, dir)
			l.sink.Store("bench", "data/extra", nil)
			l.sink.Store("bench", "data/a", noise("another", 10))
		},
		args: func(dir string) []string { return []string{"verify", "--json", dir, leakDest} }},
}

// TestCommandsLeaveNothingOpen proves that a command which is cancelled or stopped by
// a signal at any of its requests, or while it tells of something, leaves no
// goroutine, no file and no connection open, and that the same command then ends as
// it should. Here it is some of these instants, others each time.
func TestCommandsLeaveNothingOpen(t *testing.T) { leaveNothingOpen(t, 4) }

// idleRuns tell what a run leaves in a process that makes many, and no agent does:
// cobra keeps the flags of each command that has ever been made, for completion.
const idleRuns = 20

// leaveNothingOpen looks at one of so many instants.
func leaveNothingOpen(t *testing.T, oneOf int) {
	l := newLeaks(t)
	before := heapNow()
	for range idleRuns {
		l.run(instant{}, "--version")
	}
	idle := (heapNow() - before) / idleRuns
	t.Logf("a run that does nothing leaves %d KiB", idle>>10)
	for _, c := range leakCases {
		t.Run(c.name, func(t *testing.T) {
			l.t = t
			requests, lines := l.once(c, instant{})
			if requests < 3 || lines < 1 {
				t.Fatalf("%d requests, %d lines", requests, lines)
			}
			var all []instant
			for n := 1; n <= requests; n++ {
				all = append(all, instant{beforeRequest, n}, instant{afterRequest, n}, instant{signalled, n})
			}
			for n := 1; n <= lines; n++ {
				all = append(all, instant{atLine, n})
			}
			seed := rand.Uint64()
			rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			all = all[:(len(all)+oneOf-1)/oneOf]
			heap := heapNow()
			for _, at := range all {
				l.once(c, at)
			}
			grown := heapNow() - heap
			t.Logf("seed %d: %d requests, %d lines; ended at %d instants; the heap grew by %d KiB", seed, requests, lines, len(all), grown>>10)
			if grown > 8<<20+int64(2*len(all))*idle {
				t.Errorf("after %d runs the heap has grown by %d bytes", 2*len(all), grown)
			}
		})
	}
}

// allAmong reports whether files, which are sorted, are all among others.
func allAmong(files, others []string) bool {
	for _, f := range files {
		i, found := slices.BinarySearch(others, f)
		if !found {
			return false
		}
		others = others[i+1:]
	}
	return true
}

func heapNow() int64 {
	for range 2 { // what has a finalizer goes at the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func newLeaks(t *testing.T) *leaks {
	t.Helper()
	for _, line := range os.Environ() {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "AGENT_") {
			t.Setenv(name, "") // to be restored
			os.Unsetenv(name)
		}
	}
	// A signal that comes when no command listens must not end the test, and the
	// goroutine that brings them stays.
	signals := make(chan os.Signal, 100)
	signal.Notify(signals, syscall.SIGTERM)
	t.Cleanup(func() { signal.Stop(signals) })
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	s, err := sink.Start("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.Keep(20 << 20)
	l := &leaks{t: t, sink: s}
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"HOME": t.TempDir(), "AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "eu-west-2", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "AKIALEAKS", "AWS_SECRET_ACCESS_KEY": "leaks",
	} {
		t.Setenv(name, value)
	}
	return l
}

// once runs a command that is ended at an instant, looks at what it left, and lets it
// go on to its end.
func (l *leaks) once(c leakCase, at instant) (requests, lines int) {
	t := l.t
	t.Helper()
	l.sink.Forget()
	dir, state := filepath.Join(t.TempDir(), "dir"), t.TempDir()
	c.prepare(l, dir)
	args := append([]string{"--state-dir", state}, c.args(dir)...)
	args[0], args[1], args[2] = args[2], args[0], args[1] // the command comes first

	before, files := goleak.IgnoreCurrent(), openFilesNow(t)
	if code, errs := l.run(at, args...); at.n == 0 && code != c.code {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	l.mu.Lock()
	requests, lines = l.now.n, l.lines
	l.mu.Unlock()
	// The log's library never ends the one goroutine that rotates its files.
	if err := goleak.Find(before, goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun")); err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	now := openFilesNow(t)
	for end := time.Now().Add(patience); !allAmong(now, files) && time.Now().Before(end); now = openFilesNow(t) {
		runtime.Gosched() // the server sees the end of a connection a moment later
	}
	if !allAmong(now, files) { // some of before may have ended, of the preparations
		t.Fatalf("%s: open were\n%q\nand are\n%q", at, files, now)
	}
	if code, errs := l.run(instant{}, args...); code != c.code {
		t.Fatalf("%s: the next run: exit %d\n%s", at, code, errs)
	}
	if err := c.holds(l, dir); err != nil {
		t.Errorf("%s: %v", at, err)
	}
	return requests, lines
}
