package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// noticesName is the file with the licences of what is built in.
const noticesName = "THIRD-PARTY-NOTICES"

// writeNotices collects the licences of all modules that are built in, on any
// system, and of Go itself: they ask to be passed on with programs.
func (r *release) writeNotices(ctx context.Context) error {
	modules := map[string]string{"Go " + strings.TrimPrefix(runtime.Version(), "go"): runtime.GOROOT()} //nolint:staticcheck // it is run where it is built
	for _, t := range targets {
		var list bytes.Buffer
		cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/agent")
		cmd.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch)
		cmd.Stdout = &list
		if err := r.do(cmd); err != nil {
			return err
		}
		for line := range strings.Lines(list.String()) {
			if name, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
				modules[name] = dir
			}
		}
	}
	text, err := notices(modules)
	if err != nil {
		return err
	}
	return r.keep(noticesName, text)
}

var licence = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)([.-].*)?$`)

// notices are the licences below the folders of modules, each once.
func notices(modules map[string]string) ([]byte, error) {
	users := map[string][]string{} // by the text
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		entries, err := os.ReadDir(modules[name])
		if err != nil {
			return nil, err
		}
		found := 0
		for _, e := range entries {
			if e.IsDir() || !licence.MatchString(e.Name()) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(modules[name], e.Name()))
			if err != nil {
				return nil, err
			}
			users[string(text)] = append(users[string(text)], name)
			found++
		}
		if found == 0 {
			return nil, fmt.Errorf("%s has no licence that could be passed on", name)
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s contains other people's work, under the following licences.\n", program)
	for _, text := range slices.SortedFunc(maps.Keys(users), func(a, b string) int { return strings.Compare(users[a][0]+a, users[b][0]+b) }) {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(users[text], "\n"), strings.TrimSpace(text))
	}
	return b.Bytes(), nil
}
