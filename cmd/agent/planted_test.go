//go:build linux

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// secrets are what a rig has given to its agents to keep. At the end of every
// test of this package its agents' output, journals, logs and whatever else is in
// the state are searched for them, and after the last one all temporary files.
type secrets struct {
	mu    sync.Mutex
	known map[string]string // what a secret is, by it
	procs []*proc
}

// everySecret are those of all rigs.
var everySecret secrets

// longHead is how many bytes of a long secret's beginning are looked for, too.
const longHead = 100

// keep remembers a secret.
func (s *secrets) keep(what, secret string) {
	if len(secret) < 8 {
		return // nothing that can be looked for
	}
	for _, to := range []*secrets{s, &everySecret} {
		to.mu.Lock()
		if to.known == nil {
			to.known = map[string]string{}
		}
		to.known[secret] = what
		if n := longHead; len(secret) > 2*n { // a server's words are cut, and so may be what they hold
			to.known[secret[:n]] = "the beginning of " + what
		}
		to.mu.Unlock()
	}
}

// ran remembers an agent whose output is to be searched.
func (s *secrets) ran(p *proc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.procs = append(s.procs, p)
}

// in tells which secrets are in text, in whatever form.
func (s *secrets) in(text []byte) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for secret, what := range s.known {
		for _, form := range forms(secret) {
			if bytes.Contains(text, []byte(form)) {
				found = append(found, what)
				break
			}
		}
	}
	return found
}

// forms are the ways in which a secret may be written: as it is, in a URL, in
// hex, and in base64 amid whatever else.
func forms(secret string) []string {
	hexed := hex.EncodeToString([]byte(secret))
	query, path := url.QueryEscape(secret), url.PathEscape(secret)
	out := []string{secret, hexed, strings.ToUpper(hexed), query, path, lowerEscapes(query), lowerEscapes(path)}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := enc.EncodeToString([]byte(strings.Repeat("x", before) + secret))
			out = append(out, text[(before*8+5)/6:(before+len(secret))*8/6])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func lowerEscapes(s string) string {
	return regexp.MustCompile(`%[0-9A-F]{2}`).ReplaceAllStringFunc(s, strings.ToLower)
}

// mayHold are where docs/credentials.md says that secrets are, below the state.
var mayHold = []string{"creds", "logins"}

// nowhere searches what the agents have printed and what they keep.
func (s *secrets) nowhere(t *testing.T, state string) {
	t.Helper()
	s.mu.Lock()
	procs := s.procs
	s.mu.Unlock()
	for _, p := range procs {
		if printsSecrets(p.cmd.Args[1:]) {
			continue
		}
		for _, what := range s.in([]byte(p.out.String() + p.err.String())) {
			t.Errorf("%q printed %s", p.cmd.Args[1:], what)
		}
	}
	if err := s.walk(state, mayHold); err != nil {
		t.Error(err)
	}
}

// printsSecrets tells whether a command is there to print them.
func printsSecrets(args []string) bool {
	return len(args) > 1 && args[0] == "creds" && args[1] == "print"
}

// walk searches all files below dir, their names too, but what is left out.
func (s *secrets) walk(dir string, leftOut []string) error {
	var bad []error
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		text := []byte(rel)
		switch {
		case slices.Contains(leftOut, rel) && d.IsDir():
			return filepath.SkipDir
		case slices.Contains(leftOut, rel):
			return nil
		case d.Type().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			text = append(text, b...)
		}
		for _, what := range s.in(text) {
			bad = append(bad, fmt.Errorf("%s holds %s", path, what))
		}
		return nil
	})
	return errors.Join(append(bad, err)...)
}

// leftBehind searches what all agents of all tests have left in dir.
func leftBehind(dir string) error { return everySecret.walk(dir, nil) }

// TestSecretForms proves that the search finds what it is there for.
func TestSecretForms(t *testing.T) {
	const secret = "wJalr/XUtn+FEMI=K7 MDENG"
	for name, text := range map[string]string{
		"raw": "a" + secret + "b", "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"hex": fmt.Sprintf("%x", secret), "HEX": fmt.Sprintf("%X", secret),
		"basic": base64.StdEncoding.EncodeToString([]byte("user:" + secret)), "url": base64.URLEncoding.EncodeToString([]byte("ab" + secret + "c")),
	} {
		var s secrets
		s.known = map[string]string{secret: "it"}
		if found := s.in([]byte("<" + text + ">")); len(found) != 1 {
			t.Errorf("not found as %s in %s", name, text)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s.walk(dir, nil) == nil {
			t.Errorf("not found in a file as %s", name)
		}
	}
	var s secrets
	s.known = map[string]string{secret: "it"}
	if found := s.in([]byte(secret[1:])); len(found) != 0 {
		t.Error("something else is found")
	}
}
