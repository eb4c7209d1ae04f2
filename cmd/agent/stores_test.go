//go:build long && linux

package main

import (
	"slices"
	"testing"

	"agent/bench/platform"
	"agent/bench/stores"
)

// shop is a store of other people's making, with a bucket of the platform's
// name and a token that they issued.
type shop struct {
	endpoint, region, bucket string
	keys                     []string // AWS_… with a session token
}

const shopWorkspace = stores.Workspace

// sandboxShop is the local platform as a shop.
func sandboxShop(t *testing.T) *shop {
	r := newRig(t)
	return &shop{r.sb.Endpoint(), r.sb.Env["AWS_REGION"], r.sb.Bucket(), r.token()}
}

// minioShop is MinIO; 'make minio' builds bin/stores/minio.
func minioShop(t *testing.T) *shop { return openShop(t, "MinIO") }

// radosShop is Ceph's object gateway, from Debian's packages.
func radosShop(t *testing.T) *shop { return openShop(t, "Ceph") }

func openShop(t *testing.T, name string) *shop {
	t.Helper()
	i := slices.IndexFunc(stores.Makers, func(m stores.Maker) bool { return m.Name == name })
	s := stores.Makers[i].For(t, stores.Options{Sandbox: built.sandbox})
	keys, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &shop{s.Endpoint, s.Region, stores.Bucket, keys.Environ()}
}

// storeRig is a user of a store with an empty home, a token, and a folder of the
// workspace to himself.
func storeRig(t *testing.T, s *stores.Store, name string) *rig {
	t.Helper()
	r := searched(&rig{
		t: t, log: later(t, s), root: s.WitnessKey(), bucket: stores.Bucket, home: t.TempDir(), state: t.TempDir(),
		dest: stores.Workspace + "/" + name, prefix: stores.Workspace + "/" + name + "/",
	})
	var err error
	if r.witness, err = s.Witness(); err != nil {
		t.Fatal(err)
	}
	r.env = append(cleanEnv(r.home, r.state), "AWS_ENDPOINT_URL="+s.Endpoint, "AWS_REGION="+s.Region)
	if s.CA != "" {
		r.env = append(r.env, "AWS_CA_BUNDLE="+s.CA)
	}
	return r
}

// laterLog is a log from some request on: that of the tests before is theirs.
type laterLog struct {
	requestLog
	from int
}

func later(t *testing.T, l requestLog) requestLog {
	t.Helper()
	all, err := l.Requests()
	if err != nil {
		t.Fatal(err)
	}
	return laterLog{l, len(all)}
}

// Requests implements requestLog.
func (l laterLog) Requests() ([]platform.Request, error) {
	all, err := l.requestLog.Requests()
	if err != nil {
		return nil, err
	}
	return all[l.from:], nil
}

// withKeys puts a new token of the store into the environment.
func (r *rig) withKeys(s *stores.Store) *rig {
	r.t.Helper()
	r.env = append(r.env, r.storeToken(s)...)
	return r
}

func (r *rig) storeToken(s *stores.Store) []string {
	r.t.Helper()
	keys, err := s.Token(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.given(keys.Environ())
}
