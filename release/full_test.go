//go:build release

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestRelease makes the release twice, in copies of the sources that lie in other
// places, one after the other, under another umask, home and
// time zone, and, for this system, with nothing kept from the first build; and looks
// into what was made.
func TestRelease(t *testing.T) {
	url := "https://example.org/agent/v1.2.3"
	first := publish(t, filepath.Join(t.TempDir(), "a"), url, "022", "TZ=UTC0")
	t.Run("twice the same", func(t *testing.T) {
		second := publish(t, filepath.Join(t.TempDir(), "another", "place that is longer"), url, "077", "TZ=Asia/Kathmandu", "LANG=tr_TR.UTF-8", "HOME="+t.TempDir())
		sameFiles(t, first, second)
	})
	t.Run("nothing kept", func(t *testing.T) { fromNothing(t, first) })
	t.Run("checksums", func(t *testing.T) { sumsHold(t, first) })
	t.Run("archives", func(t *testing.T) {
		for _, x := range targets {
			archiveHolds(t, first, x)
		}
	})
	t.Run("sbom", func(t *testing.T) { sbomsHold(t, first) })
	t.Run("recipes", func(t *testing.T) { checkRecipes(t, first, url) })
	t.Run("deb", func(t *testing.T) { debHolds(t, first) })
	t.Run("rpm", func(t *testing.T) { rpmHolds(t, first) })
	t.Run("install.sh", func(t *testing.T) { installs(t, first) })
}

const (
	version = "v1.2.3"
	commit  = "0123456789abcdef0123456789abcdef01234567"
	epoch   = "1700000000"
)

// publish makes the release of a copy of the sources below dir.
func publish(t *testing.T, dir, url, umask string, env ...string) (out string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// What is checked out, changed or not, as git would give it out.
	copied := exec.Command("sh", "-c", `umask "$2" && git -C .. ls-files -z --cached --others --exclude-standard | (cd .. && xargs -0 tar -cf - ) | tar -xf - -C "$1" --no-same-permissions -m`, "sh", dir, umask)
	if b, err := copied.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	cmd := exec.Command("sh", "-c", `umask "$1"; shift; exec go run ./release "$@"`, "sh", umask, "-version", version, "-commit", commit, "-epoch", epoch,
		"-url", url, "-nfpm", os.Getenv("NFPM"), "-cyclonedx", os.Getenv("CYCLONEDX"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOPATH="+goEnv(t, "GOPATH"))
	cmd.Env = append(cmd.Env, env...)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return filepath.Join(dir, "dist")
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	b, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	of := func(dir string) map[string]string {
		sums, err := sumsOf(dir)
		if err != nil || len(sums) < 20 {
			t.Fatal(len(sums), err)
		}
		sums[sumsName] = must(sumOf(filepath.Join(dir, sumsName)))
		return sums
	}
	one, two := of(a), of(b)
	for _, name := range slices.Sorted(maps.Keys(one)) {
		if one[name] != two[name] {
			t.Errorf("%s differs", name)
		}
	}
	if len(one) != len(two) {
		t.Errorf("%d and %d files", len(one), len(two))
	}
	t.Logf("%d files are the same, byte for byte", len(one))
}

// fromNothing builds this system's program with an empty cache of builds, and
// finds it in the archive.
func fromNothing(t *testing.T, out string) {
	t.Setenv("GOCACHE", filepath.Join(t.TempDir(), "cache"))
	r := &release{root: must(filepath.Abs("..")), version: version, commit: commit, when: must(parseEpoch(epoch)), number: "1.2.3"}
	here := target{runtime.GOOS, runtime.GOARCH}
	to := filepath.Join(t.TempDir(), "agent")
	if err := r.build(t.Context(), here, to, ""); err != nil {
		t.Fatal(err)
	}
	files := unpacked(t, filepath.Join(out, r.archiveName(here)))
	if !bytes.Equal(must(os.ReadFile(to)), files[r.stem(here)+"/agent"].text) {
		t.Error("another program comes out")
	}
}

func sumsHold(t *testing.T, out string) {
	cmd := exec.Command("sha256sum", "--check", "--strict", "--quiet", sumsName)
	cmd.Dir = out
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, b)
	}
	listed, err := readSums(out)
	there := must(sumsOf(out))
	if err != nil || !maps.Equal(listed, there) {
		t.Errorf("%d listed, %d there: %v", len(listed), len(there), err)
	}
	t.Logf("%d files", len(listed))
}

// entry is a file in an archive.
type entry struct {
	text []byte
	mode fs.FileMode
}

func unpacked(t *testing.T, archive string) map[string]entry {
	t.Helper()
	files := map[string]entry{}
	if strings.HasSuffix(archive, ".zip") {
		z, err := zip.OpenReader(archive)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			files[f.Name] = entry{must(io.ReadAll(r)), f.Mode()}
		}
		return files
	}
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := must(gzip.NewReader(f))
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.ModTime.Unix() != 1700000000 {
			t.Errorf("%s: %s tells of the machine: %+v", archive, h.Name, h)
		}
		files[h.Name] = entry{must(io.ReadAll(r)), fs.FileMode(h.Mode)}
	}
}

func archiveHolds(t *testing.T, out string, x target) {
	r := &release{number: "1.2.3"}
	files := unpacked(t, filepath.Join(out, r.archiveName(x)))
	want := []string{x.binary(), "LICENSE", noticesName, "README.md", "CHANGELOG.md", "docs/README.md", "docs/install.md"}
	for name := range completions {
		want = append(want, "completions/"+name)
	}
	if x.os != "windows" {
		want = append(want, "man/man1/agent.1", "man/man1/agent-upload.1")
	}
	for _, name := range want {
		if e := files[r.stem(x)+"/"+name]; len(e.text) == 0 {
			t.Errorf("%s/%s: no %s", x.os, x.arch, name)
		}
	}
	for name, e := range files {
		if !strings.HasPrefix(name, r.stem(x)+"/") || path.Clean(name) != name {
			t.Errorf("%s/%s: %s is unpacked elsewhere", x.os, x.arch, name)
		}
		if isProgram(name) != (e.mode.Perm() == 0o755) {
			t.Errorf("%s has mode %v", name, e.mode)
		}
	}
	program := files[r.stem(x)+"/"+x.binary()].text
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	if set["GOOS"] != x.os || set["GOARCH"] != x.arch || set["CGO_ENABLED"] != "0" || set["-trimpath"] != "true" {
		t.Errorf("%s/%s: built with %v", x.os, x.arch, set)
	}
	for _, secret := range []string{filepath.Dir(out), os.Getenv("HOME") + "/"} {
		if bytes.Contains(program, []byte(secret)) {
			t.Errorf("%s/%s: the program has %s in it", x.os, x.arch, secret)
		}
	}
	for name, v := range map[string]string{"version": version, "commit": commit} {
		if !bytes.Contains(program, []byte(v)) {
			t.Errorf("%s/%s: the program does not know its %s", x.os, x.arch, name)
		}
	}
	for _, m := range info.Deps {
		if !bytes.Contains(files[r.stem(x)+"/"+noticesName].text, []byte(m.Path+" "+m.Version+"\n")) {
			t.Errorf("%s/%s: no licence of %s %s", x.os, x.arch, m.Path, m.Version)
		}
	}
}

// sbomsHold: each lists exactly what its program says is built into it.
func sbomsHold(t *testing.T, out string) {
	r := &release{number: "1.2.3"}
	for _, x := range targets {
		files := unpacked(t, filepath.Join(out, r.archiveName(x)))
		info, err := buildinfo.Read(bytes.NewReader(files[r.stem(x)+"/"+x.binary()].text))
		if err != nil {
			t.Fatal(err)
		}
		var bom struct {
			BOMFormat  string `json:"bomFormat"`
			Components []struct {
				Name, Version, PURL string
				Hashes              []struct{ Alg, Content string }
			}
			Metadata struct {
				Component struct{ Name, Version string }
			}
		}
		text := must(os.ReadFile(filepath.Join(out, r.sbomOf(x))))
		if err := json.Unmarshal(text, &bom); err != nil || bom.BOMFormat != "CycloneDX" || bom.Metadata.Component.Version != version {
			t.Fatalf("%s/%s: %v: %+v", x.os, x.arch, err, bom.Metadata)
		}
		listed := map[string]bool{}
		for _, c := range bom.Components {
			listed[c.Name+" "+c.Version] = true
			if c.Name != "std" && (len(c.Hashes) == 0 || !strings.HasPrefix(c.PURL, "pkg:golang/")) {
				t.Errorf("%s/%s: %s has no checksum or no address", x.os, x.arch, c.Name)
			}
		}
		for _, m := range info.Deps {
			if !listed[m.Path+" "+m.Version] {
				t.Errorf("%s/%s: %s %s is not in the list", x.os, x.arch, m.Path, m.Version)
			}
		}
		if len(listed) != len(info.Deps)+1 || !strings.Contains(fmt.Sprint(slices.Sorted(maps.Keys(listed))), "std ") {
			t.Errorf("%s/%s: %d listed, %d built in, and Go's own", x.os, x.arch, len(listed), len(info.Deps))
		}
		if bytes.Contains(text, []byte(filepath.Dir(out))) {
			t.Errorf("%s/%s: it names a folder of this machine", x.os, x.arch)
		}
		t.Logf("%s/%s: %d modules, and Go's own", x.os, x.arch, len(info.Deps))
	}
}

// debHolds installs and removes the package in a root of its own.
func debHolds(t *testing.T, out string) {
	root := t.TempDir()
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/log"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	before := filesBelow(t, filepath.Join(root, "usr"))
	dpkg := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("dpkg", append([]string{"--root=" + root, "--log=" + filepath.Join(root, "log"), "--force-not-root"}, args...)...)
		b, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("dpkg %v: %v\n%s", args, err, b)
		}
		return string(b)
	}
	r := &release{number: "1.2.3"}
	dpkg("--install", filepath.Join(out, r.packageOf(target{"linux", runtime.GOARCH}, "deb")))
	if s := dpkg("--status", program); !strings.Contains(s, "Status: install ok installed") || !strings.Contains(s, "Version: 1.2.3\n") {
		t.Errorf("%s", s)
	}
	installed(t, root, "usr/share/zsh/vendor-completions/_agent", "usr/share/doc/agent/copyright")
	if b, err := exec.Command("dpkg", "--root="+root, "--verify", program).CombinedOutput(); err != nil || len(b) > 0 {
		t.Errorf("%v\n%s", err, b)
	}
	dpkg("--purge", program)
	if left := filesBelow(t, filepath.Join(root, "usr")); len(left) != len(before) {
		t.Errorf("left behind: %v", left)
	}
	// The other architecture is only looked into.
	for _, arch := range []string{"amd64", "arm64"} {
		b, err := exec.Command("dpkg-deb", "--field", filepath.Join(out, r.packageOf(target{"linux", arch}, "deb")), "Package", "Version", "Architecture").Output()
		if want := "Package: agent\nVersion: 1.2.3\nArchitecture: " + arch + "\n"; err != nil || string(b) != want {
			t.Errorf("%q, %v; want %q", b, err, want)
		}
	}
}

// rpmHolds unpacks the package below a root of its own.
func rpmHolds(t *testing.T, out string) {
	r := &release{number: "1.2.3"}
	for arch, name := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		file := filepath.Join(out, r.packageOf(target{"linux", arch}, "rpm"))
		b, err := exec.Command("rpm", "-qp", "--nosignature", "--qf", "%{NAME} %{VERSION} %{ARCH} %{LICENSE} %{BUILDHOST} %{BUILDTIME}", file).Output()
		if want := "agent 1.2.3 " + name + " Apache-2.0 localhost " + epoch; err != nil || string(b) != want {
			t.Errorf("%q, %v; want %q", b, err, want)
		}
		if b, err := exec.Command("rpm", "-K", "--nosignature", file).CombinedOutput(); err != nil || !strings.Contains(string(b), "digests OK") {
			t.Errorf("%v: %s", err, b)
		}
		if arch != runtime.GOARCH {
			continue
		}
		root := t.TempDir()
		install := exec.Command("rpm", "--root", root, "--dbpath", "/db", "--install", "--nodeps", "--ignorearch", "--nosignature", "--noscripts", file)
		if b, err := install.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		installed(t, root, "usr/share/zsh/site-functions/_agent", "usr/share/licenses/agent/LICENSE")
		if b, err := exec.Command("rpm", "--root", root, "--dbpath", "/db", "--erase", "--noscripts", program).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, b)
		}
		if left := filesBelow(t, filepath.Join(root, "usr")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// installed looks for what both packages bring.
func installed(t *testing.T, root string, more ...string) {
	t.Helper()
	for _, name := range append(more, "usr/bin/agent", "usr/share/man/man1/agent.1.gz", "usr/share/man/man1/agent-upload.1.gz",
		"usr/share/bash-completion/completions/agent", "usr/share/fish/vendor_completions.d/agent.fish",
		"usr/share/doc/agent/THIRD-PARTY-NOTICES", "usr/share/doc/agent/README.md") {
		fi, err := os.Stat(filepath.Join(root, name))
		if err != nil || fi.Size() == 0 || fi.ModTime().Unix() != 1700000000 {
			t.Errorf("%s: %v, %v", name, fi, err)
			continue
		}
		if want := map[bool]fs.FileMode{true: 0o755, false: 0o644}[name == "usr/bin/agent"]; fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v", name, fi.Mode())
		}
	}
	b, err := exec.Command(filepath.Join(root, "usr/bin/agent"), "--version").Output()
	if want := "agent v1.2.3 (commit 0123456789ab, 2023-11-14T22:13:20Z)\n"; err != nil || string(b) != want {
		t.Errorf("%q, %v; want %q", b, err, want)
	}
}

func filesBelow(t *testing.T, dir string) (files []string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return nil
	})
	return files
}

// installs: the release's own script installs from it.
func installs(t *testing.T, out string) {
	home := t.TempDir()
	cmd := exec.Command("sh", filepath.Join(out, installer), "--url", out)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	if b, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(b), "installed agent v1.2.3 (commit 0123456789ab") {
		t.Errorf("%v\n%s", err, b)
	}
	if b, err := exec.Command(filepath.Join(home, ".local", "bin", "agent"), "--version").Output(); err != nil || !strings.HasPrefix(string(b), "agent v1.2.3") {
		t.Errorf("%q, %v", b, err)
	}
	if !bytes.Contains(must(os.ReadFile(filepath.Join(out, installer))), []byte("url_of_release='https://example.org/agent/v1.2.3'")) {
		t.Error("it does not know where the release is")
	}
}
