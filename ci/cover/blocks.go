package main

import (
	"bufio"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

// block is a run of statements in a file: what is counted together.
type block struct {
	file              string // import path and name
	fromLine, fromCol int
	toLine, toCol     int
	statements        int
}

// blocks says which were run, by any test.
type blocks map[block]bool

// read adds a profile.
func (bs blocks) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "mode: ") {
			continue
		}
		var b block
		var runs int
		at := strings.LastIndexByte(lines.Text(), ':')
		_, err := fmt.Sscanf(lines.Text()[at+1:], "%d.%d,%d.%d %d %d", &b.fromLine, &b.fromCol, &b.toLine, &b.toCol, &b.statements, &runs)
		if at < 0 || err != nil {
			return fmt.Errorf("%s: %q", path, lines.Text())
		}
		b.file = lines.Text()[:at]
		bs[b] = bs[b] || runs > 0
	}
	return lines.Err()
}

// summary writes what part of each package's statements was run.
func (bs blocks) summary(w io.Writer) error {
	type count struct{ run, all int }
	packages := map[string]count{}
	var product, total count
	for b, run := range bs {
		c := packages[path.Dir(b.file)]
		for _, c := range []*count{&c, &total, &product} {
			if c == &product && !isProduct(b.file) {
				continue
			}
			c.all += b.statements
			if run {
				c.run += b.statements
			}
		}
		packages[path.Dir(b.file)] = c
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "run\tstatements\t  package\n")
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		fmt.Fprintf(t, "%.1f %%\t%d\t  %s\n", percent(packages[name].run, packages[name].all), packages[name].all, name)
	}
	fmt.Fprintf(t, "%.1f %%\t%d\t  what users run\n", percent(product.run, product.all), product.all)
	fmt.Fprintf(t, "%.1f %%\t%d\t  all\n", percent(total.run, total.all), total.all)
	return t.Flush()
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(1, of)) }

// isProduct tells the agent from what measures, tests and releases it.
func isProduct(file string) bool {
	for _, other := range []string{"agent/bench/", "agent/ci/", "agent/release/", "agent/transfer/storetest/"} {
		if strings.HasPrefix(file, other) {
			return false
		}
	}
	return true
}

// errorPaths lists the blocks of the agent itself that no test runs and that deal
// with an error: one line each, with the function and the condition before it.
func (bs blocks) errorPaths(root string) ([]string, error) {
	byFile := map[string][]block{}
	for b, run := range bs {
		if !run && isProduct(b.file) {
			byFile[b.file] = append(byFile[b.file], b)
		}
	}
	var all []string
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		name := filepath.Join(root, filepath.FromSlash(strings.TrimPrefix(file, "agent/")))
		src, err := readSource(name)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(byFile[file], func(a, b block) int {
			return cmp.Or(cmp.Compare(a.fromLine, b.fromLine), cmp.Compare(a.fromCol, b.fromCol))
		})
		for _, b := range byFile[file] {
			if why, ok := src.dealsWithError(b); ok {
				all = append(all, fmt.Sprintf("%s:%d\t%s\t%s\t%s\n", strings.TrimPrefix(file, "agent/"), b.fromLine, src.function(b.fromLine), why, src.first(b)))
			}
		}
	}
	return all, nil
}

// source is a file, to be looked up by line.
type source struct {
	lines []string
	set   *token.FileSet
	file  *ast.File
}

func readSource(name string) (*source, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	s := &source{lines: strings.Split(string(text), "\n"), set: token.NewFileSet()}
	s.file, err = parser.ParseFile(s.set, name, text, 0)
	return s, err
}

// function is the name of the one that line is in.
func (s *source) function(line int) string {
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || s.set.Position(f.Pos()).Line > line || s.set.Position(f.End()).Line < line {
			continue
		}
		if f.Recv == nil || len(f.Recv.List) == 0 {
			return f.Name.Name
		}
		t := f.Recv.List[0].Type
		if star, ok := t.(*ast.StarExpr); ok {
			t = star.X
		}
		return fmt.Sprintf("%s.%s", t, f.Name.Name)
	}
	return "-"
}

// first is the first line of b that says something.
func (s *source) first(b block) string {
	for n := b.fromLine; n <= min(b.toLine, len(s.lines)); n++ {
		line := s.lines[n-1]
		if n == b.fromLine {
			line = line[min(len(line), b.fromCol-1):]
		}
		if line = strings.Trim(line, "{ \t"); line != "" {
			return line
		}
	}
	return ""
}

var (
	aboutError = regexp.MustCompile(`\b(err|rerr|werr|perr|e|failed|fault)\b *(!=|==)|errors\.(Is|As)\(|, ok :=.*Error|!ok\b`)
	makesError = regexp.MustCompile(`return .*(\berr\b|\bErr[A-Z]\w*|errors\.|fmt\.Errorf|Error\{|Mistake\{)`)
)

// dealsWithError reports whether b is reached only with an error, or makes one, and
// the condition that says so.
func (s *source) dealsWithError(b block) (why string, ok bool) {
	line := strings.TrimSpace(s.lines[b.fromLine-1])
	for n := b.fromLine; n <= min(b.toLine, len(s.lines)); n++ {
		if makesError.MatchString(s.lines[n-1]) {
			return line, true
		}
	}
	return line, aboutError.MatchString(line)
}
