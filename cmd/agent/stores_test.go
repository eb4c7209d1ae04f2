//go:build long && linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// shop is a store of other people's making, with a bucket of the platform's
// name and a token that they issued.
type shop struct {
	endpoint, region, bucket string
	keys                     []string // AWS_… with a session token
}

const shopRegion, shopWorkspace = "us-east-1", "example-workspace"

// sandboxShop is the local platform as a shop.
func sandboxShop(t *testing.T) *shop {
	r := newRig(t)
	return &shop{r.sb.Endpoint(), r.sb.Env["AWS_REGION"], r.sb.Bucket(), r.token()}
}

// needed finds a program. Where it is missing the test is skipped, but not
// where all must be there.
func needed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return path
}

// minioShop is MinIO; 'make minio' builds bin/stores/minio.
func minioShop(t *testing.T) *shop {
	path := needed(t, "minio")
	at := freePort(t)
	background(t, []string{"HOME=" + t.TempDir(), "MINIO_ROOT_USER=" + shopKey, "MINIO_ROOT_PASSWORD=" + shopSecret}, path,
		"server", "--quiet", "--address", at, "--console-address", freePort(t), t.TempDir())
	return openShop(t, "http://"+at, "arn:minio:iam:::role/any")
}

const shopKey, shopSecret = "shopkeeper", "shopkeeper-secret"

// radosShop is Ceph's object gateway over one object store in memory; Debian's
// packages radosgw, ceph-mon and ceph-osd are all it needs.
func radosShop(t *testing.T) *shop {
	for _, name := range []string{"radosgw", "ceph-mon", "ceph-osd"} {
		needed(t, name)
	}
	dir := t.TempDir()
	for _, name := range []string{"mon", "osd"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const cluster, disk = "8f0a3c1e-5a53-4c9e-9d1b-0d6b7f3c2a11", "0b6d1f52-7b7c-4b57-8d0e-3f0c6f1b9e22"
	mon, at := freePort(t), freePort(t)
	config := filepath.Join(dir, "ceph.conf")
	text := strings.NewReplacer("DIR", dir, "CLUSTER", cluster, "MON", mon, "GATEWAY", at).Replace(radosConfig)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"CEPH_CONF=" + config, "PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	do := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	do("monmaptool", "--create", "--fsid", cluster, "--addv", "a", "[v2:"+mon+"]", filepath.Join(dir, "monmap"))
	do("ceph-mon", "--mkfs", "-i", "a", "--monmap", filepath.Join(dir, "monmap"))
	background(t, env, "ceph-mon", "-i", "a", "-f")
	do("ceph", "osd", "new", disk)
	do("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
	background(t, env, "ceph-osd", "-i", "0", "-f")
	const allow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",%s}]}`
	do("radosgw-admin", "user", "create", "--uid=keeper", "--display-name=keeper", "--access-key="+shopKey, "--secret="+shopSecret)
	do("radosgw-admin", "role", "create", "--role-name=user",
		"--assume-role-policy-doc="+fmt.Sprintf(allow, `"Principal":{"AWS":["arn:aws:iam:::user/keeper"]},"Action":["sts:AssumeRole"]`))
	do("radosgw-admin", "role-policy", "put", "--role-name=user", "--policy-name=all",
		"--policy-doc="+fmt.Sprintf(allow, `"Action":["s3:*"],"Resource":"arn:aws:s3:::*"`))
	background(t, env, "radosgw", "-n", "client.gateway", "-f")
	return openShop(t, "http://"+at, "arn:aws:iam:::role/user")
}

const radosConfig = `[global]
fsid = CLUSTER
mon host = v2:MON
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
mon data = DIR/mon
osd data = DIR/osd
rgw data = DIR
run dir = DIR
admin socket =
pid file =
log file = DIR/$name.log
mon cluster log file = DIR/cluster.log
mon allow pool size one = true
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
rgw frontends = beast endpoint=GATEWAY
rgw s3 auth use sts = true
rgw sts key = sixteen-letters-
`

// openShop waits until a store answers, makes the bucket and takes a token.
func openShop(t *testing.T, endpoint, role string) *shop {
	t.Helper()
	until(t, endpoint, func() bool {
		resp, err := http.Get(endpoint)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	s := &shop{endpoint: endpoint, region: shopRegion, bucket: "workspaces-eodhp"}
	keeper, err := minio.New(strings.TrimPrefix(endpoint, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(shopKey, shopSecret, ""), Region: s.region, BucketLookup: minio.BucketLookupPath})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the bucket", func() bool {
		err = keeper.MakeBucket(context.Background(), s.bucket, minio.MakeBucketOptions{})
		return err == nil
	})
	root := []string{"AWS_ACCESS_KEY_ID=" + shopKey, "AWS_SECRET_ACCESS_KEY=" + shopSecret, "AWS_REGION=" + s.region}
	out := other(t, slices.Concat(cleanEnv(t.TempDir(), ""), root), "/usr/bin/aws", "aws", "--endpoint-url", endpoint, "--output", "text",
		"sts", "assume-role", "--role-arn", role, "--role-session-name", "reader", "--query", "Credentials.[AccessKeyId,SecretAccessKey,SessionToken]")
	token := strings.Fields(out)
	if len(token) != 3 {
		t.Fatalf("no token: %q", out)
	}
	s.keys = []string{"AWS_ACCESS_KEY_ID=" + token[0], "AWS_SECRET_ACCESS_KEY=" + token[1], "AWS_SESSION_TOKEN=" + token[2]}
	return s
}

// background starts a server that ends with the test.
func background(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	var said output
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said.String())
		}
	})
}

// freePort is an address where nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
