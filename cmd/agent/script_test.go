//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/rogpeppe/go-internal/testscript"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// TestScripts runs testdata/script/*.txtar: what a user types and what is then
// to be read. All scripts share one platform, and each has a destination of
// its own, $DEST.
//
// Beside testscript's own commands there are
//
//	agent ARGS...          runs the agent; it must end with 0
//	exits CODE ARGS...     runs the agent; it must end with CODE
//	objects [PREFIX]       prints "size key" of what is stored below $DEST
//	object KEY             prints an object
//	requests OP...         prints "op key status" of $DEST's requests, in order of their ends, since the last 'requests'
//	json                   checks that stdout is one JSON object a line
//	jobof LOG              sets $JOB to the ID of the job that wrote the log
//	fifo, socket, rawname, repeat, tmpfs, corrupt, mode, mkfile, mkpaste, mkissuer, hold, release, begun, jobid, older, jsonlines, attachall: see their comments
func TestScripts(t *testing.T) {
	t.Parallel()
	r := newRig(t, "-role", "platform").withToken()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Condition:           scriptCondition,
		Setup: func(e *testscript.Env) error {
			name := strings.TrimPrefix(filepath.Base(e.WorkDir), "script-")
			home, state := filepath.Join(e.WorkDir, ".home"), filepath.Join(e.WorkDir, ".state")
			e.Vars = append(cleanEnv(home, state), r.env[len(cleanEnv("", "")):]...)
			e.Vars = append(e.Vars, "WORK="+e.WorkDir, "BUCKET="+r.sb.Bucket(), "SANDBOX="+r.sb.Endpoint(),
				"STATE="+state, "WORKSPACE="+r.sb.Workspace(), "DEST="+r.sb.Workspace()+"/"+name, "MINT="+r.sb.TokenCommand(),
				"API="+r.sb.Env["AGENT_SANDBOX_API"], "APIKEY="+r.sb.Env["AGENT_SANDBOX_API_KEY"],
				"AGENT="+built.agent, "SOON="+time.Now().Add(72*time.Hour).Format(time.DateOnly))
			e.Defer(func() { r.secrets.nowhere(t, state) })
			return os.MkdirAll(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"agent": r.scriptAgent, "exits": r.scriptExits,
			"objects": r.scriptObjects, "object": r.scriptObject, "requests": r.scriptRequests,
			"fifo": scriptFifo, "socket": scriptSocket, "rawname": scriptRawName, "tmpfs": scriptTmpfs,
			"corrupt": scriptCorrupt, "json": scriptJSON, "repeat": scriptRepeat,
			"jobof": scriptJobOf, "mode": scriptMode, "mkfile": scriptMkfile, "mkpaste": r.scriptMkpaste, "mkissuer": r.scriptMkissuer,
			"hold": scriptHold, "attachall": scriptAttachAll, "release": scriptRelease, "begun": r.scriptBegun, "jobid": scriptJobID, "older": scriptOlder, "jsonlines": scriptJSONLines,
		},
	})
}

// scriptRun runs the agent, and searches what it has printed.
func (r *rig) scriptRun(ts *testscript.TestScript, args []string) error {
	err := ts.Exec(built.agent, args...)
	if !printsSecrets(args) {
		for _, what := range r.secrets.in([]byte(ts.ReadFile("stdout") + ts.ReadFile("stderr"))) {
			ts.Fatalf("it printed %s", what)
		}
	}
	return err
}

func (r *rig) scriptAgent(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("say which exit code: exits CODE")
	}
	if err := r.scriptRun(ts, args); err != nil {
		ts.Fatalf("agent %s: %v", strings.Join(args, " "), err)
	}
}

func (r *rig) scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := r.scriptRun(ts, args[1:]); err != nil {
		var e *exec.ExitError
		if !errors.As(err, &e) {
			ts.Fatalf("%v", err)
		}
		code = e.ExitCode()
	}
	if code != want {
		ts.Fatalf("agent %s: exit %d, want %d", strings.Join(args[1:], " "), code, want)
	}
}

// below is the key prefix of the script's destination.
func below(ts *testscript.TestScript) string { return ts.Getenv("DEST") }

// within reports whether key is the script's: another's may begin with its name.
func within(ts *testscript.TestScript, key string) bool {
	return key == below(ts) || strings.HasPrefix(key, below(ts)+"/")
}

func (r *rig) scriptObjects(ts *testscript.TestScript, _ bool, _ []string) {
	out := ts.Stdout()
	for o := range r.witness.ListObjects(context.Background(), r.sb.Bucket(), minio.ListObjectsOptions{Prefix: below(ts), Recursive: true}) {
		ts.Check(o.Err)
		if within(ts, o.Key) {
			fmt.Fprintf(out, "%d %s\n", o.Size, strings.TrimPrefix(o.Key, below(ts)+"/"))
		}
	}
}

func (r *rig) scriptObject(ts *testscript.TestScript, _ bool, args []string) {
	o, err := r.witness.StatObject(context.Background(), r.sb.Bucket(), below(ts)+"/"+args[0], minio.StatObjectOptions{})
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s %d\n", o.ContentType, o.Size)
}

func (r *rig) scriptRequests(ts *testscript.TestScript, _ bool, want []string) {
	out := ts.Stdout()
	all, err := r.sb.Requests()
	ts.Check(err)
	since, _ := strconv.Atoi(ts.Getenv("SEEN"))
	for _, q := range all[since:] {
		if slices.Contains(want, q.Op) && within(ts, q.Key) {
			fmt.Fprintf(out, "%s %s %d\n", q.Op, strings.TrimPrefix(q.Key, below(ts)+"/"), q.Status)
		}
	}
	ts.Setenv("SEEN", strconv.Itoa(len(all)))
}

func scriptJSON(ts *testscript.TestScript, _ bool, _ []string) {
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var v struct{ Type, Time string }
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Type == "" || v.Time == "" {
			ts.Fatalf("no JSON line: %v: %s", err, line)
		}
	}
}

func scriptFifo(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}

// scriptSocket makes the file of a socket that nobody listens at. The name is
// bound from its folder, because the system's limit is some 100 bytes.
func scriptSocket(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	dir, err := os.Open(filepath.Dir(path))
	ts.Check(err)
	defer dir.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	ts.Check(err)
	defer func() { _ = unix.Close(fd) }()
	ts.Check(unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))}))
}

// scriptRawName makes a file whose name is given with Go's escapes.
func scriptRawName(ts *testscript.TestScript, _ bool, args []string) {
	name, err := strconv.Unquote(`"` + args[0] + `"`)
	ts.Check(err)
	if err := os.WriteFile(ts.MkAbs(name), []byte("raw\n"), 0o600); err != nil {
		ts.Fatalf("%v", err)
	}
}

// scriptRepeat makes a deep folder of N components and a file in it: repeat N COMPONENT FILE.
func scriptRepeat(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	dir := ts.MkAbs(filepath.Dir(args[2])) + strings.Repeat("/"+args[1], n)
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(os.WriteFile(filepath.Join(dir, filepath.Base(args[2])), []byte("deep\n"), 0o600))
}

// scriptTmpfs mounts a file system of SIZE bytes, read-only with "ro": tmpfs
// DIR SIZE [ro].
func scriptTmpfs(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	var flags uintptr
	if len(args) > 2 {
		flags = unix.MS_RDONLY
	}
	ts.Check(unix.Mount("tmpfs", dir, "tmpfs", flags, "size="+args[1]))
	ts.Defer(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// scriptMode checks a file's mode: mode PATH OCTAL. PATH may be a pattern.
func scriptMode(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) == 0 {
		ts.Fatalf("there is no %s", args[0])
	}
	for _, path := range found {
		fi, err := os.Stat(path)
		ts.Check(err)
		if got := strconv.FormatUint(uint64(fi.Mode().Perm()), 8); got != args[1] {
			ts.Fatalf("%s has mode %s, want %s", path, got, args[1])
		}
	}
}

// scriptMkfile makes a file with a mode: mkfile FILE OCTAL TEXT. @OTHER stands
// for the text of another file.
func scriptMkfile(ts *testscript.TestScript, _ bool, args []string) {
	mode, err := strconv.ParseUint(args[1], 8, 32)
	ts.Check(err)
	text := args[2] + "\n"
	if other, ok := strings.CutPrefix(args[2], "@"); ok {
		text = ts.ReadFile(other)
	}
	path := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(path, []byte(text), os.FileMode(mode)))
	ts.Check(os.Chmod(path, os.FileMode(mode)))
}

// scriptMkpaste writes the script's token as the platform's page copies it.
func (r *rig) scriptMkpaste(ts *testscript.TestScript, _ bool, args []string) {
	token, err := r.sb.Token(context.Background())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(pageText(token)), 0o600))
}

// scriptMkissuer describes the platform's API as any issuer: mkissuer FILE KEYFILE.
func (r *rig) scriptMkissuer(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(r.issuerText(args[1])), 0o600))
}

// scriptCondition knows [mount]: file systems may be mounted here.
func scriptCondition(name string) (bool, error) {
	if name != "mount" {
		return false, fmt.Errorf("unknown condition %s", name)
	}
	dir, err := os.MkdirTemp("", "mount-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.Remove(dir) }()
	if unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k") != nil {
		return false, nil
	}
	return true, unix.Unmount(dir, 0)
}

// scriptCorrupt damages the only journal below the state folder: corrupt
// truncate, corrupt garbage, corrupt empty; corrupt newer makes it one of a
// later version.
func scriptCorrupt(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(filepath.Join(ts.Getenv("STATE"), "jobs", "*", "journal.db"))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%d journals", len(found))
	}
	fi, err := os.Stat(found[0])
	ts.Check(err)
	switch args[0] {
	case "newer":
		ts.Check(newerFormat(found[0]))
	case "truncate":
		ts.Check(os.Truncate(found[0], fi.Size()/2))
	case "empty":
		ts.Check(os.Truncate(found[0], 0))
	case "garbage":
		ts.Check(os.WriteFile(found[0], noise("garbage", int(fi.Size())), 0o600))
	}
}

// scriptJobOf finds a job's ID in its log.
func scriptJobOf(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(`\bjob=(\S+)`).FindStringSubmatch(ts.ReadFile(args[0]))
	if m == nil {
		ts.Fatalf("no job in %s", args[0])
	}
	ts.Setenv("JOB", m[1])
}

// newerFormat writes the number of a format that is yet to come into a
// journal, sealed as the journal seals its values.
func newerFormat(path string) error {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket([]byte("meta"))
		val := append([]byte(nil), meta.Get([]byte("format"))...)
		body := binary.LittleEndian.AppendUint32(val[:1:1], 99)
		sum := crc32.Checksum(append([]byte("mformat"), body...), crc32.MakeTable(crc32.Castagnoli))
		return meta.Put([]byte("format"), binary.LittleEndian.AppendUint32(body, sum))
	})
	return errors.Join(err, db.Close())
}
