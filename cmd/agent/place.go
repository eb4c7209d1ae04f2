package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/ownfile"
	"agent/transfer"
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
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, trusted(dir)
}

// kept are the folders of the state in which something is believed: commands
// that are run again, keys, credentials.
var kept = []string{"jobs", "logins", "creds", "schedules", "cache"}

// trusted reports what is wrong with a state folder that somebody else made, or
// can write to.
func trusted(dir string) error {
	err := ownfile.Home(dir)
	for _, name := range kept {
		if err == nil {
			err = ownfile.Inner(filepath.Join(dir, name))
		}
	}
	var at *os.PathError
	if errors.As(err, &at) {
		return &distrusted{path: at.Path, err: at.Err}
	}
	return err
}

// distrusted is a folder of the state that is not ours alone.
type distrusted struct {
	path string
	err  error
}

func (e *distrusted) Error() string   { return e.path + " " + e.err.Error() }
func (e *distrusted) Unwrap() []error { return []error{transfer.ErrLocal, e.err} }

func (e *distrusted) hint() string {
	if errors.Is(e.err, ownfile.ErrOpen) {
		return "look at what is in it; if it is all yours: chmod 700 " + shellWord(e.path)
	}
	return "choose a folder of your own (--state-dir DIR, or " + variable("STATE_DIR") + "), or run as the one who owns it"
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
