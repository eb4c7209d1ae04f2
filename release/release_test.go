package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestNumber(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3-rc.1", "v1.2.3-4-gabcdef0": "1.2.3-4-gabcdef0",
		"c4c47bb": "0.0.0-snapshot.gc4c47bb", "c4c47bb-dirty": "0.0.0-snapshot.gc4c47bb.dirty",
		"": "", "v1.2": "", "v1.2.3_x": "", "v1.2.3 x": "", "v1.2.3/../x": "",
	} {
		got, err := numberOf(version)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", version, got, err, want)
		}
	}
}

// TestArchivesAreReproducible: what the files here are like does not enter.
func TestArchivesAreReproducible(t *testing.T) {
	for name, pack := range map[string]func(*bytes.Buffer, contents) error{
		"tar": func(b *bytes.Buffer, c contents) error { return packTar(b, "x", c, time.Unix(1700000000, 0).UTC()) },
		"zip": func(b *bytes.Buffer, c contents) error { return packZip(b, "x", c, time.Unix(1700000000, 0).UTC()) },
	} {
		var made [2]bytes.Buffer
		for i := range made {
			dir, c := t.TempDir(), contents{}
			for j, file := range []string{"agent", "docs/a.md", "LICENSE", "zz", "b"} {
				from := filepath.Join(dir, strings.Repeat("d", i+1)+filepath.Base(file))
				if err := os.WriteFile(from, bytes.Repeat([]byte(file), 1000), fs.FileMode(0o600+i*0o44)); err != nil {
					t.Fatal(err)
				}
				when := time.Unix(int64(1000000*i+j), 0)
				if err := os.Chtimes(from, when, when); err != nil {
					t.Fatal(err)
				}
				c[file] = from
			}
			if err := pack(&made[i], c); err != nil {
				t.Fatal(err)
			}
		}
		if made[0].Len() == 0 || !bytes.Equal(made[0].Bytes(), made[1].Bytes()) {
			t.Errorf("%s: %d and %d bytes differ", name, made[0].Len(), made[1].Len())
		}
	}
}

func TestSums(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o755), os.WriteFile(filepath.Join(dir, "b"), []byte("abc"), 0o644),
		os.WriteFile(filepath.Join(dir, "sub", "a"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the file does not count itself
		if err := writeSums(dir); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, sumsName))
	want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n" +
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  sub/a\n"
	if err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	sums, err := readSums(dir)
	if err != nil || len(sums) != 2 || sums["sub/a"] != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("%v, %v", sums, err)
	}
}

// TestOnlyOurs: -out is replaced only where an earlier release is all there is.
func TestOnlyOurs(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Join(dir, "missing")} {
		if err := ours(d); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := ours(dir); err == nil {
		t.Error("it would be removed")
	}
	if err := writeSums(dir); err != nil {
		t.Fatal(err)
	}
	if err := ours(dir); err != nil {
		t.Error(err)
	}
}

func TestNotices(t *testing.T) {
	a, b, none := t.TempDir(), t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(a, "LICENSE"): "do as you like", filepath.Join(b, "LICENSE.txt"): "do as you like", filepath.Join(b, "NOTICE"): "by B",
		filepath.Join(a, "licenses.go"): "package a",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := notices(map[string]string{"example.org/b v1": b, "example.org/a v2": a})
	if err != nil || strings.Count(string(text), "do as you like") != 1 || !strings.Contains(string(text), "example.org/a v2\nexample.org/b v1\n\ndo as you like") ||
		!strings.Contains(string(text), "by B") || strings.Contains(string(text), "package a") {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := notices(map[string]string{"example.org/none v1": none}); err == nil {
		t.Error("a module without a licence was passed on")
	}
}

// made is a release with files of nothing, and its recipes.
func made(t *testing.T) *release {
	t.Helper()
	r := &release{out: t.TempDir(), number: "1.2.3-rc.1", url: "https://example.org/dl/v1.2.3-rc.1"}
	for _, x := range targets {
		if err := os.WriteFile(filepath.Join(r.out, r.archiveName(x)), []byte(x.os+x.arch), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.writeRecipes(t.Context()), writeSums(r.out)); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRecipes: every recipe is well formed, and names files of the release by
// their checksums.
func TestRecipes(t *testing.T) {
	r := made(t)
	checkRecipes(t, r.out, r.url)
	// It is noticed where one is wrong.
	path := filepath.Join(r.out, "recipes", "scoop", "agent.json")
	text := must(os.ReadFile(path))
	if err := os.WriteFile(path, bytes.Replace(text, []byte(must(sumOf(filepath.Join(r.out, r.archiveName(target{"windows", "amd64"}))))), bytes.Repeat([]byte("0"), 64), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if wrong := wrongFiles(must(scoopFiles(path)), must(sumsOf(r.out)), r.url); len(wrong) != 1 {
		t.Errorf("a wrong checksum gives %v", wrong)
	}
}

// checkRecipes holds all recipes of a release against its files.
func checkRecipes(t *testing.T, out, url string) {
	t.Helper()
	sums, err := sumsOf(out)
	if err != nil {
		t.Fatal(err)
	}
	for path, c := range map[string]struct {
		read func(path string) ([]fileRef, error)
		n    int
	}{"conda/meta.yaml": {condaFiles, 6}, "homebrew/agent.rb": {brewFiles, 4}, "scoop/agent.json": {scoopFiles, 2}} {
		refs, err := c.read(filepath.Join(out, "recipes", filepath.FromSlash(path)))
		if err != nil || len(refs) != c.n {
			t.Errorf("%s: %d files, want %d: %v", path, len(refs), c.n, err)
		}
		for _, w := range wrongFiles(refs, sums, url) {
			t.Errorf("%s: %s", path, w)
		}
	}
}

// fileRef is a file as a recipe names it.
type fileRef struct{ url, sum string }

func wrongFiles(refs []fileRef, sums map[string]string, url string) (wrong []string) {
	seen := map[string]bool{}
	for _, f := range refs {
		name, ok := strings.CutPrefix(f.url, url+"/")
		switch {
		case !ok || sums[name] == "":
			wrong = append(wrong, f.url+" is not in the release")
		case sums[name] != f.sum:
			wrong = append(wrong, f.url+" has another checksum")
		case seen[name]:
			wrong = append(wrong, f.url+" is named twice")
		}
		seen[name] = true
	}
	return wrong
}

func condaFiles(path string) (refs []fileRef, err error) {
	var meta struct {
		Package struct{ Name, Version string }
		Source  []struct{ URL, SHA256 string }
		Build   struct{ Number int }
		Test    struct{ Commands []string }
		About   struct {
			License     string
			LicenseFile []string `yaml:"license_file"`
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(text, &meta); err != nil {
		return nil, err
	}
	if meta.Package.Name != program || !regexp.MustCompile(`^[0-9][0-9a-z._]*$`).MatchString(meta.Package.Version) || meta.About.License != "Apache-2.0" ||
		!slices.Contains(meta.Test.Commands, "agent --version") || len(meta.About.LicenseFile) != 2 {
		return nil, errors.New("something is missing or of another kind")
	}
	for i, s := range meta.Source {
		refs = append(refs, fileRef{s.URL, s.SHA256})
		// The lines of a source are for one system, and for no other's.
		line := regexp.MustCompile(regexp.QuoteMeta(s.SHA256) + ` +# \[(.+)\]\n`).FindSubmatch(text)
		if line == nil || strings.Count(string(text), "# ["+string(line[1])+"]") != 2 {
			return nil, fmt.Errorf("source %d is for no system of its own", i)
		}
	}
	return refs, nil
}

var brewFile = regexp.MustCompile(`url "([^"]+)"\n\s+sha256 "([0-9a-f]{64})"`)

func brewFiles(path string) (refs []fileRef, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, m := range brewFile.FindAllSubmatch(text, -1) {
		refs = append(refs, fileRef{string(m[1]), string(m[2])})
	}
	// Every block that is opened is closed.
	depth := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasSuffix(line, " do") || strings.HasPrefix(line, "class ") || strings.HasPrefix(line, "def "):
			depth++
		case line == "end":
			depth--
		}
	}
	if depth != 0 || !bytes.Contains(text, []byte(`bin.install "agent"`)) {
		return nil, errors.New("it is not whole")
	}
	return refs, nil
}

func scoopFiles(path string) (refs []fileRef, err error) {
	type file struct {
		URL, Hash  string
		ExtractDir string `json:"extract_dir"`
	}
	var manifest struct {
		Version, Description, Homepage, License, Bin string
		Architecture                                 map[string]file
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&manifest); err != nil {
		return nil, err
	}
	for _, arch := range []string{"64bit", "arm64"} {
		f := manifest.Architecture[arch]
		if !strings.HasSuffix(f.URL, "/"+f.ExtractDir+".zip") {
			return nil, errors.New(arch + " is unpacked elsewhere")
		}
		refs = append(refs, fileRef{f.URL, f.Hash})
	}
	if manifest.Bin != "agent.exe" || manifest.License != "Apache-2.0" || manifest.Version == "" {
		return nil, errors.New("something is missing")
	}
	return refs, nil
}

// TestPackageDescription: nfpm.yaml names what is laid out for it, and gives every
// file its mode.
func TestPackageDescription(t *testing.T) {
	var d struct {
		Name, Arch, Version, License, Maintainer string
		Contents                                 []struct {
			Src, Dst, Packager string
			FileInfo           struct{ Mode uint32 } `yaml:"file_info"`
		}
		RPM struct{ BuildHost string }
	}
	if err := yaml.Unmarshal(must(os.ReadFile("nfpm.yaml")), &d); err != nil {
		t.Fatal(err)
	}
	if d.Name != program || d.Version != "${VERSION}" || d.Arch != "${ARCH}" || d.License != "Apache-2.0" || d.RPM.BuildHost == "" {
		t.Errorf("%+v", d)
	}
	laidOut := []string{"agent", "man.gz/agent.1.gz", noticesName, "LICENSE", "README.md", "CHANGELOG.md", "docs/README.md"}
	for name := range completions {
		laidOut = append(laidOut, "completions/"+name)
	}
	to := map[string]bool{}
	for _, c := range d.Contents {
		if !slices.ContainsFunc(laidOut, func(name string) bool { ok, _ := filepath.Match(c.Src, name); return ok }) {
			t.Errorf("%s is laid out nowhere", c.Src)
		}
		if want := map[bool]uint32{true: 0o755, false: 0o644}[c.Src == program]; c.FileInfo.Mode != want {
			t.Errorf("%s has mode %o, want %o", c.Src, c.FileInfo.Mode, want)
		}
		for _, kind := range []string{"deb", "rpm"} {
			if c.Packager == "" || c.Packager == kind {
				to[kind+c.Dst] = true
			}
		}
	}
	for _, want := range []string{
		"deb/usr/bin/agent", "rpm/usr/bin/agent", "deb/usr/share/doc/agent/copyright", "rpm/usr/share/licenses/agent/LICENSE",
		"deb/usr/share/man/man1/", "rpm/usr/share/bash-completion/completions/agent", "deb/usr/share/zsh/vendor-completions/_agent",
	} {
		if !to[want] {
			t.Errorf("%s is missing", want)
		}
	}
}

// TestInstallerOfARelease looks where the release is, and is the script otherwise.
func TestInstallerOfARelease(t *testing.T) {
	r := &release{root: "..", out: t.TempDir(), url: "https://example.org/v1"}
	if err := r.writeInstaller(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, source := must(os.ReadFile(filepath.Join(r.out, installer))), must(os.ReadFile(filepath.Join("..", installer)))
	if !bytes.Contains(got, []byte("\nurl_of_release='https://example.org/v1'\n")) || len(got) != len(source)+len(r.url) {
		t.Errorf("%d bytes of %d", len(got), len(source))
	}
	if r.url = "https://example.org/'; rm -rf /; '"; r.writeInstaller(t.Context()) == nil {
		t.Error("a URL ran as a command")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
