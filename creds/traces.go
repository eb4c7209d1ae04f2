package creds

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// traces are the names that logins, hand-overs and what is half-written of them
// have.
var traces = regexp.MustCompile(`^([a-z0-9_-]+\.json|\.[a-z0-9_-]+\.json\.[0-9]+|\.modes[0-9]+)$`)

// Traces are the files that logins and hand-overs have left in dir, half-written
// ones too, in the order of their names. No dir is no trace. The error is a
// *FileError.
func Traces(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(dir, err)
	}
	var found []string
	for _, e := range entries {
		if !e.IsDir() && traces.MatchString(e.Name()) {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	return found, nil
}
