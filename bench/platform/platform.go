// Package platform builds the sandbox, starts it as a child process and reads
// its request log: for tests, the demo and the benchmarks. It knows nothing of
// the agent.
package platform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Build builds the sandbox from its module below root, the folder of the
// agent's go.mod, into dir.
func Build(ctx context.Context, root, dir string) (string, error) {
	bin := filepath.Join(dir, "sandbox")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, ".")
	cmd.Dir = filepath.Join(root, "bench", "sandbox")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the sandbox: %w\n%s", err, out)
	}
	return bin, nil
}

// Root finds the folder of the agent's go.mod, from the working folder upward.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && bytes.HasPrefix(b, []byte("module agent\n")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod of the agent above the working folder")
		}
		dir = filepath.Dir(dir)
	}
}

// Sandbox is a running local platform.
type Sandbox struct {
	Bin  string // of the sandbox
	Dir  string // its objects and files; survives Kill and Restart
	Env  map[string]string
	args []string
	cmd  *exec.Cmd
	said bytes.Buffer // on standard error; its server speaks of every connection that breaks
}

// Start starts bin over dir with more flags, and returns when it is ready.
func Start(ctx context.Context, bin, dir string, flags ...string) (*Sandbox, error) {
	s := &Sandbox{Bin: bin, Dir: dir, args: flags}
	return s, s.start(ctx)
}

func (s *Sandbox) start(ctx context.Context) error {
	env := filepath.Join(s.Dir, "env")
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	args := append([]string{"-dir", filepath.Join(s.Dir, "s3"), "-env-file", env, "-log", s.logPath()}, s.args...)
	s.cmd = exec.CommandContext(ctx, s.Bin, args...)
	s.cmd.Stderr = &s.said
	ownGroup(s.cmd)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if lines.Text() == "sandbox: ready" {
			go func() { // until the child closes its end
				for lines.Scan() {
				}
			}()
			return s.readEnv(env)
		}
	}
	err = s.cmd.Wait()
	return fmt.Errorf("the sandbox ended before it was ready: %w\n%s", err, s.said.String())
}

func (s *Sandbox) readEnv(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s.Env = map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			s.Env[name] = value
		}
	}
	return nil
}

// Endpoint is the URL of its S3 server.
func (s *Sandbox) Endpoint() string { return s.Env["AWS_ENDPOINT_URL"] }

// Bucket and Workspace are what uploads go to.
func (s *Sandbox) Bucket() string { return s.Env["AGENT_SANDBOX_BUCKET"] }

// Workspace is the one that the API key is good for.
func (s *Sandbox) Workspace() string { return s.Env["AGENT_SANDBOX_WORKSPACE"] }

// Environ is the sandbox's settings without any keys, as the lines of an
// environment.
func (s *Sandbox) Environ() []string {
	var lines []string
	for name, value := range s.Env {
		if !strings.Contains(name, "_ROOT_") {
			lines = append(lines, name+"="+value)
		}
	}
	return lines
}

// Token mints a token: the lines of an environment.
func (s *Sandbox) Token(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, s.Bin, "token", "-format", "env")
	cmd.Env = s.Environ()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("mint a token: %w", err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimPrefix(strings.TrimSpace(line), "export "); strings.Contains(line, "=") {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// TokenCommand is a command that mints a token as credential_process wants it.
func (s *Sandbox) TokenCommand() string {
	return fmt.Sprintf("%s token -format process -api %s -api-key %s -workspace %s",
		s.Bin, s.Env["AGENT_SANDBOX_API"], s.Env["AGENT_SANDBOX_API_KEY"], s.Workspace())
}

// ProcessConfig writes an AWS config file under dir whose default profile
// mints tokens by credential_process, and returns its path.
func (s *Sandbox) ProcessConfig(dir string) (string, error) {
	path := filepath.Join(dir, "aws-config")
	text := fmt.Sprintf("[default]\nregion = %s\ncredential_process = %s\n", s.Env["AWS_REGION"], s.TokenCommand())
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// Witness is a client that we did not write, with all rights.
func (s *Sandbox) Witness() (*minio.Client, error) {
	scheme, host, _ := strings.Cut(s.Endpoint(), "://")
	o := &minio.Options{
		Creds:  credentials.NewStaticV4(s.Env["AGENT_SANDBOX_ROOT_ACCESS_KEY"], s.Env["AGENT_SANDBOX_ROOT_SECRET_KEY"], ""),
		Region: s.Env["AWS_REGION"], Secure: scheme == "https", BucketLookup: minio.BucketLookupPath,
	}
	if o.Secure {
		var err error
		if o.Transport, err = trusting(s.Env["AWS_CA_BUNDLE"]); err != nil {
			return nil, err
		}
	}
	return minio.New(host, o)
}

// Stop ends the sandbox as a user would, and waits.
func (s *Sandbox) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// Kill ends it at once, and waits.
func (s *Sandbox) Kill() error {
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = s.cmd.Wait() // says that it was killed
	return nil
}

// Restart starts it again over the same folder and with the same ports.
func (s *Sandbox) Restart(ctx context.Context) error {
	args := s.args
	defer func() { s.args = args }()
	api := strings.TrimSuffix(s.Env["AGENT_SANDBOX_API"], "/api")
	s.args = slices.Concat(args, []string{"-port", portOf(s.Endpoint()), "-api-port", portOf(api)})
	return s.start(ctx)
}

func portOf(url string) string { return url[strings.LastIndexByte(url, ':')+1:] }

func (s *Sandbox) logPath() string { return filepath.Join(s.Dir, "requests.jsonl") }

// Request is one line of the request log.
type Request struct {
	Time      time.Time `json:"t"` // just before the answer left
	Start     time.Time `json:"start"`
	Op        string    `json:"op"`
	Key       string    `json:"key"`
	UploadID  string    `json:"uploadId"`
	Part      int       `json:"part"`
	Bytes     int64     `json:"bytes"`  // of the body that came, with any framing
	Length    int64     `json:"length"` // of the body as it was announced, without; -1 where it was not
	Status    int       `json:"status"`
	Code      string    `json:"code"`
	AccessKey string    `json:"accessKey"`
}

// Requests reads the request log so far.
func (s *Sandbox) Requests() ([]Request, error) {
	all, _, err := s.RequestsFrom(0)
	return all, err
}

// RequestsFrom reads what is in the request log from an offset on, and where it
// ends: the offset to go on from.
func (s *Sandbox) RequestsFrom(offset int64) (all []Request, end int64, _ error) {
	f, err := os.Open(s.logPath())
	if err != nil {
		return nil, offset, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, offset, math.MaxInt64-offset))
	if err != nil {
		return nil, offset, err
	}
	for line := range bytes.Lines(b) {
		var r Request
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // being written
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, offset, fmt.Errorf("request log: %w", err)
		}
		all, offset = append(all, r), offset+int64(len(line))
	}
	return all, offset, nil
}
