package transfer

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
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
		if !filepath.IsLocal(filepath.FromSlash(strings.TrimSuffix(name, "/"))) {
			t.Errorf("%q leads elsewhere", name)
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

// FuzzKeyToPath: wherever a listing's key would lie, it lies below the directory
// or is refused, and a file that is fetched there has the same key when it is sent
// back.
func FuzzKeyToPath(f *testing.F) {
	for _, key := range []string{"p/a", "p/../x", "p//a", "p/a/./b", "p/", "p", "p/a/", "p/\x00", "p/é", "p/\xff", "p/C:\\x", "q/a", "p/.agent-part", "p/a.x.agent-part"} {
		f.Add(key, int64(1))
		f.Add(key, int64(0))
	}
	dir := f.TempDir()
	target := &Target{dir: dir}
	f.Fuzz(func(t *testing.T, key string, size int64) {
		const prefix = "p/"
		s := remoteStep(Object{Key: key, Size: size}, strings.TrimPrefix(key, prefix), &DownloadOptions{Target: target})
		if s.Err != nil || !strings.HasPrefix(key, prefix) {
			if s.Err != nil && (s.Item.Path != "" || !errors.Is(s.Err, ErrPath)) {
				t.Errorf("%q: %q, %v", key, s.Item.Path, s.Err)
			}
			return
		}
		rel, err := filepath.Rel(dir, s.Item.Path)
		if err != nil || !filepath.IsLocal(rel) || rel == "." {
			t.Errorf("%q becomes %q", key, s.Item.Path)
		}
		back := filepath.ToSlash(rel)
		if s.Fetch.Dir {
			back += "/"
		}
		if got, err := scanKey(prefix, back); got != key || utf8.ValidString(key) && len(key) <= MaxKey && err != nil {
			t.Errorf("%q comes back as %q, %v", key, got, err)
		}
	})
}
