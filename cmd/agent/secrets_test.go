//go:build linux

package main

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNoSecretAnywhere proves that neither the secret key nor the session
// token is ever written: not to the streams, not to the log, not into the
// journal, however much is logged and whatever fails, and not even when a
// server repeats them in its answer.
func TestNoSecretAnywhere(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 12<<20).with("small", 10).with("echo", 10)
	dir := files.write(t)
	r := newRig(t).withToken()
	direct := r.env
	r.through(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if !strings.HasSuffix(q.URL.Path, "/echo") {
				next.ServeHTTP(w, q)
				return
			}
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("<Error><Code>SomethingNew</Code><Message>" + q.Header.Get("X-Amz-Security-Token") +
				" " + q.Header.Get("Authorization") + "</Message></Error>"))
		})
	})
	var written []ended
	written = append(written, r.upload(1, "-vv", "--part-size", "5MiB", dir))
	r.env = direct
	for _, args := range [][]string{
		{"-vv", "--json", dir}, {"-vv", "--dry-run", dir}, {"-vv", "--bucket", "no-such-bucket", dir},
	} {
		written = append(written, r.run(append(append([]string{"upload"}, args...), r.dest)...))
	}
	r.env = append(slices.Clip(direct), "AWS_SESSION_TOKEN="+value(direct, "AWS_SESSION_TOKEN")+"x")
	written = append(written, r.run("upload", "-vv", dir, r.dest+"/wrong"))

	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		secret := value(direct, name)
		if len(secret) < 20 {
			t.Fatalf("no %s to look for", name)
		}
		for i, e := range written {
			if strings.Contains(e.out+e.err, secret) {
				t.Errorf("run %d printed %s", i, name)
			}
		}
		nowhere(t, r.state, name, secret)
		nowhere(t, r.home, name, secret)
	}
}

// value is the last one of a name in the lines of an environment.
func value(env []string, name string) (v string) {
	for _, line := range env {
		if n, x, _ := strings.Cut(line, "="); n == name {
			v = x
		}
	}
	return v
}

// nowhere checks that no file below dir has secret in it.
func nowhere(t *testing.T, dir, name, secret string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s holds %s", path, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
