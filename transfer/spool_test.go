package transfer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSpool(t *testing.T) {
	s := spool{path: filepath.Join(t.TempDir(), "spool"), prefix: "p/"}
	if err := s.each(func(string, int64) error { return errors.New("nothing is there") }); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.path); err == nil {
		t.Error("it is made for nothing")
	}
	var want []string
	for i := range 5000 {
		key := fmt.Sprintf("p/%s%d", strings.Repeat("é", i%500), i)
		if err := s.add(key, int64(i)<<40); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprint(key, int64(i)<<40))
	}
	for range 2 {
		var got []string
		err := s.each(func(key string, size int64) error {
			got = append(got, fmt.Sprint(key, size))
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%d of %d, %v", len(got), len(want), err)
		}
	}
	// What is not as it was written is no list of what to delete.
	for _, damage := range []func() error{
		func() error { _, err := s.f.WriteAt([]byte("xx"), 2); return err },
		func() error { return s.f.Truncate(100) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if err := s.each(func(string, int64) error { return nil }); err == nil {
			t.Error("a damaged file is believed")
		}
	}
	s.close()
	if _, err := os.Stat(s.path); !os.IsNotExist(err) {
		t.Errorf("it is left: %v", err)
	}
}
