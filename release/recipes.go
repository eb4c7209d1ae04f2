package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"
)

// recipeFiles are the recipes for package managers, as templates. What they fill
// in, they fill in from the files that were made.
//
//go:embed recipes
var recipeFiles embed.FS

// published is what recipes know of a release.
type published struct {
	Number  string            // 1.2.3
	URL     string            // the folder of all files
	Archive map[string]string // the archive's name, by system: linux_amd64
	Stem    map[string]string // the folder in it
	SHA256  map[string]string // the archive's checksum
}

// CondaVersion is Number as conda allows it.
func (p published) CondaVersion() string { return strings.ReplaceAll(p.Number, "-", "_") }

func (r *release) writeRecipes(context.Context) error {
	p := published{Number: r.number, URL: r.url, Archive: map[string]string{}, Stem: map[string]string{}, SHA256: map[string]string{}}
	for _, t := range targets {
		system := t.os + "_" + t.arch
		sum, err := sumOf(filepath.Join(r.out, r.archiveName(t)))
		if err != nil {
			return err
		}
		p.Archive[system], p.Stem[system], p.SHA256[system] = r.archiveName(t), r.stem(t), sum
	}
	return fs.WalkDir(recipeFiles, "recipes", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := p.fill(name)
		if err != nil {
			return err
		}
		to := filepath.Join(r.out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // to be published
			return err
		}
		return os.WriteFile(to, text, 0o644) //nolint:gosec // likewise
	})
}

// fill makes a recipe of its template.
func (p published) fill(name string) ([]byte, error) {
	t, err := template.New(path.Base(name)).Delims("<<", ">>").Option("missingkey=error").ParseFS(recipeFiles, name)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b.Bytes(), nil
}

// installer is the script that installs without root; urlLine in it is where it
// looks by itself.
const (
	installer = "install.sh"
	urlLine   = "\nurl_of_release=''\n"
)

// writeInstaller makes the script look where this release is.
func (r *release) writeInstaller(context.Context) error {
	text, err := os.ReadFile(filepath.Join(r.root, installer))
	if err != nil {
		return err
	}
	if bytes.Count(text, []byte(urlLine)) != 1 || strings.ContainsAny(r.url, "'\n") {
		return fmt.Errorf("%s has no one place for the URL %q", installer, r.url)
	}
	text = bytes.Replace(text, []byte(urlLine), []byte("\nurl_of_release='"+r.url+"'\n"), 1)
	return os.WriteFile(filepath.Join(r.out, installer), text, 0o755) //nolint:gosec // a script to be run
}
