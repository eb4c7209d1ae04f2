package filter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// witness is git itself, asked about a tree of files.
type witness struct {
	t     testing.TB
	root  string
	files []string
	dirs  []string
}

// newWitness makes a tree whose names are what patterns may stumble over.
func newWitness(t testing.TB) *witness {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil || os.PathSeparator != '/' {
		t.Skip("there is no git, or no such names")
	}
	w := &witness{t: t, root: t.TempDir()}
	names := []string{"a", "b", "ab", "aab", "a.b", ".a", "A", "a b", "a ", "#a", "!a", "a-b", "1", "[a]", "a*", `\a`, "?"}
	for _, dir := range []string{"", "a/", "b/", "d/a/", "d/b/a/", "d/#a/!a/", "a.b/d/b/"} {
		for _, name := range names {
			w.files = append(w.files, dir+"f/"+name, dir+name+".x")
			if !slices.Contains([]string{"a", "b", "a.b", "#a"}, name) {
				w.files = append(w.files, dir+name)
			}
		}
	}
	for _, f := range w.files {
		path := filepath.Join(w.root, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for at := range f {
			if f[at] == '/' && !slices.Contains(w.dirs, f[:at]) {
				w.dirs = append(w.dirs, f[:at])
			}
		}
	}
	w.git("", "init", "-q")
	return w
}

func (w *witness) git(stdin string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = w.root
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "HOME="+w.root)
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil && (cmd.ProcessState.ExitCode() != 1 || errs.Len() > 0) { // 1: nothing is ignored
		w.t.Fatalf("git %q: %v %s", args, err, errs.Bytes())
	}
	return string(out)
}

// ignored is what git leaves out of the tree by rules.
func (w *witness) ignored(rules string) []string {
	w.t.Helper()
	file := filepath.Join(w.root, ".git", "rules")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		w.t.Fatal(err)
	}
	all := strings.Join(slices.Concat(w.files, w.dirs), "\x00")
	out := w.git(all, "-c", "core.ignorecase=false", "-c", "core.excludesFile="+file, "check-ignore", "--no-index", "--stdin", "-z")
	got := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	return slices.Sorted(slices.Values(slices.DeleteFunc(got, func(s string) bool { return s == "" })))
}

// leftOut is what the list leaves out of the tree.
func (w *witness) leftOut(l *List) (out []string) {
	for _, f := range w.files {
		if l.LeaveOut(f, false) != "" {
			out = append(out, f)
		}
	}
	for _, d := range w.dirs {
		if l.LeaveOut(d, true) != "" {
			out = append(out, d)
		}
	}
	slices.Sort(out)
	return out
}

// same holds rules against git's answer. What can't be read matches nothing.
func (w *witness) same(rules string) {
	w.t.Helper()
	var l List
	for n, line := range strings.Split(rules, "\n") {
		_ = l.Read(strings.NewReader(line+"\n"), fmt.Sprint(n))
	}
	got, want := w.leftOut(&l), w.ignored(rules)
	if slices.Equal(got, want) {
		return
	}
	for _, f := range got {
		if !slices.Contains(want, f) {
			w.t.Errorf("%q leaves out %q, git does not", rules, f)
		}
	}
	for _, f := range want {
		if !slices.Contains(got, f) {
			w.t.Errorf("%q takes %q, git does not", rules, f)
		}
	}
}

// What git takes for gitignore rules, this does too.
func TestAsGit(t *testing.T) {
	w := newWitness(t)
	for _, rules := range []string{
		// anchored or not
		"a", "/a", "a/", "/a/", "f/a", "/f/a", "d/b", "/d/b/", "a.b/d", "/", "//a", "a//b", "a//", "./a", "a/..", "a/.",
		// stars
		"*", "/*", "*/", "/*/", "*.x", "a*", "*a*", "a*b", "**", "/**", "**/", "**/a", "/**/a", "a/**", "a/**/", "d/**/a", "d/**/f/a",
		"**/b/**", "d/**/**/a", "**/**/a", "*/a", "*/*/a", "d/*/f", "d/***/a", "***", "***/a", "a**", "**a", "d/*", "d/*/", "d/**/*", "d/**/*/a",
		`d\/a`, `d/*\/a`, "**/", "**/*", "**/*/", "/**/", "a/**/b/**/c",
		// one character
		"?", "?.x", "a?b", "a?", "???", "d?a", "/?/a",
		// sets
		"[ab]", "[!ab]", "[^ab]", "[a-c].x", "[]a]", "[!]a]", "[a-]", "[-a]", "[]-a]", "[a", "a[", "[]", "[!]", "[[:alpha:]]", "[[:upper:]]",
		"[[:digit:]]", "[[:space:]a]", "a[[:space:]]", "[[:punct:]]a", "[![:alnum:]]*", "[[:nothing:]]", "[[:alpha]", "[[:]", "[[::]]", `[\a]`, `[\]]`, `[a\-c]`,
		`[\[-a]`, "[a/]b", "a[/]b", "[+-[:alpha:]]", "a[-]b", "[!a-z].x", `[\`, `[a\`, "[a-", "[a-[:digit:]]",
		// escapes
		`\a`, `\\a`, `\#a`, `\!a`, `a\*`, `\[a]`, `\[a\]`, `\?`, `a\`, `\`, `a\ `, `a\\ `, `a\b`, `a\/`,
		// lines
		"#a", "# comment", "!a", " ", "", "a ", "a  ", " a", "a\t", "a\r", "a b", "\uFEFFa", "a\n\n#\nb", "\r\n", "!", "!/", "#",
		// again
		"*\n!a", "*\n!*/", "*\n!*/\n!*.x", "a\n!a", "a/\n!a/f", "a/\n!a/f/a", "*.x\n!a.x", "*.x\n!/a.x", "/*\n!/d\n/d/*\n!/d/b", "!a\na", "**/f/**\n!**/f/a",
		"d/**\n!d/**/\n!a", "f\n!f/", "f/*\n!f/a\nf/[ab]", "d/b\n!d/b/a", "/d\n!/d/a\n!d",
		// case
		"A", "B", "[A-Z]", "A.x",
	} {
		w.same(rules)
	}
}

// Any rules at all, too.
func TestAsGitRandom(t *testing.T) {
	w := newWitness(t)
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 7))
		var b strings.Builder
		for range 1 + r.IntN(5) {
			b.WriteString(pick(r, "", "", "", "!", `\`, "#"))
			for range 1 + r.IntN(5) {
				b.WriteString(pick(r, "a", "b", "d", "f", "x", ".", "/", "/", "/", "*", "*", "**/", "/**/", "/**", "?", "[ab]", "[!a]", "[[:alpha:]]", "[", "]", `\`, " ", "-", "!", "#"))
			}
			b.WriteByte('\n')
		}
		if comparable(b.String()) {
			w.same(b.String())
		}
	}
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// comparable tells whether git does what its manual says: it takes ** that has
// no slash before it for **/ where nothing but plain characters precede it, and
// it takes a character outside ASCII for several, and a slash after ** for no
// slash where a backslash stands before it.
func comparable(rules string) bool {
	for i := range len(rules) {
		if rules[i] >= utf8.RuneSelf || rules[i] == 0 {
			return rules == "\uFEFFa"
		}
		if strings.HasPrefix(rules[i:], `*\/`) {
			return false
		}
		if i > 0 && strings.HasPrefix(rules[i:], "**") && !strings.ContainsRune("/\n!*", rune(rules[i-1])) {
			return false
		}
	}
	return true
}

func FuzzAsGit(f *testing.F) {
	w := newWitness(f)
	f.Add("a\n!*/b\n/d/**/a")
	f.Add("[[:alpha:]-a]\\ \n")
	f.Add("*\n!*/\n!*.x\n")
	f.Fuzz(func(t *testing.T, rules string) {
		if len(rules) > 200 || !comparable(rules) {
			t.Skip()
		}
		w.t = t
		w.same(rules)
	})
}
