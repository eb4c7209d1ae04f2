package limit_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"agent/bench/limit"
	"agent/bench/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestSendsEverything proves that the limits do the work they are the limit of.
func TestSendsEverything(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	s, err := sink.Start(ca)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, "sub folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{"a": 0, "b": 1000, "sub folder/c": 2500}
	for name, n := range sizes {
		if err := os.WriteFile(filepath.Join(data, filepath.FromSlash(name)), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, secure := s.URL()
	o := limit.Options{Endpoint: secure, CAFile: ca, Dir: data, Parallel: 2, PartSize: 1000}
	for name, want := range map[string]sink.Counts{
		"raw": {Requests: 5, Objects: 2, Parts: 3, Bytes: 3500, Bare: 5},
		"sdk": {Requests: 3, Objects: 3, Bytes: 3500, Bare: 3},
	} {
		before := s.Counts()
		do := limit.Raw
		if name == "sdk" {
			do = limit.SDK
		}
		if err := do(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		got := s.Counts().Sub(before)
		got.Conns, got.Longest, got.Busy, got.FirstPut = 0, 0, 0, 0
		if got != want {
			t.Errorf("%s: the server counted %+v, want %+v", name, got, want)
		}
	}
	o.Endpoint = "https://127.0.0.1:1"
	if limit.Raw(context.Background(), o) == nil || limit.SDK(context.Background(), o) == nil {
		t.Error("no error where nobody listens")
	}
}
