//go:build long && linux

package s3store_test

import (
	"testing"
	"time"

	"agent/bench/stores"
	"agent/transfer"
	"agent/transfer/s3store"
	"agent/transfer/storetest"
)

// TestLongStoresKeepTheContract holds the contract against every store that is
// here.
func TestLongStoresKeepTheContract(t *testing.T) {
	bin := sandboxProgram(t)
	for _, m := range stores.Makers {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			s := m.For(t, stores.Options{Sandbox: bin})
			storetest.TestStore(t, func(t *testing.T) transfer.Store { return s3store.New(storeOptions(t, s)) })
		})
	}
}

// storeOptions are those of a store over s, with a token of its own.
func storeOptions(t *testing.T, s *stores.Store) s3store.Options {
	t.Helper()
	keys, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err := s3store.NewHTTPClient(s3store.HTTPOptions{CABundle: s.CA, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.CloseIdle)
	return s3store.Options{
		Bucket: stores.Bucket, Region: s.Region, Endpoint: s.Endpoint, HTTP: h,
		Credentials: fixed{AccessKeyID: keys.ID, SecretAccessKey: keys.Secret, SessionToken: keys.Token},
		Parallel:    4, PartSize: partSize, Memory: 4 * partSize,
		FirstPatience: 30 * time.Second, Patience: 30 * time.Second,
	}
}
