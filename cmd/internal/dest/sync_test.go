package dest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDirection(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"here", "my-workspace/both"} {
		if err := os.MkdirAll(filepath.FromSlash(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	abs, err := filepath.Abs("gone")
	if err != nil {
		t.Fatal(err)
	}
	none := [2]bool{}
	for _, c := range []struct {
		from, to string
		named    [2]bool
		want     Way    // 0: a mistake
		says     string // in it or its hint
	}{
		{from: ".", to: "ws/x", want: Up},
		{from: "./gone", to: "ws/x", want: Up},
		{from: abs, to: "ws/x", want: Up},
		{from: "../x", to: "ws/x", want: Up},
		{from: "~/x", to: "ws/x", want: Up},
		{from: "ws/x", to: ".", want: Down},
		{from: "ws/x", to: "./new", want: Down},
		{from: "data", to: "s3://b/x", want: Up},
		{from: "S3://b/x", to: "data", want: Down},
		{from: "data", to: "ws/x", named: [2]bool{false, true}, want: Up},
		{from: "ws/x", to: "data", named: [2]bool{true, false}, want: Down},
		{from: "here", to: "ws/x", want: Up},
		{from: "ws/x", to: "here", want: Down},
		{from: "here", to: "my-workspace/both", says: "write ./here or ./my-workspace/both"},
		{from: "here", to: "ws", says: "write ws/ for all"},
		{from: "ws", to: "here", says: "write ws/ for all"},
		{from: "here", to: "ws/", want: Up},
		{from: "ws/", to: "here", want: Down},
		{from: "./here", to: "ws", want: Up},
		{from: "ws", to: "./here", want: Down},
		{from: "gone", to: "ws/x", says: "neither"},
		{from: "file", to: "ws/x", says: "neither"}, // a file is no directory
		{from: "./a", to: "/b", says: "both on this machine"},
		{from: "s3://a/b", to: "s3://c/d", says: "both in a store"},
		{from: "ws/x", to: "s3://c/d", named: [2]bool{true, false}, says: "both in a store"},
		{from: "", to: "ws/x", says: "empty"},
	} {
		got, err := Direction([]string{c.from, c.to}, c.named)
		if got != c.want {
			t.Errorf("%q %q: %v, want %v (%v)", c.from, c.to, got, c.want, err)
		}
		check(t, err, c.want != 0, c.says)
	}
	for _, args := range [][]string{nil, {"here"}, {"here", "ws/x", "ws/y"}} {
		_, err := Direction(args, none)
		check(t, err, false, "sync")
	}
}

func TestMayDelete(t *testing.T) {
	for _, arg := range []string{"ws/", "ws/x", "s3://b", "s3://b/ws/"} {
		check(t, MayDelete(arg), true, "")
	}
	check(t, MayDelete("ws"), false, "ws/ if all of it is meant")
}

func check(t *testing.T, err error, fine bool, says string) {
	t.Helper()
	var m *Mistake
	switch {
	case fine && err != nil, !fine && !errors.As(err, &m):
		t.Errorf("error %v", err)
	case !fine && !strings.Contains(m.Msg+" "+m.Hint, says):
		t.Errorf("%q, %q: does not say %q", m.Msg, m.Hint, says)
	}
}
