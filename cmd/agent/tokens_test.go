//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agent/bench/platform"
)

// TestTokensRotate proves that tokens which die in mid-upload cost waiting at
// most: a credential_process is asked again, no file fails, and no part is
// refused twice under the same token. s5cmd#678, aws-cli#4863, azcopy#1984.
func TestTokensRotate(t *testing.T) {
	t.Parallel()
	files := tree{}.with("one.tif", 15<<20).with("two.tif", 11<<20)
	for i := range 60 {
		files.with(fmt.Sprintf("small/%02d", i), 2000)
	}
	r := newRig(t, "-token-life", "2s", "-rate", "2200kB")
	config, err := r.sb.ProcessConfig(r.home)
	if err != nil {
		t.Fatal(err)
	}
	r.env = append(r.env, "AWS_CONFIG_FILE="+config)
	r.upload(0, "--parallel", "2", "--part-size", "5MiB", files.write(t))
	r.holds(files)
	rotations(t, r, 4)
}

// rotations checks that at least so many tokens were used, and that none of
// them was tried again on a part that it had been refused for. It returns how
// many were used.
func rotations(t *testing.T, r *rig, atLeast int) int {
	t.Helper()
	type try struct {
		unit
		op, token string
	}
	tokens, refused := map[string]bool{}, map[try]int{}
	n := 0
	for _, q := range r.requests(0) {
		if q.Status == 200 {
			tokens[q.AccessKey] = true
		}
		if q.Code == "ExpiredToken" {
			n++
			refused[try{unit{q.Key, q.UploadID, q.Part}, q.Op, q.AccessKey}]++
		}
	}
	t.Logf("%d tokens were used, %d requests refused", len(tokens), n)
	if len(tokens) < atLeast {
		t.Errorf("%d tokens were used: too few to prove anything", len(tokens))
	}
	for u, n := range refused {
		if n > 1 {
			t.Errorf("%s of %s part %d was refused %d times under one token", u.op, u.key, u.part, n)
		}
	}
	return len(tokens)
}

// TestTokensInAFile proves that a credentials file is read again when its
// token is refused, and that a time without any live token is waited out.
// aws-cli#4562: fresh keys lay in the file while a 150 GB upload died;
// aws-cli#6709: the file is read once.
func TestTokensInAFile(t *testing.T) {
	t.Parallel()
	files := tree{}.with("one.tif", 20<<20).with("small", 10)
	r := newRig(t, "-token-life", "2s", "-rate", "5MB")
	path := filepath.Join(r.home, "credentials")
	r.env = append(r.env, "AWS_SHARED_CREDENTIALS_FILE="+path)
	writeCredentials(t, path, r.token())

	p := r.startUpload("--parallel", "2", "--part-size", "5MiB", files.write(t))
	p.says("waiting for credentials")
	mark := r.mark()
	for p.running() && len(stored(r.requests(mark), "UploadPart")) < 20 {
		writeCredentials(t, path, r.token())
		m := r.mark()
		until(t, "a refusal or the end", func() bool {
			return !p.running() || refusedSince(r.requests(m))
		})
	}
	if e := p.wait(); e.code != 0 || !strings.Contains(e.err, "going on after") {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	r.holds(files)
	rotations(t, r, 2)
}

func refusedSince(all []platform.Request) bool {
	for _, q := range all {
		if q.Code == "ExpiredToken" {
			return true
		}
	}
	return false
}

// writeCredentials replaces an AWS credentials file with what the lines of an
// environment say.
func writeCredentials(t *testing.T, path string, token []string) {
	t.Helper()
	text := "[default]\n"
	for _, line := range token {
		name, value, _ := strings.Cut(line, "=")
		if name != "AWS_CREDENTIAL_EXPIRATION" {
			text += strings.ToLower(name) + " = " + value + "\n"
		}
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
