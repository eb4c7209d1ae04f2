package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

func randomBytes(n int) []byte {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(data)
	return data
}

func TestRoundTrip(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			var args []string
			if scheme == "https" {
				args = []string{"--tls"}
			}
			s := start(t, args...)
			if !strings.HasPrefix(s.env["AWS_ENDPOINT_URL"], scheme+"://127.0.0.1:") {
				t.Fatalf("endpoint is %s", s.env["AWS_ENDPOINT_URL"])
			}
			c := s.client(s.token())
			data := randomBytes(3<<20 + 17)
			must(t, put(t.Context(), c, workspace+"/a/b c+é", data))
			got, err := get(t.Context(), c, workspace+"/a/b c+é")
			must(t, err)
			if !bytes.Equal(got, data) {
				t.Error("other bytes came back")
			}
			list, err := c.ListObjectsV2(bucket, workspace+"/", "", "", "", 1000)
			must(t, err)
			if len(list.Contents) != 1 || list.Contents[0].Size != int64(len(data)) {
				t.Errorf("listing: %+v", list.Contents)
			}
		})
	}
}

func TestExpiredToken(t *testing.T) {
	s := start(t, "--token-life", "1500ms")
	token := s.mint()
	c := s.client(token)
	must(t, put(t.Context(), c, workspace+"/in-time", []byte("x")))
	awaitExpiry(t, token)
	wantError(t, put(t.Context(), c, workspace+"/late", []byte("x")), http.StatusBadRequest, "ExpiredToken")
	if e := s.last("PutObject"); e.Code != "ExpiredToken" || e.Access != token.AccessKeyID {
		t.Errorf("logged as %+v", e)
	}
	must(t, put(t.Context(), s.client(s.mint()), workspace+"/late", []byte("x")))
}

func TestBadCredentials(t *testing.T) {
	s := start(t)
	good, other := s.mint(), s.mint()
	if len(good.SessionToken) < 1100 || !strings.HasPrefix(good.AccessKeyID, "ASIA") || len(good.AccessKeyID) != 20 {
		t.Errorf("unlike AWS: key %s, token of %d characters", good.AccessKeyID, len(good.SessionToken))
	}
	cases := []struct {
		name   string
		change func(*credentials)
		status int
		code   string
	}{
		{"garbled token", func(c *credentials) { c.SessionToken = "x" + c.SessionToken[1:] }, 400, "InvalidToken"},
		{"cut token", func(c *credentials) { c.SessionToken = c.SessionToken[:400] }, 400, "InvalidToken"},
		{"token of another key", func(c *credentials) { c.SessionToken = other.SessionToken }, 400, "InvalidToken"},
		{"no token", func(c *credentials) { c.SessionToken = "" }, 403, "InvalidAccessKeyId"},
		{"unknown key", func(c *credentials) { c.AccessKeyID = "ASIAAAAAAAAAAAAAAAAA" }, 403, "InvalidAccessKeyId"},
		{"wrong secret", func(c *credentials) { c.SecretAccessKey = other.SecretAccessKey }, 403, "SignatureDoesNotMatch"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := good
			tc.change(&c)
			wantError(t, put(t.Context(), s.client(c), workspace+"/k", []byte("x")), tc.status, tc.code)
		})
	}
}

func TestPlatformRole(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c, root := s.client(s.token()), s.client(s.rootCredentials())
	key := workspace + "/k"
	id, err := c.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{})
	must(t, err)
	part, err := c.PutObjectPart(ctx, bucket, key, id, 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{})
	must(t, err)
	_, err = root.ListObjectParts(ctx, bucket, key, id, 0, 10)
	must(t, err)
	must(t, put(ctx, root, "other-workspace/k", []byte("x")))

	denied := map[string]func() error{
		"ListParts":            func() error { _, err := c.ListObjectParts(ctx, bucket, key, id, 0, 10); return err },
		"ListMultipartUploads": func() error { _, err := c.ListMultipartUploads(ctx, bucket, key, "", "", "", 10); return err },
		"AbortMultipartUpload": func() error { return c.AbortMultipartUpload(ctx, bucket, key, id) },
		"ListBuckets":          func() error { _, err := c.ListBuckets(ctx); return err },
		"HeadBucket":           func() error { _, err := c.BucketExists(ctx, bucket); return err },
		"GetBucketVersioning":  func() error { _, err := c.GetBucketVersioning(ctx, bucket); return err },
		"GetObjectAcl":         func() error { _, err := c.GetObjectACL(ctx, bucket, key); return err },
		"GetObjectTagging": func() error {
			_, err := c.GetObjectTagging(ctx, bucket, key, minio.GetObjectTaggingOptions{})
			return err
		},
		"list all":       func() error { _, err := c.ListObjectsV2(bucket, "", "", "", "", 10); return err },
		"list elsewhere": func() error { _, err := c.ListObjectsV2(bucket, "other-workspace/", "", "", "", 10); return err },
		"put elsewhere":  func() error { return put(ctx, c, "other-workspace/k", []byte("x")) },
		"put beside":     func() error { return put(ctx, c, workspace+"2/k", []byte("x")) },
		"get elsewhere":  func() error { _, err := get(ctx, c, "other-workspace/k"); return err },
		"put with tags": func() error {
			_, err := c.PutObject(ctx, bucket, key, strings.NewReader("x"), 1, "", "", minio.PutObjectOptions{UserTags: map[string]string{"a": "b"}})
			return err
		},
		"put with an ACL": func() error {
			_, err := c.PutObject(ctx, bucket, key, strings.NewReader("x"), 1, "", "", minio.PutObjectOptions{UserMetadata: map[string]string{"x-amz-acl": "private"}})
			return err
		},
		"get missing": func() error { _, err := get(ctx, c, workspace+"/missing"); return err },
		"head missing": func() error {
			_, err := c.StatObject(ctx, bucket, workspace+"/missing", minio.StatObjectOptions{})
			return err
		},
	}
	for name, call := range denied {
		t.Run(name, func(t *testing.T) { wantError(t, call(), http.StatusForbidden, "AccessDenied") })
	}

	for _, query := range []string{"?location", "?acl", "?uploads"} {
		if _, body := s.send(s.signed(http.MethodGet, "", query, nil, s.token(), time.Now())); !strings.Contains(body, "<Code>AccessDenied<") {
			t.Errorf("GET %s: %s", query, body)
		}
	}

	_, err = c.CompleteMultipartUpload(ctx, bucket, key, id, []minio.CompletePart{{PartNumber: 1, ETag: part.ETag}}, minio.PutObjectOptions{})
	must(t, err)
	_, err = c.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
	must(t, err)
	_, err = c.ListObjects(bucket, workspace, "", "", 10)
	must(t, err)
	must(t, c.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}))
}

func TestFullRole(t *testing.T) {
	s := start(t, "--role", "full")
	ctx := t.Context()
	c := s.client(s.token())
	id, err := c.NewMultipartUpload(ctx, bucket, "anywhere/k", minio.PutObjectOptions{})
	must(t, err)
	_, err = c.ListObjectParts(ctx, bucket, "anywhere/k", id, 0, 10)
	must(t, err)
	must(t, c.AbortMultipartUpload(ctx, bucket, "anywhere/k", id))
	if ok, err := c.BucketExists(ctx, bucket); err != nil || !ok {
		t.Errorf("HeadBucket: %v %v", ok, err)
	}
	_, err = get(ctx, c, "anywhere/missing")
	wantError(t, err, http.StatusNotFound, "NoSuchKey")
}

func TestRate(t *testing.T) {
	s := start(t, "--rate", "4MiB")
	data := randomBytes(4 << 20)
	begin := time.Now()
	must(t, put(t.Context(), s.client(s.token()), workspace+"/slow", data))
	if took := time.Since(begin); took < 800*time.Millisecond {
		t.Errorf("4 MiB at 4 MiB/s took only %v", took)
	}
}

func TestRequestLog(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	token := s.mint()
	c := s.client(token)
	key := workspace + "/dir/a&b"
	begin := time.Now()
	id, err := c.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{})
	must(t, err)
	_, err = c.PutObjectPart(ctx, bucket, key, id, 7, strings.NewReader("seven"), 5, minio.PutObjectPartOptions{})
	must(t, err)
	end := time.Now()
	e := s.last("UploadPart") // already there: the line is written before the answer leaves
	if e.Key != key || e.Upload != id || e.Part != 7 || e.Length != 5 || e.Bytes < 5 || e.Status != 200 || e.Access != token.AccessKeyID || e.Method != http.MethodPut {
		t.Errorf("logged as %+v", e)
	}
	if e.Start.Before(begin) || e.Time.Before(e.Start) || end.Before(e.Time) {
		t.Errorf("times out of order: %v %v", e.Start, e.Time)
	}
	if e := s.last("MintToken"); e.Status != 200 || e.Access != token.AccessKeyID {
		t.Errorf("logged as %+v", e)
	}
	raw, err := os.ReadFile(s.log)
	must(t, err)
	for _, secret := range []string{token.SessionToken[:40], token.SecretAccessKey, s.env["AGENT_SANDBOX_API_KEY"], "Signature"} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Error("a secret is in the request log")
		}
	}
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s := startIn(t, dir, "--tls", "--role", "full")
	ctx := t.Context()
	token := s.token()
	c := s.client(token)
	key := workspace + "/big"
	must(t, put(ctx, c, workspace+"/kept", []byte("kept")))
	id, err := c.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{})
	must(t, err)
	part, err := c.PutObjectPart(ctx, bucket, key, id, 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{})
	must(t, err)
	s.kill()

	again := startIn(t, dir, "--tls", "--role", "full", "--port", s.port())
	if again.env["AGENT_SANDBOX_API_KEY"] != s.env["AGENT_SANDBOX_API_KEY"] {
		t.Error("the API key changed")
	}
	// The same client, certificate authority and token go on.
	got, err := get(ctx, c, workspace+"/kept")
	must(t, err)
	if string(got) != "kept" {
		t.Errorf("got %q", got)
	}
	parts, err := c.ListObjectParts(ctx, bucket, key, id, 0, 10)
	must(t, err)
	if len(parts.ObjectParts) != 1 || strings.Trim(parts.ObjectParts[0].ETag, `"`) != part.ETag {
		t.Errorf("parts: %+v", parts.ObjectParts)
	}
	_, err = c.CompleteMultipartUpload(ctx, bucket, key, id, []minio.CompletePart{{PartNumber: 1, ETag: part.ETag}}, minio.PutObjectOptions{})
	must(t, err)
}

func TestTokenCommand(t *testing.T) {
	envFile := filepath.Join(t.TempDir(), "env")
	s := start(t, "--env-file", envFile, "--api-key", "0123456789abcdef0123456789abcdef")
	info, err := os.Stat(envFile)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("environment file has mode %v", info.Mode())
	}
	raw, err := os.ReadFile(envFile)
	must(t, err)

	cmd := child(t, "token", "--format", "process")
	cmd.Env = append(cmd.Env, strings.Fields(string(raw))...)
	out, err := cmd.Output()
	must(t, err)
	var c struct {
		Version                                                int
		AccessKeyId, SecretAccessKey, SessionToken, Expiration string
	}
	must(t, json.Unmarshal(out, &c))
	if c.Version != 1 {
		t.Errorf("version %d", c.Version)
	}
	client := s.client(credentials{AccessKeyID: c.AccessKeyId, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken})
	must(t, put(t.Context(), client, workspace+"/k", []byte("x")))

	err = child(t, "token", "--api", s.env["AGENT_SANDBOX_API"], "--api-key", "wrong", "--workspace", workspace).Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitError {
		t.Errorf("a wrong key: %v", err)
	}
	if out, _ := child(t, "--role", "nobody").CombinedOutput(); !bytes.Contains(out, []byte("--role nobody")) {
		t.Errorf("a wrong role: %s", out)
	}
}
