package stores

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// startCeph starts Ceph's object gateway over one object store in memory;
// Debian's packages radosgw, ceph-mon and ceph-osd are all it needs.
func startCeph(ctx context.Context, s *Store, o Options) error {
	for _, name := range []string{"mon", "osd"} {
		if err := os.Mkdir(filepath.Join(o.Dir, name), 0o700); err != nil {
			return err
		}
	}
	mon, err := freePort()
	if err != nil {
		return err
	}
	at, err := freePort()
	if err != nil {
		return err
	}
	config := filepath.Join(o.Dir, "ceph.conf")
	text := strings.NewReplacer("DIR", o.Dir, "CLUSTER", cephCluster, "MON", mon, "GATEWAY", at).Replace(cephConfig)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	s.Endpoint, s.Least, s.Version = "http://"+at, time.Second, cephVersion(ctx)
	s.token = s.assumeRole("arn:aws:iam:::role/user")
	env := []string{"CEPH_CONF=" + config, "HOME=" + o.Dir}
	return s.startCluster(ctx, env, o.Dir, mon)
}

const cephCluster, cephDisk = "8f0a3c1e-5a53-4c9e-9d1b-0d6b7f3c2a11", "0b6d1f52-7b7c-4b57-8d0e-3f0c6f1b9e22"

// startCluster starts monitor, object store and gateway, and makes a user who
// may take tokens.
func (s *Store) startCluster(ctx context.Context, env []string, dir, mon string) error {
	const allow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",%s}]}`
	monmap := filepath.Join(dir, "monmap")
	for _, step := range []struct {
		stays bool
		args  []string
	}{
		{args: []string{"monmaptool", "--create", "--fsid", cephCluster, "--addv", "a", "[v2:" + mon + "]", monmap}},
		{args: []string{"ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap}},
		{stays: true, args: []string{"ceph-mon", "-i", "a", "-f"}},
		{args: []string{"ceph", "osd", "new", cephDisk}},
		{args: []string{"ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", cephDisk}},
		{stays: true, args: []string{"ceph-osd", "-i", "0", "-f"}},
		{args: []string{"radosgw-admin", "user", "create", "--uid=keeper", "--display-name=keeper", "--access-key=" + s.Root.ID, "--secret=" + s.Root.Secret}},
		{args: []string{"radosgw-admin", "role", "create", "--role-name=user",
			"--assume-role-policy-doc=" + fmt.Sprintf(allow, `"Principal":{"AWS":["arn:aws:iam:::user/keeper"]},"Action":["sts:AssumeRole"]`)}},
		{args: []string{"radosgw-admin", "role-policy", "put", "--role-name=user", "--policy-name=all",
			"--policy-doc=" + fmt.Sprintf(allow, `"Action":["s3:*"],"Resource":"arn:aws:s3:::*"`)}},
		{stays: true, args: []string{"radosgw", "-n", "client.gateway", "-f"}},
	} {
		start := do
		if step.stays {
			start = s.run
		}
		if err := start(ctx, env, step.args[0], step.args[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// cephVersion is the release: Debian mends it without that the gateway changes.
func cephVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "radosgw", "--version").Output()
	m := regexp.MustCompile(`version (\d+\.\d+)`).FindSubmatch(out)
	if err != nil || m == nil {
		return ""
	}
	return string(m[1])
}

const cephConfig = `[global]
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
rgw sts min session duration = 1
`
