package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"agent/bench/sink"
	"agent/transfer/checksum"
)

// crowd is one directory to be sent.
type crowd struct {
	files, perFolder int
}

func (c crowd) String() string {
	if c.perFolder == c.files {
		return fmt.Sprintf("%d, in one directory", c.files)
	}
	return fmt.Sprintf("%d, %d a directory", c.files, c.perFolder)
}

// write makes the files. The last name, of a link that leads nowhere, keeps the
// job from being finished: whatever else is stored.
func (c crowd) write(dir string) error {
	for i := range c.files {
		path := filepath.Join(dir, filepath.FromSlash(c.name(i)))
		if i%c.perFolder == 0 {
			if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
				return err
			}
		}
		if err := os.WriteFile(path, c.body(i), 0o600); err != nil {
			return err
		}
	}
	return os.Symlink("nowhere", filepath.Join(dir, millionLink))
}

// name of a file, below the directory: they are in order.
func (c crowd) name(i int) string { return fmt.Sprintf("%04d/tile-%09d.tif", i/c.perFolder, i) }

func (crowd) body(i int) []byte { return fmt.Appendf(nil, "%0100d", i) }

// stored compares keys and bytes of all that the server has with those of the files.
func (c crowd) stored(ctx context.Context, s *sinkProcess, prefix string) error {
	var want sink.Digest
	for i := range c.files {
		body := c.body(i)
		want.Add(prefix+c.name(i), int64(len(body)), checksum.Sum64(body))
	}
	got, err := s.kept(ctx, http.MethodGet)
	if err == nil && got != want.String() {
		err = fmt.Errorf("the server has other keys, or other bytes, than the files: %s, want %s", got, &want)
	}
	return err
}

const millionLink = "zzz"

// kept makes the server keep what it gets (POST), or tells what it has (GET).
func (s *sinkProcess) kept(ctx context.Context, method string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.serves.HTTP+sink.KeepPath, nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}
