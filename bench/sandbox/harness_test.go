package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"
)

// TestMain lets the test binary be the sandbox as well: the S3 server allows
// one instance a process and changes its working directory.
func TestMain(m *testing.M) {
	if os.Getenv("SANDBOX_CHILD") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

const startTimeout = 30 * time.Second

// sandbox is a running child.
type sandbox struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string
	log    string
	env    map[string]string
	stderr bytes.Buffer
}

// start runs a sandbox with a request log and waits until it is ready. The
// child is told to stop at the end of the test, and must stop cleanly.
func start(t *testing.T, args ...string) *sandbox {
	t.Helper()
	return startIn(t, t.TempDir(), args...)
}

func startIn(t *testing.T, dir string, args ...string) *sandbox {
	t.Helper()
	s := &sandbox{t: t, dir: dir, log: filepath.Join(dir, "requests.jsonl"), env: map[string]string{}}
	s.cmd = child(t, append([]string{"--dir", dir, "--log", s.log}, args...)...)
	s.cmd.Stderr = &s.stderr
	stdout, err := s.cmd.StdoutPipe()
	must(t, err)
	must(t, s.cmd.Start())
	t.Cleanup(s.stop)

	giveUp := time.AfterFunc(startTimeout, func() { _ = s.cmd.Process.Kill() })
	defer giveUp.Stop()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if lines.Text() == "sandbox: ready" {
			return s
		}
		if name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "="); ok {
			s.env[name] = strings.Trim(value, "'")
		}
	}
	_ = s.cmd.Wait()
	t.Fatalf("the sandbox did not get ready: %s", s.stderr.String())
	return nil
}

// child is this test binary as the sandbox command.
func child(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "SANDBOX_CHILD=1")
	return cmd
}

// stop ends the child with SIGTERM; more than once does no harm.
func (s *sandbox) stop() {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the sandbox did not stop cleanly: %v\n%s", err, s.stderr.String())
	}
	if s.stderr.Len() > 0 {
		s.t.Errorf("the sandbox complained: %s", s.stderr.String())
	}
}

// kill ends the child as a crash would.
func (s *sandbox) kill() {
	must(s.t, s.cmd.Process.Kill())
	_ = s.cmd.Wait()
}

func (s *sandbox) port() string {
	return s.env["AWS_ENDPOINT_URL"][strings.LastIndex(s.env["AWS_ENDPOINT_URL"], ":")+1:]
}

// token is the ready-made token the sandbox printed.
func (s *sandbox) token() credentials {
	return credentials{
		AccessKeyID:     s.env["AWS_ACCESS_KEY_ID"],
		SecretAccessKey: s.env["AWS_SECRET_ACCESS_KEY"],
		SessionToken:    s.env["AWS_SESSION_TOKEN"],
		Expiration:      s.env["AWS_CREDENTIAL_EXPIRATION"],
	}
}

func (s *sandbox) rootCredentials() credentials {
	return credentials{
		AccessKeyID:     s.env["AGENT_SANDBOX_ROOT_ACCESS_KEY"],
		SecretAccessKey: s.env["AGENT_SANDBOX_ROOT_SECRET_KEY"],
	}
}

// mint gets a new token from the API.
func (s *sandbox) mint() credentials {
	s.t.Helper()
	c, err := fetchToken(s.t.Context(), s.env["AGENT_SANDBOX_API"], s.env["AGENT_SANDBOX_API_KEY"], s.env["AGENT_SANDBOX_WORKSPACE"])
	must(s.t, err)
	return c
}

// client is a minio-go client that does not retry.
func (s *sandbox) client(c credentials) minio.Core {
	s.t.Helper()
	scheme, host, _ := strings.Cut(s.env["AWS_ENDPOINT_URL"], "://")
	core, err := minio.NewCore(host, &minio.Options{
		Creds:        miniocreds.NewStaticV4(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
		Secure:       scheme == "https",
		Transport:    s.transport(),
		Region:       s.env["AWS_REGION"],
		BucketLookup: minio.BucketLookupPath,
		MaxRetries:   1,
	})
	must(s.t, err)
	return *core
}

func (s *sandbox) transport() *http.Transport {
	s.t.Helper()
	t := &http.Transport{ExpectContinueTimeout: 5 * time.Second}
	if ca := s.env["AWS_CA_BUNDLE"]; ca != "" {
		pem, err := os.ReadFile(ca)
		must(s.t, err)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		t.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	s.t.Cleanup(t.CloseIdleConnections)
	return t
}

// requests are the lines of the request log.
func (s *sandbox) requests() []logEntry {
	s.t.Helper()
	raw, err := os.ReadFile(s.log)
	must(s.t, err)
	var entries []logEntry
	for line := range bytes.Lines(raw) {
		var e logEntry
		must(s.t, json.Unmarshal(line, &e))
		entries = append(entries, e)
	}
	return entries
}

// last is the last logged request of an operation.
func (s *sandbox) last(op string) logEntry {
	s.t.Helper()
	var found *logEntry
	for _, e := range s.requests() {
		if e.Op == op {
			found = &e
		}
	}
	if found == nil {
		s.t.Fatalf("no %s in the request log", op)
	}
	return *found
}

const (
	bucket    = "workspaces-eodhp"
	workspace = "example-workspace"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks the status and code of an S3 error.
func wantError(t *testing.T, err error, status int, code string) {
	t.Helper()
	var resp minio.ErrorResponse
	if !errors.As(err, &resp) || resp.StatusCode != status || resp.Code != code {
		t.Errorf("got error %v (%d %s), want %d %s", err, resp.StatusCode, resp.Code, status, code)
	}
}

func put(ctx context.Context, c minio.Core, key string, data []byte) error {
	_, err := c.PutObject(ctx, bucket, key, bytes.NewReader(data), int64(len(data)), "", "", minio.PutObjectOptions{})
	return err
}

func get(ctx context.Context, c minio.Core, key string) ([]byte, error) {
	body, _, _, err := c.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(body)
}

// awaitExpiry returns when the credentials have just expired.
func awaitExpiry(t *testing.T, c credentials) {
	t.Helper()
	ends, err := time.Parse(time.RFC3339, c.Expiration)
	must(t, err)
	<-time.After(time.Until(ends) + time.Millisecond)
}
