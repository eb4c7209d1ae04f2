package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"agent/cmd/internal/dest"
)

// stateDir is where jobs are remembered: the flag, the environment, or where
// the system keeps such things.
func stateDir(flag string) (string, error) {
	dir := flag
	if dir == "" {
		dir = os.Getenv(variable("STATE_DIR"))
	}
	if dir == "" {
		var err error
		if dir, err = systemState(); err != nil {
			return "", &dest.Mistake{Msg: "there is no place to remember jobs: " + err.Error(),
				Hint: "name one: --state-dir DIR, or " + variable("STATE_DIR")}
		}
	}
	return filepath.Abs(dir)
}

func systemState() (string, error) {
	if runtime.GOOS == "windows" {
		if dir := os.Getenv("LOCALAPPDATA"); dir != "" {
			return filepath.Join(dir, program), nil
		}
		return "", errors.New("LOCALAPPDATA is not set")
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, program), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", program), nil
	}
	return filepath.Join(home, ".local", "state", program), nil
}
