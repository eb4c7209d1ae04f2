package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// packageOf is the name of t's package of a kind: deb or rpm.
func (r *release) packageOf(t target, kind string) string { return r.stem(t) + "." + kind }

// writePackages makes .deb and .rpm of what nfpm.yaml says, from a folder that has
// it all under plain names, with modes and times that are not this machine's.
func (r *release) writePackages(ctx context.Context) error {
	for _, t := range targets {
		if t.os != "linux" {
			continue
		}
		dir, err := r.stage(t)
		if err != nil {
			return err
		}
		for _, kind := range []string{"deb", "rpm"} {
			cmd := exec.CommandContext(ctx, r.nfpm, "package", "--config", filepath.Join(r.root, "release", "nfpm.yaml"),
				"--packager", kind, "--target", filepath.Join(r.out, r.packageOf(t, kind)))
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "VERSION="+r.number, "ARCH="+t.arch, "HOMEPAGE="+r.url, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.when.Unix()))
			if err := r.do(cmd); err != nil {
				return err
			}
		}
	}
	return nil
}

// stage lays out what nfpm.yaml names.
func (r *release) stage(t target) (dir string, err error) {
	dir = filepath.Join(r.dir(t), "stage")
	c, err := r.contents(t)
	if err != nil {
		return "", err
	}
	pages, err := filepath.Glob(filepath.Join(r.work, "man.gz", "*"))
	if err != nil {
		return "", err
	}
	for _, p := range pages {
		c["man.gz/"+filepath.Base(p)] = p
	}
	for name, from := range c {
		to := filepath.Join(dir, filepath.FromSlash(name))
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // to be published
			return "", err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil { //nolint:gosec // likewise
			return "", err
		}
		if err := os.Chtimes(to, r.when, r.when); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// sbomOf is the name of the list of what is built into t's program.
func (r *release) sbomOf(t target) string { return r.stem(t) + ".cdx.json" }

// writeSBOMs lists what is built into each program, as the program itself says it.
func (r *release) writeSBOMs(ctx context.Context) error {
	for _, t := range targets {
		cmd := exec.CommandContext(ctx, r.cyclonedx, "bin", "-json", "-std", "-noserial", "-notimestamp", "-output-version", "1.6",
			"-version", "v"+r.number, "-output", filepath.Join(r.out, r.sbomOf(t)), t.binary())
		cmd.Dir = r.dir(t)
		if err := r.do(cmd); err != nil {
			return err
		}
	}
	return nil
}
