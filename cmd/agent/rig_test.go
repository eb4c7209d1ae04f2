//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"agent/bench/platform"
)

// rig is a platform of a test's own, and a user with nothing but an empty home
// and a live token.
type rig struct {
	t       *testing.T
	sb      *platform.Sandbox // nil where the store is another
	witness *minio.Client
	log     requestLog // of what the server was asked
	root    string     // access key of the witness, if its requests are in the log
	bucket  string
	home    string
	state   string
	env     []string // of every agent it runs
	dest    string   // where uploads go: workspace/path
	prefix  string   // of their keys
	secrets *secrets // that it has given to agents: see searched
}

// requestLog is what a server was asked.
type requestLog interface {
	Requests() ([]platform.Request, error)
}

// newRig starts a sandbox with flags, ended by the end of the test.
func newRig(t *testing.T, flags ...string) *rig {
	t.Helper()
	dir := t.TempDir()
	sb, err := platform.Start(context.Background(), built.sandbox, filepath.Join(dir, "sandbox"), flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sb.Kill() })
	r := searched(&rig{
		t: t, sb: sb, log: sb, root: sb.Env["AGENT_SANDBOX_ROOT_ACCESS_KEY"], bucket: sb.Bucket(), home: filepath.Join(dir, "home"), state: filepath.Join(dir, "state"),
		dest: sb.Workspace() + "/data", prefix: sb.Workspace() + "/data/",
	})
	if r.witness, err = sb.Witness(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(r.home, 0o700); err != nil {
		t.Fatal(err)
	}
	r.env = cleanEnv(r.home, r.state)
	r.secrets.keep("the API key", sb.Env["AGENT_SANDBOX_API_KEY"])
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_CA_BUNDLE"} {
		if v := sb.Env[name]; v != "" {
			r.env = append(r.env, name+"="+v)
		}
	}
	return r
}

// searched is r, whose test ends by searching what its agents have printed and kept
// for what they were given.
func searched(r *rig) *rig {
	r.secrets = &secrets{}
	r.t.Cleanup(func() { r.secrets.nowhere(r.t, r.state) }) // when all agents have ended
	return r
}

// given is an environment of an agent; what is secret in it is searched for.
func (r *rig) given(env []string) []string {
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		r.secrets.keep(name, value(env, name))
	}
	return env
}

// cleanEnv is an environment without any AWS setting.
func cleanEnv(home, state string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + built.tmp, "HOME=" + home,
		"AGENT_STATE_DIR=" + state, "AWS_EC2_METADATA_DISABLED=true", "LC_ALL=C.UTF-8",
	}
	if dir := os.Getenv(coverVariable); dir != "" {
		env = append(env, "GOCOVERDIR="+dir)
	}
	return env
}

// withToken puts a fresh token into the environment.
func (r *rig) withToken() *rig {
	r.t.Helper()
	r.env = append(r.env, r.token()...)
	return r
}

func (r *rig) token() []string {
	r.t.Helper()
	token, err := r.sb.Token(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.given(token)
}

// ended is how a run of the agent ended.
type ended struct {
	code     int // -1: by a signal that it did not handle
	out, err string
}

// run runs the agent to its end.
func (r *rig) run(args ...string) ended {
	r.t.Helper()
	return r.start(args...).wait()
}

// upload runs an upload to r.dest, which must end with code.
func (r *rig) upload(code int, args ...string) ended {
	r.t.Helper()
	e := r.run(append(append([]string{"upload"}, args...), r.dest)...)
	if e.code != code {
		r.t.Fatalf("upload %q: exit %d, want %d\n%s%s", args, e.code, code, e.out, e.err)
	}
	return e
}

// proc is a running agent.
type proc struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err output
	done     chan struct{}
}

// start starts the agent.
func (r *rig) start(args ...string) *proc {
	r.t.Helper()
	return r.startAs(r.command(args...))
}

func (r *rig) command(args ...string) *exec.Cmd { return exec.Command(built.agent, args...) }

// startUpload starts an upload to r.dest.
func (r *rig) startUpload(args ...string) *proc {
	r.t.Helper()
	return r.start(append(append([]string{"upload"}, args...), r.dest)...)
}

func (r *rig) startAs(cmd *exec.Cmd) *proc {
	r.t.Helper()
	p := &proc{t: r.t, cmd: cmd, done: make(chan struct{})}
	r.secrets.ran(p)
	cmd.Env, cmd.Stdout, cmd.Stderr = r.env, &p.out, &p.err
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // its state says how it went
		close(p.done)
	}()
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill() // usually gone long since
		<-p.done
	})
	return p
}

// patience is how long a test waits for an event before it fails.
const patience = 60 * time.Second

func (p *proc) wait() ended {
	p.t.Helper()
	return p.waitFor(2 * patience)
}

func (p *proc) waitFor(d time.Duration) ended {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(d):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // for its stack
		<-p.done
		p.t.Fatalf("%q does not end\n%s%s", p.cmd.Args, p.out.String(), p.err.String())
	}
	return ended{code: p.cmd.ProcessState.ExitCode(), out: p.out.String(), err: p.err.String()}
}

func (p *proc) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *proc) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// says waits until text is on stderr.
func (p *proc) says(text string) {
	p.t.Helper()
	until(p.t, "stderr with "+text, func() bool {
		if strings.Contains(p.err.String(), text) {
			return true
		}
		if !p.running() {
			p.t.Fatalf("it ended without %q:\n%s%s", text, p.out.String(), p.err.String())
		}
		return false
	})
}

// until waits for an event.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !happened(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain for %s", patience, what)
		}
	}
}

// output collects what a process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
