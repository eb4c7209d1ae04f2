package transfer

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	target, err := OpenTarget(dir, "job")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	for _, name := range []string{"a/f", "done", "other"} {
		if err := target.mkdir("a"); err != nil {
			t.Fatal(err)
		}
		tag := "job"
		if name == "other" {
			tag = "another job"
		}
		if err := os.WriteFile(filepath.Join(dir, partName(name, tag)), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// What a link leads to is not ours.
	if err := os.MkdirAll(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, filepath.Base(partName("link/x", "job"))), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	got := Leftovers(dir, "job", []string{"a/f", "gone", "other", "link/x", "../outside/x"})
	if len(got) != 1 || got[0].Path != target.Path(partName("a/f", "job")) || got[0].Size != 4 {
		t.Fatalf("%+v", got)
	}
	if err := got[0].Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(got[0].Path); !os.IsNotExist(err) {
		t.Error(err)
	}
	if got := Leftovers(filepath.Join(dir, "no"), "job", []string{"a/f"}); got != nil {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(target.Path(partName("done", "job"))); err != nil {
		t.Error("what no journal knows is gone:", err)
	}
}
