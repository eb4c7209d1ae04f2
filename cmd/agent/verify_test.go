//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestVerifyFinds proves that verify finds one flipped byte, one missing, one
// extra and one truncated object among 10,000 without fetching anything, by one
// listing and one HEAD an object.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	for role, n := range map[string]int{"platform": 10_000, "full": 300} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			files := tree{}
			for i := range n {
				files.with(fmt.Sprintf("%02d/%05d", i%50, i), 20+i%30)
			}
			dir := files.write(t)
			r := newRig(t, "-role", role).withToken()
			r.upload(0, dir)

			mark := r.mark()
			if e := r.run("verify", dir, r.dest); e.code != 0 || e.out != "" || !strings.Contains(e.err, "the same: ") {
				t.Fatalf("exit %d\n%s%s", e.code, e.out, e.err)
			}
			asked := ops(r.requests(mark))
			if asked["GetObject"] > 0 || asked["HeadObject"] != n || len(asked) != 2 {
				t.Errorf("it made %v", asked)
			}

			flipped := bytes.Clone(files["07/00007"])
			flipped[3] ^= 1
			r.store("07/00007", flipped, minio.PutObjectOptions{AutoChecksum: minio.ChecksumCRC64NVME})
			r.store("08/00108", files["08/00108"][:5], minio.PutObjectOptions{})
			r.store("09/extra", nil, minio.PutObjectOptions{})
			r.remove("10/00110")
			mark = r.mark()
			e := r.run("verify", dir, r.dest)
			if e.code != 3 || strings.Count(e.out, "\n") != 4 {
				t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
			}
			for _, line := range []string{"content      " + dir + "/07/00007", "size         " + dir + "/08/00108", "extra        " + r.prefix + "09/extra", "missing      " + dir + "/10/00110"} {
				if !strings.Contains(e.out, line) {
					t.Errorf("it does not say %q:\n%s", line, e.out)
				}
			}
			if n := ops(r.requests(mark))["GetObject"]; n > 0 {
				t.Errorf("%d objects were fetched", n)
			}

			// And all of them are deleted by a request for each thousand.
			all, err := r.sb.Requests()
			if err != nil {
				t.Fatal(err)
			}
			if e := r.run("rm", "-r", "-y", r.dest); e.code != 0 || len(r.objects()) > 0 {
				t.Errorf("exit %d, %d objects remain\n%s", e.code, len(r.objects()), e.err)
			}
			now, err := r.sb.Requests()
			if err != nil {
				t.Fatal(err)
			}
			if got := ops(now[len(all):]); got["DeleteObjects"] != (n+999)/1000 || got["DeleteObject"] > 0 {
				t.Errorf("it made %v", got)
			}
		})
	}
}

// TestVerifyForeign proves that what other tools have stored can be verified:
// by checksums of their parts, by MD5, and by fetching where that does not do.
func TestVerifyForeign(t *testing.T) {
	t.Parallel()
	files := awkward().with("own", 6<<20).with("sha256", 12<<20).with("crc32", 12<<20).with("md5", 100_000).with("md5-parts", 12<<20)
	dir := files.write(t)
	r := newRig(t).withToken()
	r.upload(0, dir)
	const part = 5 << 20
	r.store("sha256", files["sha256"], minio.PutObjectOptions{PartSize: part, AutoChecksum: minio.ChecksumSHA256})
	r.store("crc32", files["crc32"], minio.PutObjectOptions{PartSize: part, AutoChecksum: minio.ChecksumCRC32})
	r.store("md5", files["md5"], minio.PutObjectOptions{DisableContentSha256: true, SendContentMd5: true})
	r.store("md5-parts", files["md5-parts"], minio.PutObjectOptions{PartSize: part, DisableContentSha256: true, SendContentMd5: true})
	mark := r.mark()
	if e := r.run("verify", dir, r.dest); e.code != 0 || e.out != "" {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
	if n := ops(r.requests(mark))["GetObject"]; n > 0 {
		t.Errorf("%d objects were fetched", n)
	}
	// Parts whose size nobody guesses.
	r.store("md5-parts", files["md5-parts"], minio.PutObjectOptions{PartSize: part + 1000, DisableContentSha256: true, SendContentMd5: true})
	e := r.run("verify", "--download", dir, r.dest)
	if e.code != 0 {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
	// A file that can't be read is no difference of the store.
	if err := os.Remove(filepath.Join(dir, "md5")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("md5", filepath.Join(dir, "md5")); err != nil {
		t.Fatal(err)
	}
	if e := r.run("verify", "--no-extra", dir, r.dest); e.code != 1 || !strings.Contains(e.out, "failed       "+dir+"/md5") {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
}

// TestVerifyFollowsNothing proves that where no links are followed verify reads none
// that takes the place of a file once it was found, though the bytes are the same.
func TestVerifyFollowsNothing(t *testing.T) {
	t.Parallel()
	files := tree{}.with("data", 1000)
	dir := files.write(t)
	r := newRig(t).withToken()
	r.upload(0, dir)
	path, outside := filepath.Join(dir, "data"), filepath.Join(t.TempDir(), "outside")
	var replace sync.Once
	var errs error
	r.through(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == http.MethodHead {
				replace.Do(func() { errs = errors.Join(os.Rename(path, outside), os.Symlink(outside, path)) })
			}
			next.ServeHTTP(w, q)
		})
	})
	e := r.run("verify", "--no-follow-symlinks", dir, r.dest)
	if errs != nil {
		t.Fatal(errs)
	}
	if e.code != 1 || !strings.Contains(e.out, "failed       "+path) || !strings.Contains(e.out, "symbolic link now") {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
	// Who follows links is told that it is the same.
	if e := r.run("verify", dir, r.dest); e.code != 0 || e.out != "" {
		t.Errorf("exit %d\n%s%s", e.code, e.out, e.err)
	}
}

func TestObjectURL(t *testing.T) {
	for _, c := range []struct{ arg, endpoint, bucket, key, want string }{
		{"ws/data", "", "", "ws/data/a b/ü#?.tif", "https://ws.eodatahub-workspaces.org.uk/files/workspaces-eodhp/data/a%20b/%C3%BC%23%3F.tif"},
		{"ws", "https://s3.eu-west-2.amazonaws.com", "workspaces-eodhp-test", "ws/x", "https://ws.eodatahub-workspaces.org.uk/files/workspaces-eodhp-test/x"},
		{"s3://workspaces-eodhp/ws/x", "", "", "ws/x", "https://ws.eodatahub-workspaces.org.uk/files/workspaces-eodhp/x"},
		{"ws/data", "http://127.0.0.1:9000", "", "ws/data/a", ""},
		{"s3://other/ws/x", "", "", "ws/x", ""},
		{"ws/data", "", "other", "ws/data/a", ""},
	} {
		t.Setenv("AGENT_STATE_DIR", t.TempDir())
		t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
		conn, err := connect(t.Context(), connectionOptions{endpoint: c.endpoint, bucket: c.bucket}, c.arg, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.objectURL(c.key); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
		conn.Close()
	}
}
