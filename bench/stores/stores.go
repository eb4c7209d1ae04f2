// Package stores starts S3 servers that other people made, on this machine and
// for a while, and finds out what each of them does: for tests that hold against
// all of them, and for the page that tells how they differ. It knows nothing of
// the agent.
package stores

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"agent/bench/platform"
)

// What every store has: the platform's bucket, and a workspace in it to which
// some tokens are held.
const (
	Bucket    = "workspaces-eodhp"
	Workspace = "example-workspace"
)

// Maker knows how to start a store.
type Maker struct {
	Name     string
	Column   string   // of the table that its behaviour is written down in
	Programs []string // that have to be on PATH
	Lies     string   // what it answers that is not true; "" where nothing is known
	presence presence
	start    func(ctx context.Context, s *Store, o Options) error
}

// Makers are all that are known. Those of one column differ in what does not
// show in the table.
var Makers = []Maker{
	{Name: "versitygw-http-platform", Column: "versitygw, the platform's role", start: startSandbox("-role", "platform")},
	{Name: "versitygw-https-platform", Column: "versitygw, the platform's role", start: startSandbox("-role", "platform", "-tls")},
	{Name: "versitygw-http-full", Column: "versitygw, all rights", start: startSandbox("-role", "full")},
	{Name: "versitygw-https-full", Column: "versitygw, all rights", start: startSandbox("-role", "full", "-tls")},
	{Name: "MinIO", Column: "MinIO", Programs: []string{"minio"}, presence: everywhere, start: startMinIO},
	{Name: "Ceph", Column: "Ceph RGW", Programs: []string{"radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "monmaptool"}, presence: everywhere, start: startCeph},
	{Name: "rclone", Column: "rclone serve s3", Programs: []string{"rclone"}, presence: installed, start: startRclone},
	{Name: "moto", Column: "moto", Programs: []string{"moto_server"},
		Lies: "it names a false CRC64NVME for objects made of parts", start: startMoto},
}

// Missing names a program that the maker needs and that is not on PATH; "" when
// all are there.
func (m Maker) Missing() string {
	for _, name := range m.Programs {
		if _, err := exec.LookPath(name); err != nil {
			return name
		}
	}
	return ""
}

// Keys sign requests.
type Keys struct{ ID, Secret, Token string }

// Environ is the keys as the lines of an environment.
func (k Keys) Environ() []string {
	env := []string{"AWS_ACCESS_KEY_ID=" + k.ID, "AWS_SECRET_ACCESS_KEY=" + k.Secret}
	if k.Token != "" {
		env = append(env, "AWS_SESSION_TOKEN="+k.Token)
	}
	return env
}

func keysOf(env []string) (k Keys) {
	for _, line := range env {
		switch name, v, _ := strings.Cut(line, "="); name {
		case "AWS_ACCESS_KEY_ID":
			k.ID = v
		case "AWS_SECRET_ACCESS_KEY":
			k.Secret = v
		case "AWS_SESSION_TOKEN":
			k.Token = v
		}
	}
	return k
}

// Options are how a store is to be started.
type Options struct {
	Dir     string        // for all that it keeps; it exists and is empty
	Sandbox string        // the local platform's program
	Life    time.Duration // of tokens; the store may have a minimum. Default an hour
	Watched bool          // note all requests, for Requests
}

// Store is a running server with a bucket.
type Store struct {
	Name     string
	Version  string
	Endpoint string // URL
	CA       string // file to trust; "" for http
	Region   string
	Root     Keys          // all rights, and no token
	Life     time.Duration // of the next token; 0: it issues none. It may be set down to Least
	Least    time.Duration // that a token may live; Life where that is fixed

	at       string // URL, past any tap
	token    func(context.Context) (Keys, error)
	tap      *tap
	sandbox  *platform.Sandbox
	children []*child
}

const startTimeout = 2 * time.Minute

// Open starts a store and makes its bucket. The children live until Stop, or
// until the end of ctx.
func (m Maker) Open(ctx context.Context, o Options) (*Store, error) {
	if o.Life == 0 {
		o.Life = time.Hour
	}
	var failed error
	for try := range 3 { // a port that was free may be taken before a server listens there
		s := &Store{Name: m.Name, Life: o.Life, Region: "us-east-1", Root: Keys{ID: "shopkeeper", Secret: "shopkeeper-secret"}}
		this := o
		this.Dir = filepath.Join(o.Dir, strconv.Itoa(try))
		err := os.Mkdir(this.Dir, 0o700)
		if err == nil {
			err = s.open(ctx, m, this)
		}
		if err == nil {
			return s, nil
		}
		failed = errors.Join(failed, fmt.Errorf("start %s: %w\n%s", m.Name, err, s.Said()))
		s.Stop()
	}
	return nil, failed
}

func (s *Store) open(ctx context.Context, m Maker, o Options) error {
	if err := m.start(ctx, s, o); err != nil {
		return err
	}
	s.at = s.Endpoint
	if s.sandbox != nil {
		return nil // it has a bucket, and a log
	}
	if err := s.makeBucket(ctx); err != nil {
		return err
	}
	// MinIO makes buckets before it issues tokens.
	if err := s.await(ctx, func() error { _, err := s.Token(ctx); return err }); err != nil {
		return err
	}
	if !o.Watched {
		return nil
	}
	var err error
	if s.tap, err = startTap(s.at); err == nil {
		s.Endpoint = s.tap.url
	}
	return err
}

// makeBucket waits until there is one: a store that answers is not always ready.
func (s *Store) makeBucket(ctx context.Context) error {
	w, err := s.client(1) // await repeats
	if err != nil {
		return err
	}
	return s.await(ctx, func() error {
		err := w.MakeBucket(ctx, Bucket, minio.MakeBucketOptions{Region: s.Region})
		if code := minio.ToErrorResponse(err).Code; code == "BucketAlreadyOwnedByYou" || code == "BucketAlreadyExists" {
			return nil // by a try whose answer was late
		}
		return err
	})
}

// await tries until it works, the time is over, or a child has ended.
func (s *Store) await(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		for _, c := range s.children {
			if c.ended() { // if it works even so, somebody else listens there
				return fmt.Errorf("%s has ended", c.cmd.Args[0])
			}
		}
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// Token takes a new token, which lives for Life; where the store issues none,
// the keys are those of root.
func (s *Store) Token(ctx context.Context) (Keys, error) {
	if s.token == nil {
		return s.Root, nil
	}
	return s.token(ctx)
}

// Witness is a client that we did not write, with all rights. What it asks is
// not in Requests.
func (s *Store) Witness() (*minio.Client, error) {
	if s.sandbox != nil {
		return s.sandbox.Witness()
	}
	return s.client(0)
}

// client is one with all rights; 0 retries are as many as it likes.
func (s *Store) client(retries int) (*minio.Client, error) {
	at := s.at
	if at == "" {
		at = s.Endpoint
	}
	return minio.New(strings.TrimPrefix(at, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(s.Root.ID, s.Root.Secret, ""), Region: s.Region, BucketLookup: minio.BucketLookupPath, MaxRetries: retries,
	})
}

// Requests are what the store was asked and what it answered, of one that is
// Watched.
func (s *Store) Requests() ([]platform.Request, error) {
	switch {
	case s.sandbox != nil:
		return s.sandbox.Requests()
	case s.tap != nil:
		return s.tap.requests(), nil
	}
	return nil, errors.New("this store is not watched")
}

// WitnessKey is the access key of the witness where its requests are in Requests,
// and "" where they are not.
func (s *Store) WitnessKey() string {
	if s.sandbox != nil {
		return s.Root.ID
	}
	return ""
}

// Said is what the servers have written.
func (s *Store) Said() string {
	var all strings.Builder
	for _, c := range s.children {
		if text := c.said.String(); text != "" {
			fmt.Fprintf(&all, "%s said:\n%s\n", c.cmd.Args[0], text)
		}
	}
	return all.String()
}

// Stop ends the store.
func (s *Store) Stop() {
	if s.tap != nil {
		s.tap.stop()
	}
	if s.sandbox != nil {
		_ = s.sandbox.Kill()
	}
	for i := len(s.children) - 1; i >= 0; i-- {
		s.children[i].kill()
	}
}
