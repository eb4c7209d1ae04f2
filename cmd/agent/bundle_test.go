package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agent/cmd/internal/dest"
	"agent/journal"
	"agent/transfer"
)

func TestHiderHidesNames(t *testing.T) {
	h := newHider(true)
	for _, line := range []string{
		`level=INFO msg=done key=Bob/thesis.tif path="/home/Bob/my thesis.tif"`,
		`msg=start sources="[Bob]" destination=s3://bucket/Bob/thesis endpoint=https://s3.example.org/ state=/home/Bob`,
		`msg="open /home/Bob/my thesis.tif: permission denied"`,
		`key="thesis.tif" upload=abc123`,
		`{"check":"state","text":"/home/Bob/thesis: locks work"}`,
		`dest = "s3://bucket/thesis"`,
		`error: open C:\Users\Bob\thesis.tif failed`,
	} {
		got := string(h.text([]byte(line)))
		if strings.Contains(got, "Bob") || strings.Contains(got, "thesis") {
			t.Errorf("%s\n  shows names: %s", line, got)
		}
	}
	got := string(h.text([]byte(`destination=s3://bucket/Bob/x endpoint=https://s3.example.org upload=abc123 code=AccessDenied key=Bob key=Bob`)))
	for _, kept := range []string{"s3://bucket/#", "https://s3.example.org", "upload=abc123", "AccessDenied"} {
		if !strings.Contains(got, kept) {
			t.Errorf("%s is lost: %s", kept, got)
		}
	}
	// The same name has the same hash, in one bundle only.
	a, b := string(h.text([]byte("key=Bob"))), string(newHider(true).text([]byte("key=Bob")))
	if !strings.Contains(got, a+" "+a) || a == b {
		t.Error(got, a, b)
	}
	var v map[string]string
	if err := json.Unmarshal(h.text([]byte(`{"check":"state","text":"C:\\Users\\Bob and /a/\"b\""}`)), &v); err != nil {
		t.Error(err)
	}
	if got := string(newHider(false).text([]byte("key=Bob"))); got != "key=Bob" {
		t.Error(got)
	}
}

// TestBundleHoldsNoCommands proves that the commands in a configuration file, in which
// there may be secrets, do not go to support, however they are written: nor does any
// value of a file that is not understood.
func TestBundleHoldsNoCommands(t *testing.T) {
	known := append([]string{"region"}, secretFlags...)
	told := func(text string) string {
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(settingsIn(path, known)), path, "FILE")
	}
	for _, secret := range []string{
		`"issue --password hunter2"`, `'issue "hunter2"'`, `"issue \"hunter2\" hunter2"`, `"""issue\
  "hunter2" """`, "'''\nissue hunter2\n'''", `["issue", "hunter2]", 'hunter2"', # it's [1]
  "hunter2"]`, `"""a \""" hunter2"""`,
	} {
		for _, key := range []string{"credential-process", `"on-wait"`, `"on\u002dwait"`} {
			got := told("region = \"r\"\n[destination.de]\n" + key + " = " + secret + "\ndest = \"w/d\"\nregion = \"q\"\n")
			name := strings.Trim(strings.ReplaceAll(key, `\u002d`, "-"), `"`)
			if want := "region = [\"r\"]\n\n[destination.de]\ndest = \"w/d\"\n" + name + " = [\"[redacted]\"]\nregion = [\"q\"]\n"; got != want {
				t.Errorf("%s = %s\ngoes to support as\n%s", key, secret, got)
			}
		}
	}
	for _, broken := range []string{
		`credential_process = "issue --password hunter2"`, `Credential-Process = "hunter2"`, "on-wait = [\n\"hunter2\"", "on-wait =\n\"hunter2\"",
		`on-wait = "issue "hunter2""`, `on-wait = "issue \` + "\n" + ` --password hunter2"`, `on-wait = { hunter2 = "hunter2" }`,
	} {
		if got := told(broken); !strings.HasPrefix(got, "# left out, because it can't be used: FILE") || strings.Contains(got, "hunter2") {
			t.Errorf("%s\nbecomes\n%s", broken, got)
		}
	}
}

func TestWriteBundle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.tar.gz")
	if err := writeBundle(path, []packed{{name: "log", text: []byte("text\n")}}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(z)
	h, err := r.Next()
	if err != nil || h.Name != "agent-bundle/log" {
		t.Fatal(h, err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != "text\n" {
		t.Error(string(text), err)
	}
	if err := writeBundle(filepath.Join(path, "no", "b"), nil); err == nil {
		t.Error("written where nothing can be")
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("first line\nsecond\nthird\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int64]string{100: "first line\nsecond\nthird\n", 15: "second\nthird\n"} {
		if got, err := tail(path, limit); err != nil || string(got) != want {
			t.Errorf("%d: %q, %v", limit, got, err)
		}
	}
}

func TestDoctorJudgesTheClock(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for date, ok := range map[string]bool{
		"Wed, 25 Nov 2026 12:00:00 GMT": true, "Wed, 25 Nov 2026 12:04:00 GMT": true,
		"Wed, 25 Nov 2026 12:06:00 GMT": false, "Wed, 25 Nov 2026 11:00:00 GMT": false,
	} {
		var d doctor
		d.checkClock(date, now)
		if len(d.found) != 1 || d.found[0].OK != ok || ok == (d.found[0].Advice != "") {
			t.Errorf("%s: %+v", date, d.found)
		}
	}
	var d doctor
	if d.checkClock("soon", now); len(d.found) != 0 {
		t.Error(d.found)
	}
}

func TestDoctorFindsOthersOnPath(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(b, "agent"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a, "agent"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := onPath("agent", a+string(os.PathListSeparator)+b); len(got) != 1 || got[0] != filepath.Join(b, "agent") {
		t.Error(got)
	}
}

func TestBundleOfAJob(t *testing.T) {
	state := t.TempDir()
	dir := filepath.Join(state, "jobs", "abc")
	db, err := journal.Open(t.Context(), dir, journal.NewJob("upload", []string{"/data"}, "", "bucket", "ws/x"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Begin(transfer.Upload{Key: "ws/x/big", ID: "upload-1", PartSize: 5 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "log"), []byte("msg=start\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &doctor{name: "agent", o: doctorOptions{connection: connectionOptions{stateDir: state}}}
	texts := func() map[string]string {
		files, err := d.collect(t.Context(), nil, []string{"abc"})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, f := range files {
			all[f.name] = string(f.text)
		}
		return all
	}
	if got := texts(); !strings.HasPrefix(got["uploads.txt"], "not known: ") { // while it runs
		t.Error(got)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := texts(); got["uploads.txt"] != "key=\"ws/x/big\" upload=upload-1\n" || got["log"] != "msg=start\n" {
		t.Error(got)
	}
	var m *dest.Mistake
	if _, err := d.collect(t.Context(), nil, []string{"../abc"}); !errors.As(err, &m) {
		t.Error(err)
	}
}
