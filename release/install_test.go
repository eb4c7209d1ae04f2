//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// script is the installer.
const script = "../install.sh"

// shop is a release on a local server, whose program is a script that tells its
// version, and a user with an empty home.
type shop struct {
	t    *testing.T
	dir  string // the release
	url  string
	home string
	path string
}

func newShop(t *testing.T, version string) *shop {
	t.Helper()
	s := &shop{t: t, dir: t.TempDir(), home: filepath.Join(t.TempDir(), "a home"), path: os.Getenv("PATH")}
	if err := os.MkdirAll(s.home, 0o700); err != nil {
		t.Fatal(err)
	}
	s.offer(version)
	srv := httptest.NewServer(http.FileServer(http.Dir(s.dir)))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

// archive is the name of what this system installs.
func (s *shop) archive(version string) string {
	r := release{number: version}
	return r.archiveName(target{runtime.GOOS, runtime.GOARCH})
}

// offer puts a release into the shop, and nothing else.
func (s *shop) offer(version string) {
	s.t.Helper()
	program := filepath.Join(s.t.TempDir(), "agent")
	s.write(program, "#!/bin/sh\necho agent v"+version+"\n")
	name := s.archive(version)
	var b bytes.Buffer
	if err := packTar(&b, strings.TrimSuffix(name, ".tar.gz"), contents{"agent": program, "LICENSE": "../LICENSE"}, time.Unix(1700000000, 0)); err != nil {
		s.t.Fatal(err)
	}
	old, _ := filepath.Glob(filepath.Join(s.dir, "*"))
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			s.t.Fatal(err)
		}
	}
	s.write(filepath.Join(s.dir, name), b.String())
	s.write(filepath.Join(s.dir, "agent_"+version+"_plan9_mips.tar.gz"), "for another system")
	if err := writeSums(s.dir); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) write(path, text string) {
	s.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// install runs the script, and returns what it said.
func (s *shop) install(args ...string) (string, error) {
	s.t.Helper()
	return s.by("sh", args...)
}

func (s *shop) by(shell string, args ...string) (string, error) {
	s.t.Helper()
	cmd := exec.Command(shell, append([]string{script}, args...)...)
	cmd.Env = []string{"HOME=" + s.home, "PATH=" + s.path, "TMPDIR=" + s.t.TempDir()}
	out, err := cmd.CombinedOutput()
	if left, _ := filepath.Glob(filepath.Join(strings.TrimPrefix(cmd.Env[2], "TMPDIR="), "*")); len(left) > 0 {
		s.t.Errorf("left behind: %v", left)
	}
	return string(out), err
}

func (s *shop) bin() string { return filepath.Join(s.home, ".local", "bin") }

// has checks what is installed: one program of a version, or nothing.
func (s *shop) has(version string) {
	s.t.Helper()
	entries, _ := os.ReadDir(s.bin())
	if version == "" {
		if len(entries) != 0 {
			s.t.Errorf("installed: %v", entries)
		}
		return
	}
	out, err := exec.Command(filepath.Join(s.bin(), "agent")).Output()
	if len(entries) != 1 || err != nil || string(out) != "agent v"+version+"\n" {
		s.t.Errorf("%v, %q, %v: want version %s alone", entries, out, err, version)
	}
}

func TestInstall(t *testing.T) {
	for _, shell := range []string{"sh", "bash", "dash"} {
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("no %s here", shell)
			continue
		}
		s := newShop(t, "1.2.3")
		out, err := s.by(shell, "--url", s.url+"/")
		if err != nil || !strings.Contains(out, "installed agent v1.2.3: "+s.bin()+"/agent") || !strings.Contains(out, "not on your PATH") {
			t.Fatalf("%s: %v\n%s", shell, err, out)
		}
		s.has("1.2.3")
		if fi, err := os.Stat(filepath.Join(s.bin(), "agent")); err != nil || fi.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", shell, fi, err)
		}
		s.path = s.bin() + ":" + s.path
		s.offer("1.3.0") // over it
		if out, err := s.by(shell, "--url", s.url); err != nil || strings.Contains(out, "PATH") {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
		s.has("1.3.0")
	}
}

// TestInstallFromFolder: without any network, as on nodes that have none.
func TestInstallFromFolder(t *testing.T) {
	s := newShop(t, "1.2.3")
	dir := filepath.Join(s.home, "else where")
	if out, err := s.install("--url", s.dir, "--dir", dir); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.has("")
	if out, err := exec.Command(filepath.Join(dir, "agent")).Output(); err != nil || string(out) != "agent v1.2.3\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestInstallWithWget: curl is not everywhere.
func TestInstallWithWget(t *testing.T) {
	if _, err := exec.LookPath("wget"); err != nil {
		t.Skip(err)
	}
	s := newShop(t, "1.2.3")
	s.tools("wget")
	if out, err := s.install("--url", s.url); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.has("1.2.3")
	if err := os.Remove(filepath.Join(s.path, "wget")); err != nil {
		t.Fatal(err)
	}
	if out, err := s.install("--url", s.url); err == nil || !strings.Contains(out, "neither curl nor wget is here") {
		t.Errorf("%v\n%s", err, out)
	}
}

// tools makes the PATH one of these alone, and of what any system has.
func (s *shop) tools(more ...string) {
	s.t.Helper()
	s.path = s.t.TempDir()
	for _, tool := range append(strings.Fields("sh uname mktemp rm grep wc sha256sum cut tar gzip mkdir cp chmod mv cat"), more...) {
		path, err := exec.LookPath(tool)
		if err == nil {
			err = os.Symlink(path, filepath.Join(s.path, tool))
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestInstallRefusesOldWget: a wget that can't be told to follow no redirect is not
// used, on this machine neither.
func TestInstallRefusesOldWget(t *testing.T) {
	s := newShop(t, "1.2.3")
	s.tools()
	called := filepath.Join(s.home, "called")
	s.write(filepath.Join(s.path, "wget"), `#!/bin/sh
[ "$1" = --help ] || { echo "$*" >>"`+called+`"; exit 1; }
echo "Usage: wget [-cqS] [--spider] [-O FILE] [-o LOGFILE] [--header STR] [-U AGENT] [-T SEC] URL..." >&2
exit 1
`)
	if err := os.Chmod(filepath.Join(s.path, "wget"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{s.url, "https://agent.example"} {
		if out, err := s.install("--url", url); err == nil || !strings.Contains(out, "curl or GNU wget is needed") {
			t.Errorf("%v\n%s", err, out)
		}
	}
	s.has("")
	if text, err := os.ReadFile(called); err == nil {
		t.Errorf("it was called: %s", text)
	}
}

// TestInstallStaysOnHTTPS: a release over https is installed, and one whose server
// leads away to plain http is not, as far as nobody is asked there. So it is with a
// server on this machine that leads anywhere.
func TestInstallStaysOnHTTPS(t *testing.T) {
	for _, tool := range []string{"curl", "wget"} {
		t.Run(tool, func(t *testing.T) {
			if _, err := exec.LookPath(tool); err != nil {
				t.Skip(err)
			}
			s := newShop(t, "1.2.3")
			s.tools(tool)
			var asked atomic.Int64
			files := http.FileServer(http.Dir(s.dir))
			plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				asked.Add(1)
				files.ServeHTTP(w, q)
			}))
			defer plain.Close()
			var serve atomic.Pointer[http.Handler]
			shop := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { (*serve.Load()).ServeHTTP(w, q) }))
			defer shop.Close()
			ca := filepath.Join(s.home, "ca.pem")
			s.write(ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shop.Certificate().Raw})))
			s.write(filepath.Join(s.home, ".wgetrc"), "ca_certificate = "+ca+"\n")
			s.write(filepath.Join(s.home, ".curlrc"), "cacert = \""+ca+"\"\n")

			for what, leads := range map[string]func(path string) bool{
				"everything": func(string) bool { return true }, "the archive": func(path string) bool { return !strings.HasSuffix(path, sumsName) },
			} {
				var away http.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
					if leads(q.URL.Path) {
						http.Redirect(w, q, plain.URL+q.URL.Path, http.StatusFound)
						return
					}
					files.ServeHTTP(w, q)
				})
				local := httptest.NewServer(away)
				serve.Store(&away)
				for _, url := range []string{shop.URL, local.URL} {
					if out, err := s.install("--url", url); err == nil || !strings.Contains(out, "could not be fetched") || asked.Load() > 0 {
						t.Errorf("%s leads away with %s: %v, %d requests by http\n%s", url, what, err, asked.Load(), out)
					}
				}
				local.Close()
			}
			s.has("")
			serve.Store(&files)
			if out, err := s.install("--url", shop.URL); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			s.has("1.2.3")
		})
	}
}

// TestInstallRefuses: whatever is wrong, nothing is installed, and what was
// installed before stays as it was.
func TestInstallRefuses(t *testing.T) {
	name := func(s *shop) string { return filepath.Join(s.dir, s.archive("2.0.0")) }
	rewrite := func(path string, change func(text string) string) func(*shop) {
		return func(s *shop) {
			text, err := os.ReadFile(filepath.Join(s.dir, path))
			if err != nil {
				s.t.Fatal(err)
			}
			s.write(filepath.Join(s.dir, path), change(string(text)))
		}
	}
	for _, c := range []struct {
		name   string
		break_ func(s *shop)
		args   []string
		want   string
	}{
		{"a byte is another", func(s *shop) { s.write(name(s), "x"+string(must(os.ReadFile(name(s))))[1:]) }, nil, "nothing was installed"},
		{"cut short", func(s *shop) { _ = os.Truncate(name(s), 100) }, nil, "nothing was installed"},
		{"it is not there", func(s *shop) { _ = os.Remove(name(s)) }, nil, "could not be fetched"},
		{"no checksums", func(s *shop) { _ = os.Remove(filepath.Join(s.dir, sumsName)) }, nil, "could not be fetched"},
		{"a login page", rewrite(sumsName, func(string) string { return "<html>log in</html>" }), nil, "names no archive for"},
		{"two of them", rewrite(sumsName, func(text string) string { return text + text }), nil, "names several archives"},
		{"another name in it", rewrite(sumsName, func(text string) string { return strings.ReplaceAll(text, "agent_2", "../agent_2") }), nil, "names no archive for"},
		{"other checksums than told", nil, []string{"--sha256", strings.Repeat("0", 64)}, "SHA256SUMS has SHA-256"},
		{"it does not run", func(s *shop) { s.broken() }, nil, "does not run on this machine"},
		{"plain http", nil, []string{"--url", "http://agent.example"}, "neither https nor on this machine"},
		{"plain http of a like name", nil, []string{"--url", "http://localhost.example/x"}, "neither https nor on this machine"},
		{"no release", nil, []string{"--url", ""}, "say where the release is"},
		{"a mistake", nil, []string{"--frobnicate", "x"}, "unknown argument --frobnicate"},
		{"a folder is there", func(s *shop) {
			_ = os.Remove(filepath.Join(s.bin(), "agent"))
			_ = os.MkdirAll(filepath.Join(s.bin(), "agent"), 0o755)
		}, nil, "agent is a folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t, "1.2.3")
			if out, err := s.install("--url", s.url); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			s.offer("2.0.0")
			if c.break_ != nil {
				c.break_(s)
			}
			out, err := s.install(append([]string{"--url", s.url}, c.args...)...)
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("%v, want %q\n%s", err, c.want, out)
			}
			if c.name != "a folder is there" {
				s.has("1.2.3")
			}
		})
	}
}

// broken offers a release whose program fails.
func (s *shop) broken() {
	s.t.Helper()
	program := filepath.Join(s.t.TempDir(), "agent")
	s.write(program, "#!/bin/sh\nexit 3\n")
	var b bytes.Buffer
	stem := strings.TrimSuffix(s.archive("2.0.0"), ".tar.gz")
	if err := packTar(&b, stem, contents{"agent": program}, time.Unix(1700000000, 0)); err != nil {
		s.t.Fatal(err)
	}
	s.write(filepath.Join(s.dir, s.archive("2.0.0")), b.String())
	if err := writeSums(s.dir); err != nil {
		s.t.Fatal(err)
	}
}

// TestInstallPinned: who has the checksum of the checksums trusts no server.
func TestInstallPinned(t *testing.T) {
	s := newShop(t, "1.2.3")
	text := must(os.ReadFile(filepath.Join(s.dir, sumsName)))
	sum := sha256.Sum256(text)
	if out, err := s.install("--url", s.url, "--sha256", hex.EncodeToString(sum[:])); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.has("1.2.3")
}

// TestInstallCutShort: 'curl | sh' of a script of which only a part came does
// nothing, whatever part that is.
func TestInstallCutShort(t *testing.T) {
	text := must(os.ReadFile(script))
	s := newShop(t, "1.2.3")
	for n := 0; n < len(text)-len("main \"$@\"\n"); n += len(text)/60 + 1 {
		cmd := exec.Command("sh", "-s", "--", "--url", s.dir)
		cmd.Env = []string{"HOME=" + s.home, "PATH=" + s.path}
		cmd.Stdin = bytes.NewReader(text[:n])
		out, _ := cmd.CombinedOutput() // it may well be a mistake in the shell's eyes
		if entries, err := os.ReadDir(s.home); err != nil || len(entries) > 0 {
			t.Fatalf("of %d bytes: %v, %v\n%s", n, entries, err, out)
		}
	}
}

// TestInstallerIsClean: shellcheck finds nothing in what is written for sh.
func TestInstallerIsClean(t *testing.T) {
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{script, "recipes/conda/build.sh"} {
		if out, err := exec.Command("shellcheck", "--shell", "sh", "--severity", "style", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}
