package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// peers are other people's clients, as their users start them. Those that are
// not on this machine do not take part.
var peers = []runner{curlRunner, rcloneRunner, rcloneTuned, awsRunner, s3cmdRunner, s5cmdRunner, mcRunner, juicefsRunner}

// quick are those that use little enough CPU to be of interest where there is
// very much to be sent. byParts are those of them whose way to send one large file
// does not end at the 5 GiB of a PUT, and takes no more than a minute for 30 GiB.
var (
	quick   = []runner{curlRunner, rcloneTuned, s5cmdRunner, mcRunner, juicefsRunner}
	byParts = []runner{s5cmdRunner, mcRunner, juicefsRunner}
)

var (
	curlRunner   = runner{name: "curl -T, 32 at once", role: byHand, program: "curl", command: curl}
	rcloneRunner = runner{name: "rclone", role: peer, program: "rclone", command: rclone()}
	// Everything its manual offers against requests and sums that can be spared.
	rcloneTuned = runner{name: "rclone, tuned", role: peer, program: "rclone", command: rclone("--transfers", "32", "--s3-chunk-size", "16Mi",
		"--s3-upload-concurrency", "8", "--s3-disable-checksum", "--s3-no-head", "--s3-no-check-bucket", "--no-traverse", "--ignore-times")}
	awsRunner     = runner{name: "AWS CLI", role: peer, program: "aws", command: awsCLI}
	s3cmdRunner   = runner{name: "s3cmd", role: peer, program: "s3cmd", command: s3cmd}
	s5cmdRunner   = runner{name: "s5cmd", role: peer, program: "s5cmd", command: s5cmd}
	mcRunner      = runner{name: "mc mirror", role: peer, program: "mc", command: mc}
	juicefsRunner = runner{name: "juicefs sync", role: peer, program: "juicefs", command: juicefs}
)

// curl puts each file as one object, however large, and checks nothing.
func curl(t turn) (*exec.Cmd, error) {
	var b strings.Builder
	err := filepath.WalkDir(t.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(t.dir, path)
		if err == nil {
			fmt.Fprintf(&b, "upload-file = %q\nurl = %q\noutput = %q\n", path, t.endpoint+"/"+t.bucket+"/"+t.prefix+"/"+filepath.ToSlash(name), os.DevNull)
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
	args := []string{"--silent", "--show-error", "--fail", "--parallel", "--parallel-max", "32",
		"--aws-sigv4", "aws:amz:" + t.region + ":s3", "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "--user", t.access + ":" + t.secret}
	if t.ca != "" {
		args = append(args, "--cacert", t.ca)
	}
	return t.peer("curl", append(args, "--config", config)...), nil
}

func rclone(flags ...string) func(turn) (*exec.Cmd, error) {
	return func(t turn) (*exec.Cmd, error) {
		args := append([]string{"copy", "--config", "", "--quiet"}, flags...)
		if t.ca != "" {
			args = append(args, "--ca-cert", t.ca)
		}
		return t.peer("rclone", append(args, t.dir, ":s3,provider=Other,env_auth,region="+t.region+",endpoint="+quoted(t.endpoint)+":"+t.bucket+"/"+t.prefix)...), nil
	}
}

// quoted is a value within rclone's connection string.
func quoted(s string) string { return `"` + s + `"` }

func awsCLI(t turn) (*exec.Cmd, error) {
	return t.peer("aws", "--endpoint-url", t.endpoint, "s3", "cp", "--recursive", "--only-show-errors", t.dir, "s3://"+t.bucket+"/"+t.prefix), nil
}

func s3cmd(t turn) (*exec.Cmd, error) {
	u, err := url.Parse(t.endpoint)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(t.state, "s3cfg")
	text := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nbucket_location = %s\nsignature_v2 = False\nuse_https = %t\nca_certs_file = %s\n",
		t.access, t.secret, u.Host, u.Host, t.region, u.Scheme == "https", t.ca)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return t.peer("s3cmd", "-c", config, "--quiet", "--no-progress", "put", "--recursive", t.dir+"/", "s3://"+t.bucket+"/"+t.prefix+"/"), nil
}

func s5cmd(t turn) (*exec.Cmd, error) {
	return t.peer("s5cmd", "--endpoint-url", t.endpoint, "--log", "error", "cp", t.dir+"/", "s3://"+t.bucket+"/"+t.prefix+"/"), nil
}

func mc(t turn) (*exec.Cmd, error) {
	if t.ca != "" {
		trusted := filepath.Join(t.state, "certs", "CAs")
		if err := os.MkdirAll(trusted, 0o700); err != nil {
			return nil, err
		}
		if err := os.Symlink(t.ca, filepath.Join(trusted, "sink.pem")); err != nil {
			return nil, err
		}
	}
	// Not by $MC_HOST_bench: it takes the secret in that URL as it stands, undecoded.
	config, err := json.Marshal(map[string]any{"version": "10", "aliases": map[string]any{
		"bench": map[string]string{"url": t.endpoint, "accessKey": t.access, "secretKey": t.secret, "api": "S3v4", "path": "on"},
	}})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(t.state, "config.json"), config, 0o600); err != nil {
		return nil, err
	}
	return t.peer("mc", "--config-dir", t.state, "--quiet", "mirror", t.dir, "bench/"+t.bucket+"/"+t.prefix), nil
}

func juicefs(t turn) (*exec.Cmd, error) {
	u, err := url.Parse(t.endpoint)
	if err != nil {
		return nil, err
	}
	u.Path = "/" + t.bucket + "/" + t.prefix + "/"
	cmd := t.peer("juicefs", "sync", "--quiet", "--threads", "32", t.dir+"/", "minio://"+strings.TrimPrefix(u.String(), "http://"))
	cmd.Env = append(cmd.Env, "ACCESS_KEY="+t.access, "SECRET_KEY="+t.secret, "MINIO_REGION="+t.region)
	if t.ca != "" {
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+t.ca)
	}
	return cmd, nil
}
