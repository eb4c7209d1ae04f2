//go:build long && linux

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The platform's help page shows three things in each of three clients: list,
// send a file, send a directory. TestLongPage does all of them with the agent
// beside these clients, in stores of different make: all of them store the same
// objects, and each of them lists and fetches what each has stored.
func TestLongPage(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *shop{
		"sandbox": sandboxShop, "Ceph": radosShop, "MinIO": minioShop,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tryPage(t, open(t))
		})
	}
}

func tryPage(t *testing.T, s *shop) {
	// The empty file goes last, and by a run of its own of aws. A store that needs no
	// body answers without "100 Continue", and Debian's botocore gives the status of that
	// to the next PUT on the connection, too: without headers, so a part has no ETag.
	dataset := tree{"z/empty": {}}.with("a.txt", 10).with("sub/deep/b c.tif", 1000).with("gr\u00f6\u00dfe \u00e9.nc", 2000).
		with("plus+plus", 30).with("100%25", 40).with("parts.tif", 17<<20+5) // of several parts in each client
	files := tree{}.with("scene.tif", 100_000)
	for name, b := range dataset {
		files["dataset/"+name] = b
	}
	dir := files.write(t)
	all := s.clients(t)
	for _, c := range all {
		c.put(t, filepath.Join(dir, "scene.tif"), c.name+"/scene.tif")
		c.putDir(t, filepath.Join(dir, "dataset"), c.name+"/dataset")
	}
	for _, by := range all {
		t.Run(by.name, func(t *testing.T) {
			for _, c := range all {
				if got := sizesIn(t, c.list(t, by.name), by.name); !maps.Equal(got, sizes(files)) {
					t.Errorf("%s lists of what %s has stored\n%v, want\n%v", c.name, by.name, got, sizes(files))
				}
				to := t.TempDir()
				c.get(t, by.name, to)
				sameFiles(t, to, files)
			}
			if e := s.agent(t).run("verify", dir, shopWorkspace+"/"+by.name); e.code != 0 {
				t.Errorf("agent verify of what %s has stored: exit %d\n%s%s", by.name, e.code, e.out, e.err)
			}
		})
	}
}

// sizes are those of the files by name.
func sizes(files tree) map[string]string {
	n := map[string]string{}
	for name, b := range files {
		n[name] = fmt.Sprint(len(b))
	}
	return n
}

// client is one way to do what the page shows. Keys and prefixes are below the
// workspace.
type client struct {
	name   string
	list   func(t *testing.T, prefix string) string
	put    func(t *testing.T, file, key string)
	putDir func(t *testing.T, dir, prefix string)
	get    func(t *testing.T, prefix, dir string)
}

// oneListed is a line of a listing: date, time, size, and the key, which some
// clients lead by the bucket.
var oneListed = regexp.MustCompile(`(?m)^\S+ +\S+ +(\d+) +(?:s3://[^/]+/)?(.+)$`)

// sizesIn are the sizes in a listing by key, which begins with workspace and
// prefix.
func sizesIn(t *testing.T, out, prefix string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, m := range oneListed.FindAllStringSubmatch(out, -1) {
		key, ok := strings.CutPrefix(m[2], shopWorkspace+"/"+prefix+"/")
		if !ok {
			t.Errorf("%q is not below %s", m[2], prefix)
		}
		found[key] = m[1]
	}
	return found
}

// agent is a rig with nothing but the shop's token.
func (s *shop) agent(t *testing.T) *rig {
	t.Helper()
	r := searched(&rig{t: t, home: t.TempDir(), state: t.TempDir()})
	r.env = slices.Concat(cleanEnv(r.home, r.state), r.given(s.keys), []string{"AWS_ENDPOINT_URL=" + s.endpoint, "AWS_REGION=" + s.region})
	return r
}

func (s *shop) clients(t *testing.T) []client {
	return []client{s.withAgent(), s.withAWS(t), s.withS3cmd(t), s.withBoto(t)}
}

func (s *shop) withAgent() client {
	run := func(t *testing.T, args ...string) string {
		t.Helper()
		e := s.agent(t).run(args...)
		if e.code != 0 {
			t.Fatalf("agent %q: exit %d\n%s", args, e.code, e.err)
		}
		return e.out
	}
	return client{
		name: "agent",
		list: func(t *testing.T, prefix string) string { return run(t, "ls", "-r", shopWorkspace+"/"+prefix) },
		put:  func(t *testing.T, file, key string) { run(t, "upload", file, shopWorkspace+"/"+key) },
		putDir: func(t *testing.T, dir, prefix string) {
			run(t, "upload", dir, shopWorkspace+"/"+prefix)
		},
		get: func(t *testing.T, prefix, dir string) { run(t, "download", shopWorkspace+"/"+prefix, dir) },
	}
}

// url is a key or prefix as others want it.
func (s *shop) url(key string) string { return "s3://" + s.bucket + "/" + shopWorkspace + "/" + key }

func (s *shop) withAWS(t *testing.T) client {
	env := s.agent(t).env
	run := func(t *testing.T, args ...string) string {
		t.Helper()
		return other(t, env, append([]string{"/usr/bin/aws", "aws", "--endpoint-url", s.endpoint, "s3"}, args...)...)
	}
	return client{
		name: "aws",
		list: func(t *testing.T, prefix string) string { return run(t, "ls", "--recursive", s.url(prefix)+"/") },
		put:  func(t *testing.T, file, key string) { run(t, "cp", file, s.url(key)) },
		putDir: func(t *testing.T, dir, prefix string) {
			t.Helper()
			run(t, "cp", "--recursive", "--exclude", "*/empty", dir, s.url(prefix))
			run(t, "cp", "--recursive", "--exclude", "*", "--include", "*/empty", dir, s.url(prefix))
		},
		get: func(t *testing.T, prefix, dir string) { run(t, "cp", "--recursive", s.url(prefix), dir) },
	}
}

func (s *shop) withS3cmd(t *testing.T) client {
	r := s.agent(t)
	host := strings.TrimPrefix(s.endpoint, "http://")
	config := filepath.Join(r.home, "s3cfg")
	text := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\naccess_token = %s\nhost_base = %s\nhost_bucket = %s\nuse_https = False\nbucket_location = %s\nsignature_v2 = False\n",
		value(s.keys, "AWS_ACCESS_KEY_ID"), value(s.keys, "AWS_SECRET_ACCESS_KEY"), value(s.keys, "AWS_SESSION_TOKEN"), host, host, s.region)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := cleanEnv(r.home, r.state)
	run := func(t *testing.T, args ...string) string {
		t.Helper()
		return other(t, env, append([]string{"/usr/bin/s3cmd", "s3cmd", "-c", config, "--no-progress"}, args...)...)
	}
	return client{
		name: "s3cmd",
		list: func(t *testing.T, prefix string) string { return run(t, "ls", "--recursive", s.url(prefix)+"/") },
		put:  func(t *testing.T, file, key string) { run(t, "put", file, s.url(key)) },
		putDir: func(t *testing.T, dir, prefix string) {
			run(t, "put", "--recursive", dir+"/", s.url(prefix)+"/")
		},
		get: func(t *testing.T, prefix, dir string) { run(t, "get", "--recursive", s.url(prefix)+"/", dir+"/") },
	}
}

// botoProgram does one of the page's things: which, endpoint, bucket, from, to.
const botoProgram = `import boto3, os, sys
what, endpoint, bucket, source, to = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"], aws_session_token=os.environ["AWS_SESSION_TOKEN"])
if what == "put":
    s3.upload_file(source, bucket, to)
if what == "putdir":
    for folder, _, names in sorted(os.walk(source)):
        for name in names:
            path = os.path.join(folder, name)
            s3.upload_file(path, bucket, to + "/" + os.path.relpath(path, source))
if what in ("list", "get"):
    for o in s3.list_objects_v2(Bucket=bucket, Prefix=source)["Contents"]:
        print(o["LastModified"], o["Size"], o["Key"])
        if what == "get":
            path = os.path.join(to, os.path.relpath(o["Key"], source))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            s3.download_file(bucket, o["Key"], path)
`

func (s *shop) withBoto(t *testing.T) client {
	env := s.agent(t).env
	run := func(t *testing.T, what, from, to string) string {
		t.Helper()
		return other(t, env, "/usr/bin/python3", "python3", "-c", botoProgram, what, s.endpoint, s.bucket, from, to)
	}
	return client{
		name: "boto3",
		list: func(t *testing.T, prefix string) string { return run(t, "list", shopWorkspace+"/"+prefix+"/", "") },
		put:  func(t *testing.T, file, key string) { run(t, "put", file, shopWorkspace+"/"+key) },
		putDir: func(t *testing.T, dir, prefix string) {
			run(t, "putdir", dir, shopWorkspace+"/"+prefix)
		},
		get: func(t *testing.T, prefix, dir string) { run(t, "get", shopWorkspace+"/"+prefix+"/", dir) },
	}
}
