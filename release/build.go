package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// target is a system that the program is built for.
type target struct{ os, arch string }

var targets = []target{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// binary is the program's name there.
func (t target) binary() string {
	if t.os == "windows" {
		return program + ".exe"
	}
	return program
}

// dir is the folder in work that has what is built for t.
func (r *release) dir(t target) string { return filepath.Join(r.work, t.os+"_"+t.arch) }

// stem is the name of t's files, without what says of which kind they are.
func (r *release) stem(t target) string {
	return fmt.Sprintf("%s_%s_%s_%s", program, r.number, t.os, t.arch)
}

// build builds the program. Only what is in the sources and in go.sum enters: no
// paths, no clock, no settings of this machine.
func (r *release) build(ctx context.Context, t target, to string, tags string) error {
	link := fmt.Sprintf("-s -w -buildid= -X main.version=%s -X main.commit=%s -X main.date=%s",
		r.version, r.commit, r.when.Format("2006-01-02T15:04:05Z"))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-tags="+tags, "-ldflags="+link, "-o", to, "./cmd/agent")
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOWORK=off", "CGO_ENABLED=0", "GOOS="+t.os, "GOARCH="+t.arch)
	return r.do(cmd)
}

// do runs cmd in the sources, and has what it says in its error.
func (r *release) do(cmd *exec.Cmd) error {
	if cmd.Dir == "" {
		cmd.Dir = r.root
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if cmd.Stdout == nil {
		cmd.Stdout = &said
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, said.String())
	}
	return nil
}

func (r *release) buildAll(ctx context.Context) error {
	for _, t := range targets {
		fmt.Fprintf(os.Stderr, "build %s/%s\n", t.os, t.arch)
		if err := r.build(ctx, t, filepath.Join(r.dir(t), t.binary()), ""); err != nil {
			return err
		}
	}
	return nil
}

// completions are the scripts for shells, by their names in archives.
var completions = map[string]string{
	program + ".bash": "bash", "_" + program: "zsh", program + ".fish": "fish", program + ".ps1": "powershell",
}

// writeTexts makes manual pages and completions, by a program that is built for
// it and finds nothing of this machine's user.
func (r *release) writeTexts(ctx context.Context) error {
	tool := filepath.Join(r.work, "tool", target{os: runtime.GOOS}.binary())
	if err := r.build(ctx, target{runtime.GOOS, runtime.GOARCH}, tool, "man"); err != nil {
		return err
	}
	empty := filepath.Join(r.work, "nobody")
	env := []string{"HOME=" + empty, "XDG_CONFIG_HOME=" + empty, "LC_ALL=C", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.when.Unix())}
	for _, dir := range []string{"man", "completions", "nobody"} {
		if err := os.MkdirAll(filepath.Join(r.work, dir), 0o755); err != nil { //nolint:gosec // to be published
			return err
		}
	}
	cmd := exec.CommandContext(ctx, tool, "man", filepath.Join(r.work, "man"))
	cmd.Env, cmd.Dir = env, empty
	if err := r.do(cmd); err != nil {
		return err
	}
	for name, shell := range completions {
		var script bytes.Buffer
		cmd := exec.CommandContext(ctx, tool, "completion", shell)
		cmd.Env, cmd.Dir, cmd.Stdout = env, empty, &script
		if err := r.do(cmd); err != nil {
			return err
		}
		if err := r.keep(filepath.Join("completions", name), script.Bytes()); err != nil {
			return err
		}
	}
	return r.packPages()
}

// packPages packs the manual pages as packages have them.
func (r *release) packPages() error {
	pages, err := filepath.Glob(filepath.Join(r.work, "man", "*.1"))
	if err != nil || len(pages) == 0 {
		return errors.Join(err, errors.New("there are no manual pages"))
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte(r.work)) {
			return fmt.Errorf("%s names a folder of this machine", filepath.Base(page))
		}
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is one
		_, _ = z.Write(text)                                       // to memory
		_ = z.Close()
		if err := r.keep(filepath.Join("man.gz", filepath.Base(page)+".gz"), packed.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// keep writes a file to work.
func (r *release) keep(name string, text []byte) error {
	path := filepath.Join(r.work, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // to be published
		return err
	}
	return os.WriteFile(path, text, 0o644) //nolint:gosec // likewise
}
