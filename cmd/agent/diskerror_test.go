//go:build long && linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// diskError is one system call that fails, by strace's injection: neither a
// file system in user space nor a preloaded library, which a static binary would
// not load.
type diskError struct {
	name  string
	down  bool   // of a download
	call  string // the system call, as strace has it
	path  string // only on this file below the state, the source or the target; "" for all
	errno string
	from  int  // which call of a thread is the first to fail; all after it do
	may   bool // come to no such call: it is a matter of how threads share the work
	code  int
	says  []string
}

func diskErrors() (all []diskError) {
	local := []string{"input/output error", "--state-dir"}
	for _, from := range []int{1, 2, 4, 7} {
		may := from > 2
		all = append(all,
			diskError{fmt.Sprintf("sync-of-the-journal-%d", from), false, "fdatasync", "", "EIO", from, may, 8, local},
			diskError{fmt.Sprintf("no-room-at-the-sync-%d", from), false, "fdatasync", "", "ENOSPC", from, may, 8, []string{"no space left on device", "--state-dir"}},
			diskError{fmt.Sprintf("sync-of-the-journal-down-%d", from), true, "fdatasync", "", "EIO", from, may, 8, local},
		)
	}
	return append(all,
		diskError{"write-of-the-journal", false, "pwrite64", "", "EIO", 3, false, 8, local},
		diskError{"read-of-the-source", false, "pread64", "large", "EIO", 2, false, 1, []string{"input/output error", "the disk can't read it"}},
		diskError{"sync-of-a-file", true, "fsync", "", "EIO", 1, false, 8, []string{"input/output error"}},
		diskError{"name-of-a-file", true, "renameat,renameat2", "", "EIO", 1, false, 8, []string{"input/output error"}},
		diskError{"write-of-a-file", true, "pwrite64", "", "EIO", 8, false, 8, []string{"input/output error"}},
	)
}

// TestLongDiskErrors proves that a disk that fails at one system call, and at
// all after it, ends a run with what is wrong said, and that the next run on a
// disk that works ends with everything right.
func TestLongDiskErrors(t *testing.T) {
	strace := needed(t, "strace")
	files := tree{}.with("large", 12<<20+5).with("small/a", 1000).with("small/b", 0)
	for _, d := range diskErrors() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t).withToken()
			dir := filepath.Join(t.TempDir(), "files")
			args := []string{"upload", "--parallel", "2", "--part-size", "5MiB", dir, r.dest}
			if d.down {
				r.fill(files)
				args = []string{"download", "--parallel", "2", "--part-size", "5MiB", r.dest, dir}
			} else {
				files.writeTo(t, dir)
			}
			traced := []string{"-f", "-qq", "-o", filepath.Join(t.TempDir(), "trace"), "-e", "trace=" + d.call,
				"-e", fmt.Sprintf("inject=%s:error=%s:when=%d+", d.call, d.errno, d.from)}
			if d.path != "" {
				traced = append(traced, "-P", filepath.Join(dir, d.path))
			}
			e := r.startAs(exec.Command(strace, append(append(traced, built.agent), args...)...)).wait()
			trace, err := os.ReadFile(traced[3])
			if err != nil {
				t.Fatal(err)
			}
			switch n := strings.Count(string(trace), "(INJECTED)"); {
			case n > 0:
				t.Logf("%d calls failed: %s", n, lastLine(e.err))
				e.says(t, d.code, d.says...)
			case !d.may:
				t.Errorf("exit %d, and no call failed: no thread made %d\n%s", e.code, d.from, e.err)
			case e.code != 0:
				t.Errorf("exit %d, though no call failed\n%s", e.code, e.err)
			default:
				t.Logf("no thread made %d such calls", d.from)
			}
			if e := r.run(args...); e.code != 0 {
				t.Fatalf("on a disk that works: exit %d\n%s", e.code, e.err)
			}
			if d.down {
				files.isIn(t, dir)
			} else {
				r.holds(files)
			}
		})
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
