package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"agent/bench/platform"
	"agent/transfer"
	"agent/transfer/s3store"
	"agent/transfer/storetest"
)

// sandboxes are started when a test first asks for one, and stopped by TestMain.
var sandboxes struct {
	sync.Mutex
	dir     string
	bin     string
	running map[string]*platform.Sandbox
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range sandboxes.running {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the sandbox:", err)
		}
	}
	if sandboxes.dir != "" {
		_ = os.RemoveAll(sandboxes.dir)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// sandbox is a local platform whose tokens have this role.
func sandbox(t *testing.T, role string) *platform.Sandbox {
	t.Helper()
	bin := sandboxProgram(t)
	sandboxes.Lock()
	defer sandboxes.Unlock()
	if s := sandboxes.running[role]; s != nil {
		return s
	}
	s, err := platform.Start(context.Background(), bin, filepath.Join(sandboxes.dir, role), "-role", role)
	if err != nil {
		t.Fatal(err)
	}
	sandboxes.running[role] = s
	return s
}

// sandboxProgram is built when a test first asks for it.
func sandboxProgram(t *testing.T) string {
	t.Helper()
	sandboxes.Lock()
	defer sandboxes.Unlock()
	if sandboxes.bin != "" {
		return sandboxes.bin
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	sandboxes.dir, err = os.MkdirTemp("", "s3store-test-")
	must(err)
	root, err := platform.Root()
	must(err)
	sandboxes.bin, err = platform.Build(context.Background(), root, sandboxes.dir)
	must(err)
	sandboxes.running = map[string]*platform.Sandbox{}
	return sandboxes.bin
}

// fixed is a key that does not end while a test runs.
type fixed aws.Credentials

func (f fixed) Retrieve(context.Context) (aws.Credentials, error) { return aws.Credentials(f), nil }
func (f fixed) Wait(context.Context) (aws.Credentials, error)     { return aws.Credentials(f), nil }
func (f fixed) Another(context.Context, string, bool) (aws.Credentials, error) {
	return aws.Credentials(f), nil
}
func (f fixed) Invalidate(aws.Credentials, string) {}
func (f fixed) ServerTime(time.Time)               {}

func token(t *testing.T, s *platform.Sandbox) fixed {
	t.Helper()
	lines, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var c fixed
	for _, line := range lines {
		switch name, value, _ := strings.Cut(line, "="); name {
		case "AWS_ACCESS_KEY_ID":
			c.AccessKeyID = value
		case "AWS_SECRET_ACCESS_KEY":
			c.SecretAccessKey = value
		case "AWS_SESSION_TOKEN":
			c.SessionToken = value
		}
	}
	return c
}

// client is an HTTP client that makes no noise of its own.
func client(t *testing.T) *s3store.HTTPClient {
	t.Helper()
	h, err := s3store.NewHTTPClient(s3store.HTTPOptions{Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.CloseIdle)
	return h
}

const partSize = s3store.MinPartSize

// optionsFor are those of a store over s, through doer where it is not nil.
func optionsFor(t *testing.T, s *platform.Sandbox, doer storetest.Doer) s3store.Options {
	t.Helper()
	if doer == nil {
		doer = client(t)
	}
	return s3store.Options{
		Bucket: s.Bucket(), Region: s.Env["AWS_REGION"], Endpoint: s.Endpoint(), Credentials: token(t, s),
		HTTP: doer, Parallel: 4, PartSize: partSize, Memory: 4 * partSize,
		FirstPatience: 10 * time.Second, Patience: 10 * time.Second,
		Seed: func() float64 { return 0 },
	}
}

// wantStored reads an object with a client that we did not write.
func wantStored(t *testing.T, s *platform.Sandbox, key string, want []byte) {
	t.Helper()
	witness, err := s.Witness()
	if err != nil {
		t.Fatal(err)
	}
	obj, err := witness.GetObject(t.Context(), s.Bucket(), key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Close()
	piece := make([]byte, 256<<10)
	for {
		n, err := io.ReadFull(obj, piece)
		if n > len(want) || !bytes.Equal(piece[:n], want[:n]) {
			t.Fatalf("%s has other bytes, %d before its end", key, len(want))
		}
		want = want[n:]
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if len(want) > 0 {
				t.Errorf("%s lacks its last %d bytes", key, len(want))
			}
			return
		case err != nil:
			t.Fatalf("read %s: %v", key, err)
		}
	}
}

// noise is n bytes that depend on seed, and that no two parts share.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	x := seed*2862933555777941757 + 3037000493
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

func TestSandboxKeepsTheContract(t *testing.T) {
	for _, role := range []string{"full", "platform"} {
		t.Run(role, func(t *testing.T) {
			s := sandbox(t, role)
			storetest.TestStore(t, func(t *testing.T) transfer.Store { return s3store.New(optionsFor(t, s, nil)) })
		})
	}
}
