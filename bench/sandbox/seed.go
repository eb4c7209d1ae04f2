package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// rootAccessKey is the static account with all rights, for test witnesses. It
// must not begin with ASIA, which the S3 server keeps for session keys.
const rootAccessKey = "AKIASANDBOXROOT00000"

// seed is what every key and token is made from: the same seed gives the same
// API key and root secret, and accepts the tokens of an earlier process.
type seed []byte

// loadSeed returns the seed named by the caller, or the one kept in dir, which
// it makes when missing.
func loadSeed(secret, dir string) (seed, error) {
	if secret != "" {
		sum := sha256.Sum256([]byte(secret))
		return sum[:], nil
	}
	path := filepath.Join(dir, "seed")
	kept, err := os.ReadFile(path)
	if err == nil {
		s, err := hex.DecodeString(strings.TrimSpace(string(kept)))
		if err != nil || len(s) != sha256.Size {
			return nil, fmt.Errorf("%s is not a seed; remove it to get a new one", path)
		}
		return s, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s := make(seed, sha256.Size)
	_, _ = rand.Read(s) // never fails
	return s, writeFileAtomic(path, []byte(hex.EncodeToString(s)+"\n"))
}

// mac derives the value for a purpose and its parameters.
func (s seed) mac(purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, s)
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write(data)
	return h.Sum(nil)
}

func (s seed) apiKey() string {
	return hex.EncodeToString(s.mac("api key", nil)[:16])
}

func (s seed) rootSecret() string {
	return base64.StdEncoding.EncodeToString(s.mac("root secret", nil)[:30])
}

// writeFileAtomic writes a private file that is never seen half made.
func writeFileAtomic(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
