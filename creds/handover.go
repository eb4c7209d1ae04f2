package creds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Handover is a pasted set on its way to running agents and later runs: one
// file per endpoint and workspace. It is found by its path each time, which
// works between clients of a network file system too, where a watch does not.
type Handover struct {
	Dir       string // <state>/creds
	Endpoint  string // "" for AWS's own
	Workspace string

	// Now is the time by which sets end, and whether that is the server's own
	// clock. The local one, when nil.
	Now func() (now time.Time, server bool)
}

// distrusted is how long a set is kept at least where only the local clock
// says that it has ended: that clock may be the one that is wrong.
const distrusted = assumedLife

func (h *Handover) String() string { return "paste" }

// Renews is false: somebody has to paste.
func (h *Handover) Renews() bool { return false }

// Dedicated is true: each paste is for one destination.
func (h *Handover) Dedicated() bool { return true }

// Path is the file. Its name tells people the workspace; the sum keeps
// endpoints apart and takes any name.
func (h *Handover) Path() string {
	end := strings.TrimRight(strings.ToLower(strings.TrimSpace(h.Endpoint)), "/")
	sum := sha256.Sum256([]byte(end + "\x00" + h.Workspace))
	return filepath.Join(h.Dir, handoverName(h.Workspace)+"-"+hex.EncodeToString(sum[:6])+handoverEnd)
}

// handoverName is what people see of the workspace in a file's name.
func handoverName(workspace string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, workspace)
	return name[:min(len(name), 63)]
}

const handoverEnd = ".json"

// Files is the file.
func (h *Handover) Files() []string { return []string{h.Path()} }

// handed is the form of the file.
type handed struct {
	ID      string     `json:"access_key_id"`
	Secret  string     `json:"secret_access_key"`
	Token   string     `json:"session_token,omitempty"`
	Expires *time.Time `json:"expiration,omitempty"`
	Assumed bool       `json:"expiration_assumed,omitempty"`
	Pasted  time.Time  `json:"pasted"` // by the local clock
}

// Put hands a set over, in place of the one before.
func (h *Handover) Put(s Set) error {
	if !s.HasKeys() {
		return errNoValues
	}
	f := handed{ID: s.AccessKeyID, Secret: s.SecretAccessKey, Token: s.SessionToken, Assumed: s.Assumed, Pasted: time.Now().UTC()}
	if s.CanExpire {
		end := s.Expires.UTC()
		f.Expires = &end
	}
	text, err := json.Marshal(f) //nolint:gosec // the file is there to hold it
	if err != nil {
		return errStored // a year beyond 9999
	}
	return writePrivate(h.Path(), append(text, '\n'))
}

// ErrNothingPasted says that there is no hand-over.
var ErrNothingPasted error = absent("nothing was pasted")

// Retrieve reads what was pasted last, and deletes it once it has expired.
func (h *Handover) Retrieve(context.Context) (aws.Credentials, error) {
	f, err := readHanded(h.Path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return aws.Credentials{}, ErrNothingPasted
	case err != nil:
		return aws.Credentials{}, err
	}
	now, server := time.Now(), false
	if h.Now != nil {
		now, server = h.Now()
	}
	if f.over(now, server) {
		if err := f.remove(h.Path()); err != nil {
			return aws.Credentials{}, err
		}
		return aws.Credentials{}, fmt.Errorf("what was pasted expired at %s", f.Expires.Format(time.RFC3339))
	}
	c := aws.Credentials{AccessKeyID: f.ID, SecretAccessKey: f.Secret, SessionToken: f.Token, Source: h.String()}
	if f.Expires != nil {
		c.CanExpire, c.Expires = true, *f.Expires
	}
	return c, nil
}

// RemoveHandovers takes back what was pasted for a workspace, whatever the
// endpoint, and returns how many sets that were.
func RemoveHandovers(dir, workspace string) (int, error) {
	ours := regexp.MustCompile("^" + regexp.QuoteMeta(handoverName(workspace)) + "-[0-9a-f]{12}" + regexp.QuoteMeta(handoverEnd) + "$")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fileError(dir, err)
	}
	n := 0
	for _, e := range entries {
		if !ours.MatchString(e.Name()) {
			continue
		}
		if err := removeFile(filepath.Join(dir, e.Name())); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// SweepHandovers deletes what has expired of all workspaces, and what a crash
// left half-written.
func SweepHandovers(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), handoverEnd+".") {
			if fi, err := e.Info(); err == nil && time.Since(fi.ModTime()) > distrusted {
				_ = os.Remove(path)
			}
			continue
		}
		if !strings.HasSuffix(e.Name(), handoverEnd) {
			continue
		}
		if f, err := readHanded(path); err == nil && f.over(time.Now(), false) {
			_ = f.remove(path)
		}
	}
}

func readHanded(path string) (handed, error) {
	text, err := readPrivate(path, longestText)
	if err != nil {
		return handed{}, err
	}
	var f handed
	// The decoder's own error would quote the text.
	if err := json.Unmarshal(text, &f); err != nil || damage(f.ID+f.Secret+f.Token) != "" || f.ID == "" || f.Secret == "" {
		return handed{}, fileError(path, errStored)
	}
	return f, nil
}

func (f *handed) over(now time.Time, server bool) bool {
	if f.Expires == nil || now.Before(*f.Expires) {
		return false
	}
	return server || !time.Now().Before(f.Pasted.Add(distrusted))
}

// remove deletes the file unless another paste has come into its place.
func (f *handed) remove(path string) error {
	now, err := readHanded(path)
	if err != nil || now.ID != f.ID || now.Token != f.Token || !now.Pasted.Equal(f.Pasted) {
		return nil //nolint:nilerr // gone, or not the file that was read: nothing of ours to delete
	}
	return removeFile(path)
}

var _ Source = (*Handover)(nil)
