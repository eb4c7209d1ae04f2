package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"agent/transfer"
)

// child is what the second process does: its lines say what it has done.
func child(mode, dir string) int {
	d, err := Open(context.Background(), dir, testJob(), Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if mode == "hold" {
		if err := d.WriteHolder(Holder{Version: "test", Progress: Progress{FilesFound: 5}}); err != nil {
			return 1
		}
		fmt.Println("holding")
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent lets go
		if d.Close() != nil {
			return 1
		}
		return 0
	}
	for i := 0; ; i++ {
		u := upload(i, 0)
		if d.Begin(u) != nil {
			return 1
		}
		fmt.Println("begin", i, 0, time.Now().UnixNano())
		// So many that none of them becomes durable by the beginning of the next.
		for n := 1; n <= 900; n++ {
			if d.Part(u.Key, u.ID, part(i, int32(n))) != nil {
				return 1
			}
			fmt.Println("part", i, n, time.Now().UnixNano())
			time.Sleep(time.Millisecond) // the pace of a fast network
		}
		if i%2 == 0 {
			if d.Done(rec(i)) != nil || d.Flush(context.Background()) != nil {
				return 1
			}
			fmt.Println("done", i, 0, time.Now().UnixNano())
		}
	}
}

// spawn starts a child and returns it with the lines it prints.
func spawn(t *testing.T, mode, dir string) (cmd *exec.Cmd, lines *bufio.Scanner, stdin io.Closer) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+mode, "JOURNAL_TEST_DIR="+dir)
	in, err := cmd.StdinPipe()
	ok(t, err)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	return cmd, bufio.NewScanner(out), in
}

type line struct {
	what      string
	i, number int
	at        int64
}

// late is how long before the kill a part must have been queued to be asked
// for: 50 ms is promised, the rest is for a slow disk under test.
const late = 500 * time.Millisecond

// killAt is how many lines the child lives for: into the middle of the parts of
// its second upload.
const killAt = 1750

func TestKilled(t *testing.T) {
	dir := jobDir(t)
	cmd, out, _ := spawn(t, "write", dir)
	var lines []line
	var killed time.Time
	for out.Scan() {
		var l line
		if _, err := fmt.Sscan(out.Text(), &l.what, &l.i, &l.number, &l.at); err != nil {
			t.Fatalf("%q: %v", out.Text(), err)
		}
		lines = append(lines, l)
		if len(lines) == killAt {
			killed = time.Now()
			ok(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait()
	if len(lines) < killAt {
		t.Fatalf("the child ended early: %+v", lines)
	}

	d := open(t, dir, testJob())
	if d.New() || d.Damage() != nil {
		t.Fatalf("new %v, damage %+v", d.New(), d.Damage())
	}
	done := map[int]bool{}
	for _, r := range records(t, d) {
		for i := range 100 {
			if r == rec(i) {
				done[i] = true
			}
		}
	}
	parts, asked := map[int][]transfer.Part{}, 0
	for _, l := range lines {
		switch {
		case l.what == "done" && !done[l.i]:
			t.Errorf("record %d was flushed and is not there", l.i)
		case l.what == "begin" && !done[l.i]:
			u, found, err := d.Upload(key(l.i))
			if !found || err != nil || u.ID != upload(l.i, 0).ID {
				t.Errorf("upload %d was begun and is not there: %v", l.i, err)
			}
			parts[l.i] = u.Parts
			for k, p := range u.Parts {
				if p != part(l.i, int32(k+1)) {
					t.Errorf("upload %d, part %d: %+v", l.i, k+1, p)
				}
			}
		case l.what == "part" && !done[l.i] && killed.UnixNano()-l.at > int64(late):
			asked++
			if len(parts[l.i]) < l.number {
				t.Errorf("part %d of upload %d was queued %v before the kill and is not there",
					l.number, l.i, killed.Sub(time.Unix(0, l.at)))
			}
		}
	}
	if asked == 0 {
		t.Error("no part was old enough to be asked for")
	}
}

func TestBusy(t *testing.T) {
	dir := jobDir(t)
	cmd, out, stdin := spawn(t, "hold", dir)
	if !out.Scan() || out.Text() != "holding" {
		t.Fatalf("child: %q", out.Text())
	}
	_, err := Open(t.Context(), dir, testJob(), Options{})
	var busy *BusyError
	if !errors.As(err, &busy) || !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	if h := busy.Holder; h.PID != cmd.Process.Pid || h.Version != "test" || h.Progress.FilesFound != 5 {
		t.Errorf("holder %+v", h)
	}
	if err := Remove(dir); !errors.As(err, &busy) {
		t.Errorf("remove: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, dir, testJob(), Options{Timeout: time.Hour}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	ok(t, stdin.Close())
	ok(t, cmd.Wait())
	if d := open(t, dir, testJob()); d.New() {
		t.Error("the child's journal is gone")
	}
}

func TestRemove(t *testing.T) {
	dir := jobDir(t)
	ok(t, Remove(dir))
	d := open(t, dir, testJob())
	ok(t, d.Done(rec(1)))
	if err := Remove(dir); !errors.Is(err, ErrBusy) {
		t.Errorf("remove beside an open journal: %v", err)
	}
	ok(t, d.Close())
	ok(t, Remove(dir))
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory: %v", err)
	}
	d = open(t, dir, testJob())
	if items, _ := d.Counts(); !d.New() || items != 0 {
		t.Errorf("new %v, %d items", d.New(), items)
	}
}

func TestOtherJob(t *testing.T) {
	dir := jobDir(t)
	ok(t, open(t, dir, testJob()).Close())
	other := NewJob("upload", []string{"/else"}, "https://s3.example", "bucket", "ws/run")
	if _, err := Open(t.Context(), dir, other, Options{}); !errors.Is(err, transfer.ErrLocal) {
		t.Error(err)
	}
	open(t, dir, NewJob("sync", []string{"/data/run"}, "https://s3.example", "bucket", "ws/run"))
}

func TestUnusable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	dir := filepath.Join(file, "jobs") // below a file nothing can be made
	_, err := Open(t.Context(), dir, testJob(), Options{})
	var u *UnusableError
	if !errors.As(err, &u) || u.Dir != dir || !errors.Is(err, ErrUnusable) || !errors.Is(err, transfer.ErrLocal) {
		t.Error(err)
	}
}
