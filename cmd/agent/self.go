package main

import (
	"os"
	"os/exec"
	"path/filepath"
)

// lastingPath is where this program will be found when another version has taken
// its place, for what is written down today and run next year. The name it was
// called by, where that leads to it: of a link that a package manager keeps the end
// is gone after the next upgrade. Else its own path.
func lastingPath(called string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if path, err := exec.LookPath(called); err == nil {
		if path, err = filepath.Abs(path); err == nil && sameFile(path, self) {
			return path, nil
		}
	}
	return self, nil
}
