//go:build (long || load) && linux

package main

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"agent/bench/sink"
	"agent/transfer/checksum"
)

// budget is what the agent may take at defaults, with everything: as much as
// --memory is by itself.
const budget = 64 * mib

// allowed is what a million files may take, by the requirements.
const allowed = 150 * mib

// tiles are very many small files, which say what they are: so many, all in one
// directory or a thousand in each.
type tiles struct {
	files int
	tree  bool
}

// Neighbours have different bodies, in a directory and between directories, so that
// bytes under a neighbour's name are noticed.
const (
	inFolder = 1000
	kinds    = 7
)

func (tiles) body(i int) []byte {
	return fmt.Appendf(nil, "tile %d of %d", i%inFolder, i/inFolder%kinds)
}

// name of a tile, below the directory. They are in the order of their names.
func (a tiles) name(i int) string {
	if a.tree {
		return fmt.Sprintf("%04d/tile-%09d.tif", i/inFolder, i%inFolder)
	}
	return fmt.Sprintf("tile-%09d.tif", i)
}

// number is that of the tile with this name.
func (a tiles) number(name string) (i int, ok bool) {
	folder, n := 0, 0
	var err error
	if a.tree {
		_, err = fmt.Sscanf(name, "%d/tile-%d.tif", &folder, &n)
	} else {
		_, err = fmt.Sscanf(name, "tile-%d.tif", &n)
	}
	i = folder*inFolder + n
	return i, err == nil && i >= 0 && i < a.files && a.name(i) == name
}

// link makes the files in dir, by links to one of each body: that takes no time and
// no room. A tree has links to directories.
func (a tiles) link(t *testing.T, dir string) {
	t.Helper()
	first := make([]string, inFolder*kinds)
	var there string
	if a.tree {
		there = t.TempDir()
	}
	for i := range min(a.files, len(first)) {
		first[i] = filepath.Join(dir, a.name(i))
		if a.tree {
			first[i] = filepath.Join(there, filepath.FromSlash(a.name(i)))
		}
		err := os.MkdirAll(filepath.Dir(first[i]), 0o700)
		if err == nil {
			err = os.WriteFile(first[i], a.body(i), 0o600)
		}
		if err == nil { // stores tell times by the second, and this is certainly before
			old := time.Now().Add(-time.Hour)
			err = os.Chtimes(first[i], old, old)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range a.files {
		var err error
		switch {
		case !a.tree && i >= len(first):
			err = os.Link(first[i%len(first)], filepath.Join(dir, a.name(i)))
		case a.tree && i%inFolder == 0:
			err = os.Symlink(filepath.Dir(first[i%len(first)]), filepath.Join(dir, filepath.Dir(a.name(i))))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// check reports what the server has below prefix that is no tile, and tells how
// many are.
func (a tiles) check(t *testing.T, s *sink.Server, prefix string) (n int) {
	t.Helper()
	for o := range s.Objects() {
		i, ok := a.number(strings.TrimPrefix(o.Key, prefix))
		switch body := a.body(i); {
		case !ok:
			t.Errorf("%q is stored, and no file has its name", o.Key)
		case o.Size != int64(len(body)) || o.CRC64 != checksum.Sum64(body):
			t.Errorf("%q is stored with other bytes: %d, %x", o.Key, o.Size, o.CRC64)
		default:
			n++
		}
		if t.Failed() {
			return n
		}
	}
	return n
}

// sameAs compares the files in dir with the tiles.
func (a tiles) sameAs(t *testing.T, dir string) {
	t.Helper()
	for i := range a.files {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(a.name(i))))
		if err != nil || !bytes.Equal(b, a.body(i)) {
			t.Fatalf("%s: %q, %v", a.name(i), b, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || !a.tree && len(entries) != a.files {
		t.Errorf("there are %d entries, %v", len(entries), err)
	}
}

// using is the agent with what the server needs, and a state in home.
func using(s *sink.Server, home string, args ...string) *exec.Cmd {
	plain, _ := s.URL()
	cmd := exec.Command(built, args...)
	cmd.Env = []string{
		"HOME=" + home, "AWS_ENDPOINT_URL=" + plain, "AWS_REGION=eu-west-2", "AWS_EC2_METADATA_DISABLED=true", "LC_ALL=C.UTF-8",
		"AWS_ACCESS_KEY_ID=AKIABENCH", "AWS_SECRET_ACCESS_KEY=bench", "AGENT_STATE_DIR=" + filepath.Join(home, "state"),
	}
	return cmd
}

// user runs the agent against a sink, and sees that memory stays within most bytes.
type user struct {
	*testing.T
	s    *sink.Server
	home string
	most int64
}

// run has the agent end with code, and returns what it printed and what the server
// saw.
func (u user) run(code int, args ...string) (out string, did sink.Counts) {
	u.Helper()
	before := u.s.Counts()
	cmd := using(u.s, u.home, args...)
	var text, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &errs
	if err := cmd.Start(); err != nil {
		u.Fatal(err)
	}
	rss, err := watched(cmd)
	if got := cmd.ProcessState.ExitCode(); got != code {
		u.Fatalf("%q: exit %d, want %d: %v\n%.2000s\n%.2000s", args, got, code, err, errs.Bytes(), text.Bytes())
	}
	did = u.s.Counts().Sub(before)
	u.Logf("%-8s RssAnon at most %5.1f MiB, CPU %6.2f s; %d requests, %d of them listings, %d objects stored", args[0],
		float64(rss)/mib, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), did.Requests, did.Lists, did.Objects)
	if rss > u.most {
		u.Errorf("%q: RssAnon %d bytes, allowed %d", args, rss, u.most)
	}
	return text.String(), did
}

// lines are those of a text, without holding them all.
func lines(text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		i := 0
		for line := range strings.Lines(text) {
			if !yield(i, strings.TrimSuffix(line, "\n")) {
				return
			}
			i++
		}
	}
}

// listed checks that 'ls -r' prints the keys of all tiles, in order.
func (a tiles) listed(u user, dest, prefix string) {
	u.Helper()
	text, _ := u.run(0, "ls", "-r", dest)
	n := 0
	for i, line := range lines(text) {
		n++
		if !strings.HasSuffix(line, " "+prefix+a.name(i)) {
			u.Fatalf("line %d is %q", i, line)
		}
	}
	if n != a.files {
		u.Errorf("it lists %d objects", n)
	}
}

// inRAM is a directory that no disk is behind, where there is room: what makes a
// file durable for each of very many is not what is looked at here.
func inRAM(t *testing.T) string {
	t.Helper()
	if freeBytes(inMemory) < 4*gib {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(inMemory, "agent-bench-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// killAt kills a started cmd as soon as reached says so. Call ended when it has
// ended.
func killAt(cmd *exec.Cmd, reached func() bool) (ended func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for !reached() {
			select {
			case <-tick.C:
			case <-over:
				return
			}
		}
		_ = cmd.Process.Kill() // gone already: then nothing was reached, which is seen
	})
	return func() {
		close(over)
		wg.Wait()
	}
}
