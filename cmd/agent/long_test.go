//go:build long && linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLongKillAndResume is TestKillAndResume at the size of a day's work: two
// files of 300 MiB and 3,000 small ones, killed at 20 random instants of the
// 33 s that they take. All that was sent is at most 1.5 times the data.
func TestLongKillAndResume(t *testing.T) {
	files := awkward().with("large/one.tif", 300<<20).with("large/two.tif", 300<<20)
	for i := range 3000 {
		files.with(fmt.Sprintf("small/%04d", i), 1000+i)
	}
	dir := files.write(t)
	r := newRig(t, "-role", "platform", "-rate", "20MB").withToken()
	kills := killing{kills: 20, over: 33 * time.Second}.do(t, r, dir)
	if ratio := checkKills(t, r, files, kills); ratio > 1.5 {
		t.Errorf("sent %.3f times the data, want at most 1.5", ratio)
	}
}

// TestLongTokensRotate is TestTokensRotate with tokens of 5 s under an upload
// of a minute.
func TestLongTokensRotate(t *testing.T) {
	files := tree{}.with("one.tif", 60<<20).with("two.tif", 40<<20)
	for i := range 500 {
		files.with(fmt.Sprintf("small/%03d", i), 10_000)
	}
	r := newRig(t, "-token-life", "5s", "-rate", "1800kB")
	config, err := r.sb.ProcessConfig(r.home)
	if err != nil {
		t.Fatal(err)
	}
	r.env = append(r.env, "AWS_CONFIG_FILE="+config)
	began := time.Now()
	r.upload(0, "--parallel", "2", "--part-size", "5MiB", files.write(t))
	t.Logf("it took %v", time.Since(began))
	r.holds(files)
	rotations(t, r, 10)
}

// TestLongUnreachable proves that an endpoint where nobody listens is given up
// a minute after the start, with 5 and a hint.
func TestLongUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRig(t).withToken()
	began := time.Now()
	e := r.upload(5, "--endpoint", nobody, tree{}.with("a", 1).write(t))
	t.Logf("it gave up after %v\n%s", time.Since(began), e.err)
	if !strings.Contains(e.err, "nothing listens at that address and port") || !strings.Contains(e.err, "could not be reached") {
		t.Errorf("it says\n%s", e.err)
	}
}

// TestLongWitnesses has two more clients that we did not write read back what
// was uploaded.
func TestLongWitnesses(t *testing.T) {
	files := awkward().with("parts.tif", 20<<20).and(tree{"empty": {}})
	for _, name := range []string{"line\nbreak", "cr\rhere"} {
		delete(files, name) // s3cmd asks for another key
	}
	r := newRig(t, "-role", "full").withToken()
	r.upload(0, files.write(t))
	from := "s3://" + r.sb.Bucket() + "/" + r.prefix

	t.Run("awscli", func(t *testing.T) {
		to := t.TempDir()
		other(t, r.env, "/usr/bin/aws", "aws", "--endpoint-url", r.sb.Endpoint(), "s3", "cp", "--no-progress", "--recursive", from, to)
		sameFiles(t, to, files)
	})
	t.Run("s3cmd", func(t *testing.T) {
		to := t.TempDir()
		host := strings.TrimPrefix(r.sb.Endpoint(), "http://")
		config := filepath.Join(r.home, "s3cfg")
		text := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\naccess_token = %s\nhost_base = %s\nhost_bucket = %s\nuse_https = False\nbucket_location = %s\nsignature_v2 = False\n",
			value(r.env, "AWS_ACCESS_KEY_ID"), value(r.env, "AWS_SECRET_ACCESS_KEY"), value(r.env, "AWS_SESSION_TOKEN"), host, host, r.sb.Env["AWS_REGION"])
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		other(t, cleanEnv(r.home, r.state), "/usr/bin/s3cmd", "s3cmd", "-c", config, "--no-progress", "get", "--recursive", from, to+"/")
		sameFiles(t, to, files)
	})
}

// other runs another client. One that is not installed skips the test, but not
// where all of them must be.
func other(t *testing.T, env []string, names ...string) string {
	t.Helper()
	path, err := exec.LookPath(names[0])
	if err != nil {
		path, err = exec.LookPath(names[1])
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(path, names[2:]...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", names[1], err, out)
	}
	return string(out)
}

// sameFiles checks that dir has exactly the files of want.
func sameFiles(t *testing.T, dir string, want tree) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		name, _ := filepath.Rel(dir, path)
		b, err := os.ReadFile(path)
		if string(b) != string(want[filepath.ToSlash(name)]) {
			t.Errorf("%q differs", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n != len(want) {
		t.Errorf("%d files came back, want %d", n, len(want))
	}
}

// TestLongOutlivesTokens is TestOutlivesTokens at its real size: three minutes
// through tokens of ten seconds, for each source, beside one run with a token
// that outlives it. What that costs in time is logged.
func TestLongOutlivesTokens(t *testing.T) {
	const rate, size = "1MB", 180e6
	took := make([]time.Duration, len(outlivings)+1)
	t.Run("all", func(t *testing.T) {
		for i, how := range outlivings {
			t.Run(how.name, func(t *testing.T) {
				t.Parallel()
				took[i] = outlive(t, how, 10*time.Second, rate, size)
			})
		}
		t.Run("one token", func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "-rate", rate).withToken()
			dir := outliveFiles(size).write(t)
			began := time.Now()
			if e := r.startUpload("--parallel", "2", "--part-size", "5MiB", dir).waitFor(10 * patience); e.code != 0 {
				t.Errorf("exit %d\n%s", e.code, e.err)
			}
			took[len(outlivings)] = time.Since(began)
		})
	})
	one := took[len(outlivings)]
	for i, how := range outlivings {
		t.Logf("%-16s %v, %+.2f %% against one long token (%v)", how.name, took[i].Round(time.Millisecond), 100*(took[i].Seconds()/one.Seconds()-1), one.Round(time.Millisecond))
	}
}

// TestLongAsleep proves that a process which stood still for long says so.
func TestLongAsleep(t *testing.T) {
	e := stopFor(t, 10*time.Second, 25*time.Second)
	if !strings.Contains(e.err, "note: this machine, or this program, was asleep for 2") {
		t.Errorf("it does not say that it was asleep:\n%s", e.err)
	}
}

// TestLongOthersUseTheSource proves that other programs get credentials that
// renew themselves from 'creds print': through a profile as the docs have it,
// and through a shell's environment.
func TestLongOthersUseTheSource(t *testing.T) {
	files := tree{}.with("one.tif", 100_000).with("sub/two", 10)
	r := newRig(t, "-token-life", "10s")
	r.login(r.sb.Env["AGENT_SANDBOX_API"])
	r.upload(0, files.write(t))
	config := filepath.Join(r.home, "aws-config")
	text := fmt.Sprintf("[profile my-workspace]\nregion = %s\ncredential_process = %s creds print %s\n", r.sb.Env["AWS_REGION"], built.agent, r.sb.Workspace())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := slices.Concat(r.env, []string{"AWS_CONFIG_FILE=" + config})
	from := "s3://" + r.sb.Bucket() + "/" + r.prefix

	t.Run("awscli", func(t *testing.T) {
		aws := []string{"/usr/bin/aws", "aws", "--profile", "my-workspace", "--endpoint-url", r.sb.Endpoint(), "s3"}
		out := other(t, env, slices.Concat(aws, []string{"ls", "--recursive", from})...)
		if !strings.Contains(out, "one.tif") || !strings.Contains(out, "sub/two") {
			t.Errorf("%s", out)
		}
		to := t.TempDir()
		other(t, env, slices.Concat(aws, []string{"cp", "--no-progress", "--recursive", from, to})...)
		sameFiles(t, to, files)
	})
	t.Run("boto3", func(t *testing.T) {
		program := `import boto3, sys
s3 = boto3.Session(profile_name="my-workspace").client("s3", endpoint_url=sys.argv[1])
for o in s3.list_objects_v2(Bucket=sys.argv[2], Prefix=sys.argv[3])["Contents"]:
    print(o["Key"], len(s3.get_object(Bucket=sys.argv[2], Key=o["Key"])["Body"].read()))`
		out := other(t, env, "/usr/bin/python3", "python3", "-c", program, r.sb.Endpoint(), r.sb.Bucket(), r.prefix)
		if !strings.Contains(out, "one.tif 100000\n") || !strings.Contains(out, "sub/two 10\n") {
			t.Errorf("%s", out)
		}
	})
	t.Run("s3cmd", func(t *testing.T) {
		host := strings.TrimPrefix(r.sb.Endpoint(), "http://")
		to := t.TempDir()
		script := fmt.Sprintf(`set -e
eval "$(%s creds print --format env %s)"
s3cmd="s3cmd --host=%s --host-bucket=%s --no-ssl --region=%s"
$s3cmd ls --recursive %[6]s
$s3cmd --no-progress get --recursive %[6]s %[7]s/`, built.agent, r.sb.Workspace(), host, host, r.sb.Env["AWS_REGION"], from, to)
		out := other(t, r.env, "/bin/sh", "sh", "-c", script)
		if !strings.Contains(out, "one.tif") {
			t.Errorf("%s", out)
		}
		sameFiles(t, to, files)
	})
	// A profile that asks for itself does not do so for ever: the login is next.
	r.env = env
	if e := r.run("creds", "print", "--profile", "my-workspace", r.sb.Workspace()); e.code != 0 || !strings.Contains(e.out, `"Version":1`) {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
}
