package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/minio/minio-go/v7"

	"agent/bench/platform"
	"agent/bench/sink"
)

// server is what is uploaded to. Each run gets a new one, on a CPU of its own:
// nobody finds what another left, in the store or in the server's memory.
type server interface {
	place() place
	// seen is what came in, with what the store has to show for it.
	seen(ctx context.Context) (sink.Counts, error)
	stop() error
}

// place is where a server is, and what a client needs there.
type place struct {
	endpoint       string // URL
	ca             string // file to trust; "" for http
	bucket, region string
	access, secret string // keys
}

// startServer starts what c uploads to, over dir.
func (f *field) startServer(ctx context.Context, c contest, dir string) (server, error) {
	if c.sandbox {
		return startSandbox(ctx, f.sandbox, dir)
	}
	return startSink(ctx, dir, c.plain)
}

// sinkProcess is a sink in a process of its own.
type sinkProcess struct {
	serves sinkPlace
	plain  bool
	cmd    *exec.Cmd
	stdin  io.Closer
}

func startSink(ctx context.Context, dir string, plain bool) (*sinkProcess, error) {
	s := &sinkProcess{cmd: self("sink", "-ca", filepath.Join(dir, "ca.pem")), plain: plain}
	s.cmd.Stderr = os.Stderr
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.stdin = stdin
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := onCPU(serverCPU(), s.cmd.Start); err != nil {
		return nil, err
	}
	if err := json.NewDecoder(stdout).Decode(&s.serves); err != nil {
		_ = s.stop() // what went wrong is known
		return nil, fmt.Errorf("the sink does not start: %w", err)
	}
	if _, err := s.seen(ctx); err != nil {
		_ = s.stop() // likewise
		return nil, err
	}
	return s, nil
}

// place has keys that the sink does not look at.
func (s *sinkProcess) place() place {
	p := place{endpoint: s.serves.HTTPS, ca: s.serves.CA, bucket: "bench", region: "eu-west-2", access: "AKIABENCH", secret: "benchbench"}
	if s.plain {
		p.endpoint, p.ca = s.serves.HTTP, ""
	}
	return p
}

func (s *sinkProcess) stop() error {
	_ = s.stdin.Close() // it ends by that
	return s.cmd.Wait()
}

func (s *sinkProcess) seen(ctx context.Context) (c sink.Counts, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.serves.HTTP+sink.CountsPath, nil)
	if err != nil {
		return c, err
	}
	return s.ask(req)
}

func (s *sinkProcess) ask(req *http.Request) (c sink.Counts, err error) {
	req.Close = true // it should not be among the connections of a run
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return c, err
	}
	defer res.Body.Close()
	return c, json.NewDecoder(res.Body).Decode(&c)
}

// sandboxServer is the sandbox: a server that keeps what it gets, and that
// checks signatures and checksums.
type sandboxServer struct {
	*platform.Sandbox
	dir string
}

// inMemory is a file system in memory, on Linux.
const inMemory = "/dev/shm"

// startSandbox has the objects kept in memory, if there is room: on the disk of the
// client it would be that disk which is measured, and what writes to it first.
func startSandbox(ctx context.Context, bin, dir string) (*sandboxServer, error) {
	if freeBytes(inMemory) > 8*gib {
		dir = inMemory
	}
	dir, err := os.MkdirTemp(dir, "agent-bench-sandbox-")
	if err != nil {
		return nil, err
	}
	s := &sandboxServer{dir: dir}
	err = onCPU(serverCPU(), func() (err error) {
		// A run whose context ends has to end its server too, after its last question.
		s.Sandbox, err = platform.Start(context.WithoutCancel(ctx), bin, dir, "-tls", "-role", "full")
		return err
	})
	return s, err
}

// place has the keys of the root account: they don't end, and every client
// takes such.
func (s *sandboxServer) place() place {
	return place{
		endpoint: s.Endpoint(), ca: s.Env["AWS_CA_BUNDLE"], bucket: s.Bucket(), region: s.Env["AWS_REGION"],
		access: s.Env["AGENT_SANDBOX_ROOT_ACCESS_KEY"], secret: s.Env["AGENT_SANDBOX_ROOT_SECRET_KEY"],
	}
}

// seen counts requests by the sandbox's log, and objects and their bytes by a
// listing of another client.
func (s *sandboxServer) seen(ctx context.Context) (c sink.Counts, err error) {
	all, err := s.Requests()
	if err != nil {
		return c, err
	}
	c.Requests = int64(len(all))
	for _, r := range all {
		if r.Op == "UploadPart" && r.Status == http.StatusOK {
			c.Parts++
		}
	}
	witness, err := s.Witness()
	if err != nil {
		return c, err
	}
	for o := range witness.ListObjects(ctx, s.Bucket(), minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return c, o.Err
		}
		c.Objects++
		c.Bytes += o.Size
	}
	return c, nil
}

func (s *sandboxServer) stop() error {
	_ = s.Kill() // it has nothing to keep
	return os.RemoveAll(s.dir)
}
