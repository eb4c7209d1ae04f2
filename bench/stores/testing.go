package stores

import (
	"context"
	"os"
	"testing"
)

// presence is where a store has to be, so that no test of it may be skipped.
type presence uint8

const (
	optional   presence = iota
	everywhere          // with CI=true: the machine is made so that all tests run
	installed           // with STORES=all: 'make test-stores' puts it there
)

// Needed skips a test whose store is not here, or fails it where it has to be.
func Needed(t testing.TB, m Maker) {
	t.Helper()
	name := m.Missing()
	if name == "" {
		return
	}
	all := os.Getenv("STORES") == "all"
	if m.presence == everywhere && (all || os.Getenv("CI") == "true") || m.presence == installed && all {
		t.Fatalf("%s is not on PATH", name)
	}
	t.Skipf("%s is not on PATH", name)
}

// For starts a store for as long as a test takes; o.Dir need not be set. What
// its servers say is told if the test fails.
func (m Maker) For(t testing.TB, o Options) *Store {
	t.Helper()
	Needed(t, m)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := m.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Log(s.Said())
		}
	})
	return s
}
