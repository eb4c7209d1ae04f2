package transfer

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestWindowsNames proves that what Windows would misread is refused there.
func TestWindowsNames(t *testing.T) {
	for _, name := range []string{
		`C:\x`, "c:x", `a\b`, "CON", "con.txt", "a/NUL/b", "com1", "LPT9.tif", "COM¹", "aux .x", "trailing.", "trailing ", "a?b", "a*b", "tab\t",
		"stream:name", "a/b|c", strings.Repeat("é", 256), "\xff",
	} {
		if err := checkName(name, true); !errors.Is(err, ErrPath) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"a/b.tif", "CONSOLE", "com", "COM10", "a b", ".hidden", strings.Repeat("é", 120), "dir/"} {
		if err := checkName(name, true); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// FuzzNames proves that a name which is let through stays below its directory
// and has, as long as it is not complete, a name that a file can have and that
// no object has.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"a", "a/../b", "/a", "a//b", `C:\x`, strings.Repeat("x", 255), "..", "a/.", "é/\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkName(name, false) != nil {
			return
		}
		for part := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
			if part == "" || part == "." || part == ".." || len(part) > 255 || strings.Contains(part, "\x00") {
				t.Errorf("%q was let through", name)
			}
		}
		p := partName(name, "tag")
		base := p[strings.LastIndexByte(p, '/')+1:]
		if len(base) > 255 || !errors.Is(checkName(p, false), ErrPath) {
			t.Errorf("%q is written as %q", name, p)
		}
	})
}

// TestNesting proves that names below a file are found among others in order.
func TestNesting(t *testing.T) {
	var n nesting
	for _, c := range []struct{ name, below string }{
		{"a", ""}, {"a!", ""}, {"a!/x", "a!"}, {"a-", ""}, {"a-b", ""}, {"a/", "a"}, {"a/b", "a"}, {"a/b/c", "a"}, {"a0", ""}, {"a0/x", "a0"},
		{"b/c", ""}, {"b/c!", ""}, {"b/c/d", "b/c"}, {"b/d/", ""}, {"b/d/e", ""}, {"c", ""}, {"d", ""},
	} {
		if got := n.below(c.name); got != c.below {
			t.Errorf("%q lies below %q, want %q", c.name, got, c.below)
		}
	}
	if len(n.files) != 1 {
		t.Errorf("it holds %q", n.files)
	}
}

// TestFoldingFileSystem proves that where a file system takes two names for
// one, the second is a failure: here the spelling is not in the directory.
func TestFoldingFileSystem(t *testing.T) {
	target, err := OpenTarget(t.TempDir(), "job")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	file, err := target.create("Name")
	if err != nil {
		t.Fatal(err)
	}
	if err := target.seal(file, "Name", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if !target.spelled("Name") || target.spelled("name") {
		t.Error("how a name is spelled is not seen")
	}
	target.fold = true
	if _, err := target.stat("Name"); err != nil {
		t.Errorf("%v", err)
	}
	other, err := target.create("part")
	if err != nil {
		t.Fatal(err)
	}
	if err := target.seal(other, "part", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := target.take("part", "Name", nil, false); !errors.Is(err, ErrExists) {
		t.Errorf("what came meanwhile was replaced: %v", err)
	}
}
