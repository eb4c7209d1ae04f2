package main

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// peers are other people's clients, as their users start them. Those that are
// not on PATH do not take part.
var peers = []runner{
	{name: "curl -T, 32 at once", program: "curl", command: curl},
	{name: "rclone", program: "rclone", command: rclone()},
	{name: "rclone, tuned", program: "rclone", command: rclone("--transfers", "32", "--s3-chunk-size", "16Mi", "--s3-upload-concurrency", "8",
		"--s3-disable-checksum", "--s3-no-head", "--s3-no-check-bucket", "--no-traverse", "--ignore-times")},
	{name: "AWS CLI", program: "aws", command: awsCLI},
	{name: "s3cmd", program: "s3cmd", command: s3cmd},
	{name: "s5cmd", program: "s5cmd", command: s5cmd},
	{name: "mc mirror", program: "mc", command: mc},
}

// curl puts each file as one object, however large, and checks nothing.
func curl(t turn) (*exec.Cmd, error) {
	var b strings.Builder
	err := filepath.WalkDir(t.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(t.dir, path)
		if err == nil {
			fmt.Fprintf(&b, "upload-file = %q\nurl = %q\noutput = %q\n", path, t.endpoint+"/bench/"+t.prefix+"/"+filepath.ToSlash(name), os.DevNull)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	config := filepath.Join(t.state, "curl")
	if err := os.WriteFile(config, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	return t.program("curl", "--silent", "--show-error", "--fail", "--cacert", t.server.CA, "--parallel", "--parallel-max", "32", "--config", config), nil
}

func rclone(flags ...string) func(turn) (*exec.Cmd, error) {
	return func(t turn) (*exec.Cmd, error) {
		args := append([]string{"copy", "--config", "", "--quiet", "--ca-cert", t.server.CA}, flags...)
		return t.program("rclone", append(args, t.dir, ":s3,provider=Other,env_auth,endpoint="+quoted(t.endpoint)+":bench/"+t.prefix)...), nil
	}
}

// quoted is a value within rclone's connection string.
func quoted(s string) string { return `"` + s + `"` }

func awsCLI(t turn) (*exec.Cmd, error) {
	return t.program("aws", "--endpoint-url", t.endpoint, "s3", "cp", "--recursive", "--only-show-errors", t.dir, "s3://bench/"+t.prefix), nil
}

func s3cmd(t turn) (*exec.Cmd, error) {
	u, err := url.Parse(t.endpoint)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(t.state, "s3cfg")
	text := fmt.Sprintf("[default]\naccess_key = AKIABENCH\nsecret_key = bench\nhost_base = %s\nhost_bucket = %s\nbucket_location = eu-west-2\nsignature_v2 = False\nuse_https = %t\nca_certs_file = %s\n",
		u.Host, u.Host, u.Scheme == "https", t.server.CA)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return t.program("s3cmd", "-c", config, "--quiet", "--no-progress", "put", "--recursive", t.dir+"/", "s3://bench/"+t.prefix+"/"), nil
}

func s5cmd(t turn) (*exec.Cmd, error) {
	return t.program("s5cmd", "--endpoint-url", t.endpoint, "--log", "error", "cp", t.dir+"/", "s3://bench/"+t.prefix+"/"), nil
}

func mc(t turn) (*exec.Cmd, error) {
	u, err := url.Parse(t.endpoint)
	if err != nil {
		return nil, err
	}
	trusted := filepath.Join(t.state, "certs", "CAs")
	if err := os.MkdirAll(trusted, 0o700); err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(t.server.CA)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(trusted, "sink.pem"), ca, 0o600); err != nil {
		return nil, err
	}
	cmd := t.program("mc", "--config-dir", t.state, "--quiet", "mirror", t.dir, "bench/bench/"+t.prefix)
	u.User = url.UserPassword("AKIABENCH", "bench")
	cmd.Env = append(cmd.Env, "MC_HOST_bench="+u.String())
	return cmd, nil
}
