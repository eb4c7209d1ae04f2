package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// root of the sources, from here.
const sourceRoot = "../.."

// pages are what users read: the README and all below docs.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(sourceRoot, "docs", "*.md"))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "bench/sandbox/README.md"} {
		found = append(found, filepath.Join(sourceRoot, name))
	}
	return found
}

func readPage(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	mdLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	mdHeading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	mdFence   = regexp.MustCompile("(?s)\n```.*?\n```")
	mdCode    = regexp.MustCompile("`[^`\n]+`")
)

// anchors are what links to headings of a page end with, as GitHub makes them.
func anchors(page string) []string {
	var all []string
	for _, h := range mdHeading.FindAllStringSubmatch(mdFence.ReplaceAllString(page, ""), -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, h[1]))
	}
	return all
}

// TestDocsLinks: every relative link leads to a file, and every anchor to a heading.
func TestDocsLinks(t *testing.T) {
	for _, path := range pages(t) {
		text := mdCode.ReplaceAllString(mdFence.ReplaceAllString(readPage(t, path), ""), "")
		for _, m := range mdLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			to := path
			if file != "" {
				to = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: link to %s: %v", path, m[1], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(readPage(t, to)), anchor) {
				t.Errorf("%s: link to %s: no such heading", path, m[1])
			}
		}
	}
}

// TestDocsIndexed: the index names every page.
func TestDocsIndexed(t *testing.T) {
	index := readPage(t, filepath.Join(sourceRoot, "docs", "README.md"))
	for _, path := range pages(t) {
		if name := filepath.Base(path); filepath.Base(filepath.Dir(path)) == "docs" && name != "README.md" && !strings.Contains(index, "("+name+")") {
			t.Errorf("docs/README.md does not name %s", name)
		}
	}
}

// TestDocsCommands: the commands that a page prints on lines of their own
// exist, and so do their flags.
func TestDocsCommands(t *testing.T) {
	line := regexp.MustCompile(`(?m)^ {4,}(?:\$ |! *)?(?:~/\.local/bin/)?` + program + ` ([^|<>;&#\n]*)`)
	for _, path := range pages(t) {
		for _, m := range line.FindAllStringSubmatch(readPage(t, path), -1) {
			words := strings.Fields(m[1])
			if len(words) == 0 || strings.Contains(m[1], "→") {
				continue // output
			}
			root := rootCommand(program, std{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
			cmd, rest, err := root.Find(words)
			if err != nil || cmd == root && !strings.HasPrefix(words[0], "-") {
				t.Errorf("%s: %q: there is no such command", path, m[0])
				continue
			}
			for _, w := range rest {
				if w == "--" || cmd.DisableFlagParsing {
					break // another command, and its flags
				}
				name, _, _ := strings.Cut(strings.TrimPrefix(w, "--"), "=")
				if flag := cmd.Flag(name); strings.HasPrefix(w, "--") && flag == nil && name != "help" && name != "version" {
					t.Errorf("%s: %q: %s has no flag %s", path, m[0], cmd.CommandPath(), w)
				}
			}
		}
	}
}

// TestDocsErrors: docs/errors.md has every exit code, every S3 code that is
// advised on and the words of every sentinel that people can meet, and quotes
// nothing that the program does not say.
func TestDocsErrors(t *testing.T) {
	page := readPage(t, filepath.Join(sourceRoot, "docs", "errors.md"))
	_, rest, _ := strings.Cut(page, "## Exit codes")
	codes, rows, ok := strings.Cut(rest, "## Starting a command")
	if !ok {
		t.Fatal("the sections are called otherwise")
	}
	for _, code := range []int{exitDone, exitFailures, exitUsage, exitDifferent, exitCredentials, exitUnreachable,
		exitStopped, exitRefused, exitLocal, exitBusy, exitSignal + 1, exitSignal + 2, exitSignal + 15} {
		if !regexp.MustCompile(`(?m)^\| (\d+, )*` + strconv.Itoa(code) + `(, \d+)* \|`).MatchString(codes) {
			t.Errorf("exit code %d has no row", code)
		}
	}
	for code := range refusalHints {
		if !strings.Contains(page, "`"+code+"`") {
			t.Errorf("the S3 code %s has no row", code)
		}
	}

	said := saidBy(t)
	// What no user meets: it ends a part of the program, and is not shown as such.
	inside := []string{"ErrClosed", "ErrNoJournal", "ErrBusy", "ErrInterrupted", "ErrNoInput", "ErrTooLong", "ErrAbsent"}
	for name, text := range said.sentinels {
		if !slices.Contains(inside, name) && !strings.Contains(page, text) {
			t.Errorf("%s (%q) has no row", name, text)
		}
	}
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \| `).FindAllStringSubmatch(rows, -1) {
		for _, code := range mdCode.FindAllString(row[1], -1) {
			for _, part := range strings.Split(strings.Trim(code, "`"), "…") {
				if part = strings.Trim(part, " :();,"); len(part) > 3 && !strings.Contains(said.all, part) {
					t.Errorf("the program does not say %q (of %s)", part, code)
				}
			}
		}
	}
}

// saying is what the sources hold in quotes.
type saying struct {
	all       string            // every text, one a line, with … for what is put in
	sentinels map[string]string // the words of each exported errors.New
}

func saidBy(t *testing.T) saying {
	t.Helper()
	s := saying{sentinels: map[string]string{}}
	var all strings.Builder
	// Not ours, but shown: cobra's and the system's words.
	all.WriteString("unknown flag:\ninvalid argument\npermission denied\ninput/output error\nno such file or directory\n")
	err := filepath.WalkDir(sourceRoot, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "bench" || d.Name() == "storetest" || strings.HasPrefix(d.Name(), ".") && path != sourceRoot):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		maps.Copy(s.sentinels, sentinelsOf(file))
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				all.WriteString(verb.ReplaceAllString(unquoted(lit), "…") + "\n")
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.all = all.String()
	return s
}

var verb = regexp.MustCompile(`%(\[\d+\])?[-+#0-9.*]*[a-zA-Z]`)

func unquoted(lit *ast.BasicLit) string {
	text, err := strconv.Unquote(lit.Value)
	if err != nil {
		return lit.Value
	}
	return text
}

// sentinelsOf are the exported variables Err… = errors.New("…") of a file.
func sentinelsOf(file *ast.File) map[string]string {
	found := map[string]string{}
	for _, d := range file.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, spec := range gen.Specs {
			v, ok := spec.(*ast.ValueSpec)
			if !ok || len(v.Names) != len(v.Values) {
				continue
			}
			for i, name := range v.Names {
				call, ok := v.Values[i].(*ast.CallExpr)
				if !ok || !strings.HasPrefix(name.Name, "Err") || len(call.Args) == 0 {
					continue
				}
				if lit, ok := call.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					found[name.Name] = strings.Split(unquoted(lit), ":")[0]
				}
			}
		}
	}
	return found
}
