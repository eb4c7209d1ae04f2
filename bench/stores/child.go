package stores

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
)

// child is a server that runs until it is killed.
type child struct {
	cmd  *exec.Cmd
	said tail
	done chan struct{}
}

// run starts a server. Its environment is env alone, but for PATH.
func (s *Store) run(ctx context.Context, env []string, name string, args ...string) error {
	c := &child{cmd: exec.CommandContext(context.WithoutCancel(ctx), name, args...), done: make(chan struct{})}
	c.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	c.cmd.Stdout, c.cmd.Stderr = &c.said, &c.said
	if err := c.cmd.Start(); err != nil {
		return err
	}
	s.children = append(s.children, c)
	go func() {
		_ = c.cmd.Wait() // says that it was killed
		close(c.done)
	}()
	return nil
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// do runs a program to its end.
func do(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w\n%s", name, args, err, out)
	}
	return nil
}

// freePort is an address where nobody listens, below the ports that the system
// gives to whoever asks for any: some servers take seconds until they listen.
func freePort() (string, error) {
	var failed error
	for range 100 {
		at := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000))) //nolint:gosec // no secret hangs on it
		l, err := net.Listen("tcp", at)                                             //nolint:noctx // it is closed at once
		if err == nil {
			return at, l.Close()
		}
		failed = err
	}
	return "", failed
}

// builtAs is the module's version of a Go program on PATH.
func builtAs(name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	return info.Main.Version
}

// tail keeps the last of what a server writes.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const tailSize = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, err := t.b.Write(p)
	if over := t.b.Len() - tailSize; over > 0 {
		t.b.Next(over)
	}
	return n, err
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}
