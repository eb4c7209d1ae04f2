package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// contents are the files of an archive: where each comes from, by its name there.
type contents map[string]string

// isProgram reports whether a file in an archive may be run.
func isProgram(name string) bool {
	base := path.Base(name)
	return base == program || base == program+".exe"
}

// contents of the archive for t.
func (r *release) contents(t target) (contents, error) {
	c := contents{t.binary(): filepath.Join(r.dir(t), t.binary()), noticesName: filepath.Join(r.work, noticesName)}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		c[name] = filepath.Join(r.root, name)
	}
	from := map[string]string{"completions/": filepath.Join(r.work, "completions", "*"), "docs/": filepath.Join(r.root, "docs", "*.md")}
	if t.os != "windows" {
		from["man/man1/"] = filepath.Join(r.work, "man", "*.1")
	}
	for to, pattern := range from {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			return nil, errors.Join(err, errors.New("there is no "+pattern))
		}
		for _, f := range found {
			c[to+filepath.Base(f)] = f
		}
	}
	return c, nil
}

// archiveName is the name of t's archive.
func (r *release) archiveName(t target) string {
	if t.os == "windows" {
		return r.stem(t) + ".zip"
	}
	return r.stem(t) + ".tar.gz"
}

func (r *release) writeArchives(context.Context) error {
	for _, t := range targets {
		c, err := r.contents(t)
		if err != nil {
			return err
		}
		pack := packTar
		if t.os == "windows" {
			pack = packZip
		}
		var b bytes.Buffer
		if err := pack(&b, r.stem(t), c, r.when); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.out, r.archiveName(t)), b.Bytes(), 0o644); err != nil { //nolint:gosec // to be published
			return err
		}
	}
	return nil
}

// packTar writes files below dir, in the order of their names, as nobody's and of
// one time: what the files here are like does not matter.
func packTar(w io.Writer, dir string, c contents, when time.Time) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(c)) {
		text, err := os.ReadFile(c[name])
		if err != nil {
			return err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: dir + "/" + name, Size: int64(len(text)), Mode: 0o644, ModTime: when, Format: tar.FormatUSTAR}
		if isProgram(name) {
			h.Mode = 0o755
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(text); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

// packZip is packTar for Windows.
func packZip(w io.Writer, dir string, c contents, when time.Time) error {
	z := zip.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(c)) {
		text, err := os.ReadFile(c[name])
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: dir + "/" + name, Method: zip.Deflate, Modified: when}
		h.SetMode(0o644)
		if isProgram(name) {
			h.SetMode(0o755)
		}
		f, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := f.Write(text); err != nil {
			return err
		}
	}
	return z.Close()
}
