package creds

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Login is what a login leaves behind.
type Login struct {
	Base       string // https://host/api
	Workspace  string
	Key        Secret    // the API key
	KeyExpires time.Time // as people said; zero when not known
	Keyring    bool      // the key is in the system's keyring, not in the file
	Place      Location  // what Discover said at login; zero where it was not asked
}

// KeyEnding reports that the key ends within five days, or has ended, and how
// long there is left.
func (l Login) KeyEnding(now time.Time) (left time.Duration, soon bool) {
	if l.KeyExpires.IsZero() {
		return 0, false
	}
	left = l.KeyExpires.Sub(now)
	return left, left <= untilKeyWarning
}

const loginEnd = ".json"

// LoginPath is the file of the workspace's login in dir. A name that no
// workspace has gives a path too, one that no workspace has.
func LoginPath(dir, workspace string) string {
	if !workspaceName.MatchString(workspace) {
		sum := sha256.Sum256([]byte(workspace))
		workspace = "_" + hex.EncodeToString(sum[:6])
	}
	return filepath.Join(dir, workspace+loginEnd)
}

// storedLogin is the form of the file. Login itself would show no key.
type storedLogin struct {
	Base       string `json:"base"`
	Workspace  string `json:"workspace"`
	Key        string `json:"api_key,omitempty"`
	Keyring    bool   `json:"api_key_in_keyring,omitempty"`
	KeyExpires string `json:"api_key_expires,omitempty"`
	Bucket     string `json:"bucket,omitempty"`
	Prefix     string `json:"prefix,omitempty"`
	Region     string `json:"region,omitempty"`
	Endpoint   string `json:"endpoint,omitempty"`
}

var errStored = errors.New("is not what this program wrote")

// ReadLogin reads a stored login, and its key from the keyring where it is
// there. The error is a *FileError; one that is fs.ErrNotExist says that nobody
// logged in, one that is ErrNoKeyring or ErrNotInKeyring that the key can't be
// had.
func ReadLogin(path string) (Login, error) { return readLogin(context.Background(), path) }

func readLogin(ctx context.Context, path string) (Login, error) {
	l, err := readLoginFile(path)
	if err != nil || !l.Keyring {
		return l, err
	}
	key, err := keyringGet(ctx, l.Workspace)
	if err == nil {
		l.Key, err = CheckKey("the API key", string(key))
	}
	if err != nil {
		return Login{}, fileError(path, err)
	}
	return l, nil
}

// readLoginFile leaves a key that is in the keyring there.
func readLoginFile(path string) (Login, error) {
	text, err := readPrivate(path, 64<<10)
	if err != nil {
		return Login{}, err
	}
	var s storedLogin
	if err := json.Unmarshal(text, &s); err != nil {
		return Login{}, fileError(path, errStored) // the decoder's own would quote the text
	}
	l := Login{
		Base: s.Base, Workspace: s.Workspace, Keyring: s.Keyring,
		Place: Location{Bucket: s.Bucket, Prefix: s.Prefix, Region: s.Region, Endpoint: s.Endpoint},
	}
	if !l.Keyring {
		if l.Key, err = CheckKey("the API key", s.Key); err != nil {
			return Login{}, fileError(path, err)
		}
	}
	if s.KeyExpires != "" {
		if l.KeyExpires, err = time.Parse(time.RFC3339, s.KeyExpires); err != nil {
			return Login{}, fileError(path, errStored)
		}
	}
	return l, nil
}

// WriteLogin stores a login for this user only, its key in the keyring where
// Keyring says so. Where the file system has no modes others can read the file
// all the same: HasModes tells.
func WriteLogin(path string, l Login) error {
	key, err := CheckKey("the API key", string(l.Key))
	if err != nil {
		return err
	}
	s := storedLogin{
		Base: l.Base, Workspace: l.Workspace, Key: string(key), Keyring: l.Keyring,
		Bucket: l.Place.Bucket, Prefix: l.Place.Prefix, Region: l.Place.Region, Endpoint: l.Place.Endpoint,
	}
	if !l.KeyExpires.IsZero() {
		s.KeyExpires = l.KeyExpires.UTC().Format(time.RFC3339)
	}
	if l.Keyring {
		if err := keyringSet(context.Background(), l.Workspace, key); err != nil {
			return err
		}
		s.Key = ""
	} else if old, err := readLoginFile(path); err == nil && old.Keyring {
		_ = keyringRemove(context.Background(), old.Workspace) // this login does not depend on it
	}
	text, err := json.MarshalIndent(s, "", "  ") //nolint:gosec // the file is there to hold it
	if err != nil {
		return err
	}
	return writePrivate(path, append(text, '\n'))
}

// Logins are those in dir that can be read, by workspace. The keys that are in
// the keyring are left there. The error joins those of the others, each a
// *FileError; no dir is no login.
func Logins(dir string) ([]Login, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(dir, err)
	}
	var (
		all []Login
		bad []error
	)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), loginEnd) {
			continue // half-written, or not ours
		}
		l, err := readLoginFile(filepath.Join(dir, e.Name()))
		if err != nil {
			bad = append(bad, err)
			continue
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Login) int { return cmp.Compare(a.Workspace, b.Workspace) })
	return all, errors.Join(bad...)
}

// RemoveLogin deletes the workspace's login, and its key where that is in the
// keyring; false when there was none. A file that can't be read is deleted too.
// With an error, true says that the file is gone and the key may be left.
func RemoveLogin(dir, workspace string) (bool, error) {
	path := LoginPath(dir, workspace)
	l, err := readLoginFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var left error
	switch {
	case err != nil:
		_ = keyringRemove(context.Background(), workspace) // nobody knows whether it was there
	case l.Keyring:
		left = keyringRemove(context.Background(), l.Workspace)
	}
	if err := removeFile(path); err != nil {
		return false, errors.Join(err, left)
	}
	return true, left
}
