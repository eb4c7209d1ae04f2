package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"agent/cmd/internal/ownfile"
	"agent/transfer"
)

// toolError is what a program of the system answered.
type toolError struct {
	command string
	said    string
	missing bool
	err     error
	advice  string
}

func (e *toolError) Error() string {
	if e.missing {
		return e.command + " is not installed here"
	}
	text := e.command + ": " + e.err.Error()
	if e.said != "" {
		text += ": " + e.said
	}
	return text
}
func (e *toolError) Unwrap() []error { return []error{transfer.ErrLocal, e.err} }
func (e *toolError) hint() string    { return e.advice }

// tool runs a program of the system.
func tool(ctx context.Context, stdin, advice, name string, args ...string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", &toolError{command: name, missing: true, err: err, advice: advice}
	}
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // systemctl, loginctl, crontab
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), &toolError{command: name + " " + strings.Join(args, " "), said: strings.TrimSpace(said.String()), err: err, advice: advice}
	}
	return out.String(), nil
}

func isMissing(err error) bool {
	var e *toolError
	return errors.As(err, &e) && e.missing
}

// replaceFile replaces path, never half.
func replaceFile(path, text string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as systemd makes it
		return fmt.Errorf("%w: %w", transfer.ErrLocal, err)
	}
	f, err := ownfile.Fresh(path+".tmp", mode)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		_ = os.Remove(path + ".tmp")
		return fmt.Errorf("%w: %w", transfer.ErrLocal, err)
	}
	return nil
}
