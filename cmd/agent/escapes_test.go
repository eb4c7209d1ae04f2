//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"agent/transfer/storetest"
)

// escapes is what a terminal would obey, in all the ways there are to write it:
// as 7-bit and 8-bit sequences, by marks that turn the direction of writing, as
// line ends and bells, and as bytes that are no UTF-8.
const escapes = "\x1b[2J\x1b]0;owned\a\u009b31m\u202e\u2066\x7f\u2028"

// inHeader is what of it Go lets through in an answer's header.
const inHeader = "\u009b31m\u202e\u2066\u2028"

// What a hostile platform gets, and gives.
const (
	hostileAPIKey = "fedcba98765432100123456789abcdef"
	hostileKey    = "secret-of-the-test"
	hostileToken  = "token-of-the-test"
)

// hostile is a store, and a platform, that puts escapes wherever it may say something.
type hostile struct {
	*rig
	refuse bool // it says no to everything, at length
}

func newHostile(t *testing.T, refuse bool) *hostile {
	t.Helper()
	dir := t.TempDir()
	h := &hostile{refuse: refuse, rig: searched(&rig{t: t, home: filepath.Join(dir, "home"), state: filepath.Join(dir, "state"), dest: "ws/data"})}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	if err := os.MkdirAll(h.home, 0o700); err != nil {
		t.Fatal(err)
	}
	h.env = h.given(append(cleanEnv(h.home, h.state), "AWS_ENDPOINT_URL="+srv.URL, "AWS_REGION=eu-west-2",
		"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "AGENT_PLATFORM="+srv.URL+"/api"))
	h.secrets.keep("the API key", hostileAPIKey)
	h.given([]string{"AWS_SECRET_ACCESS_KEY=" + hostileKey, "AWS_SESSION_TOKEN=" + hostileToken})
	return h
}

// keys are of objects below ws/data, in order.
func hostileKeys() []string {
	keys := []string{"a" + escapes, "b\xff\xfe", "c\nd\re\tf", "zarr.json\u009b"}
	slices.Sort(keys)
	return keys
}

func (h *hostile) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	head := w.Header()
	head.Set("X-Amz-Request-Id", "id"+inHeader)
	head.Set("Content-Type", "application/xml")
	if strings.HasPrefix(q.URL.Path, "/api/") {
		h.platform(w, q)
		return
	}
	if h.refuse {
		w.WriteHeader(http.StatusBadRequest)
		said := strings.NewReplacer("\x1b", "", "\a", "").Replace(escapes) // which XML can't carry
		fmt.Fprintf(w, "<Error><Code>Odd%s</Code><Message>no%[1]s</Message></Error>", said)
		return
	}
	head.Set("Etag", `"e`+inHeader+`"`)
	switch storetest.OpOf(q) {
	case "ListObjectsV2":
		h.list(w, q)
	case "HeadObject", "GetObject":
		head.Set("X-Amz-Checksum-Crc64nvme", "sum"+inHeader)
		head.Set("X-Amz-Meta-Mtime", inHeader)
		head.Set("Content-Length", "4")
		head.Set("Content-Range", "bytes 0-3/4")
		if q.Method == http.MethodGet {
			fmt.Fprint(w, "body")
		}
	case "CreateMultipartUpload":
		fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>up\u009b31m\u202e</UploadId></InitiateMultipartUploadResult>")
	case "UploadPart":
		head.Del("Etag")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, "<Error><Code>EntityTooLarge</Code><Message>\u009b2J\u202e</Message></Error>")
	case "PutObject":
	default:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message>\u009b2J\u202e</Message></Error>")
	}
}

func (h *hostile) platform(w http.ResponseWriter, q *http.Request) {
	switch {
	case h.refuse:
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, "no"+escapes)
	case q.Method == http.MethodPost:
		fmt.Fprintf(w, `{"accessKeyId":"ASIAEXAMPLE","secretAccessKey":%q,"sessionToken":%q,"expiration":"2999-01-01T00:00:00Z"}`, hostileKey, hostileToken)
	default:
		fmt.Fprintf(w, `{"stores":[{"object":[{"name":"ws","bucket":"bucket-1","prefix":"ws/%s","host":"h%[1]s","access_point_arn":"a:b:c:eu-west-2%[1]s"}]}]}`,
			`\u202e\u2066\u2028`)
	}
}

func (h *hostile) list(w http.ResponseWriter, q *http.Request) {
	prefix := q.URL.Query().Get("prefix")
	fmt.Fprint(w, "<ListBucketResult><Name>b</Name><EncodingType>url</EncodingType>")
	for _, key := range hostileKeys() {
		key = "ws/data/" + key
		if strings.HasPrefix(key, prefix) {
			fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>4</Size><LastModified>2026-01-02T03:04:05Z</LastModified><ETag>&quot;e\u009b31m\u202e&quot;</ETag></Contents>", url.QueryEscape(key))
		}
	}
	if dir := "ws/data/dir" + escapes + "/"; strings.HasPrefix(dir, prefix) && q.URL.Query().Get("delimiter") != "" {
		fmt.Fprintf(w, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>", url.QueryEscape(dir))
	}
	fmt.Fprint(w, "</ListBucketResult>")
}

// harmless wants text that no terminal obeys.
func harmless(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is not UTF-8: %q", what, text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !strconv.IsPrint(r) }); i >= 0 {
		t.Errorf("%s: %q", what, text[max(0, i-60):min(len(text), i+20)])
	}
}

// harmlessFiles wants that of every text below dir: logs, and what is told of runs.
func harmlessFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "journal.db") {
			return err
		}
		text, err := os.ReadFile(path)
		if n++; err == nil {
			harmless(t, path, string(text))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// tells runs the agent, and wants that it says something, none of it to be obeyed.
func (h *hostile) tells(args ...string) ended {
	h.t.Helper()
	e := h.run(args...)
	mute := e.out+e.err == "" && !slices.Contains(args, "--quiet")
	if e.code == -1 || strings.Contains(e.err, "goroutine ") || mute {
		h.t.Errorf("%q: exit %d\n%s%s", args, e.code, e.out, e.err)
	}
	harmless(h.t, fmt.Sprintf("%.60q, standard output", args), e.out)
	harmless(h.t, fmt.Sprintf("%.60q, standard error", args), e.err)
	return e
}

// hostileFiles is a directory of files with such names.
func hostileFiles(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "src\x1b[31m\u009b")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range hostileKeys() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("body"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "large\u009b"), make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestEscapesGoNowhere proves that no way to show something passes on what a
// terminal would obey, whoever put it there: names of files and keys, ETags,
// checksums, upload ids, error codes and messages, request ids, platform answers.
func TestEscapesGoNowhere(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{false, true} {
		t.Run(fmt.Sprintf("refuse=%v", refuse), func(t *testing.T) {
			t.Parallel()
			h := newHostile(t, refuse)
			dir, at := hostileFiles(t), []string{"--patience", "1s"}
			run := func(args ...string) ended { t.Helper(); return h.tells(args...) }
			for i, how := range [][]string{{"-vv"}, {"-vv", "--json"}, {"--quiet"}, {"--dry-run"}, {"--dry-run", "--json"},
				{"--summary", "stderr", "--status-file", filepath.Join(h.state, "status.json")}, {"--exclude", "b*", "-vv"}} {
				to := fmt.Sprintf("ws/up%d", i)
				run(slices.Concat([]string{"upload"}, at, how, []string{dir, to})...)
				run(slices.Concat([]string{"sync"}, at, how, []string{dir, to + "s"})...)
				run(slices.Concat([]string{"download"}, at, how, []string{"ws/data", filepath.Join(t.TempDir(), "in\u009b")})...)
			}
			for _, args := range [][]string{
				{"verify", dir, "ws/data"}, {"verify", "--json", dir, "ws/data"}, {"verify", "--dry-run", dir, "ws/data"},
				{"ls", "ws/data"}, {"ls", "-l", "ws/data"}, {"ls", "-r", "-l", "--json", "--total", "ws/data"}, {"ls", "--human", "--json", "ws/data"},
				{"rm", "-r", "--dry-run", "ws/data"}, {"rm", "-r", "--yes", "ws/data"},
				{"jobs", "list"}, {"jobs", "list", "--json"}, {"doctor", "ws/data"}, {"doctor", "--json", "ws/data"}, {"doctor", "--probe", "ws/data"},
				{"creds", "show", "ws/data"}, {"creds", "show", "--json", "ws/data"},
				{"__complete", "ls", "ws/data/"}, {"upload" + escapes}, {"ls", "ws/" + escapes}, {"ls", "--" + escapes, "x"},
			} {
				run(args...)
			}
			if refuse {
				run("bench", "--patience", "1s", "ws/data") // else it takes its time
			}
			run("upload", "--patience", "1s", "--status-file", filepath.Join(h.state, "status.prom"), dir, "ws/up0")
			jobs, err := os.ReadDir(filepath.Join(h.state, "jobs"))
			if err != nil || len(jobs) < 5 {
				t.Errorf("%d jobs, %v", len(jobs), err)
			}
			for _, job := range jobs {
				run("jobs", "show", job.Name())
				run("jobs", "show", "--json", job.Name())
				run("jobs", "attach", job.Name())
				run("jobs", "abort", "--patience", "1s", job.Name())
				run("doctor", "--bundle", filepath.Join(t.TempDir(), "b.tar.gz"), "--yes", job.Name())
			}
			if n := harmlessFiles(t, h.state); n < 10 {
				t.Errorf("only %d files were looked at", n)
			}
		})
	}
}

// TestEscapesOfALogin proves it of what a platform says of a workspace, and of
// how it refuses.
func TestEscapesOfALogin(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{false, true} {
		h := newHostile(t, refuse)
		key := filepath.Join(h.home, "key")
		if err := os.WriteFile(key, []byte(hostileAPIKey+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if e := h.tells("login", "ws", "--key-file", key); (e.code == 0) == refuse {
			t.Errorf("refuse=%v: exit %d\n%s", refuse, e.code, e.err)
		}
		h.env = without(h.env, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
		h.tells("creds", "show", "ws")
		h.tells("upload", "--wait-credentials", "1s", "--patience", "1s", "-vv", hostileFiles(t), "ws/x")
		harmlessFiles(t, filepath.Join(h.state, "jobs"))
	}
}

// TestEscapesOnATerminal proves it of the bar, and of a job that is watched: they
// move the cursor themselves, and nobody else does.
func TestEscapesOnATerminal(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{false, true} {
		h := newHostile(t, refuse)
		dir := hostileFiles(t)
		for _, args := range [][]string{
			{"upload", "-v", "--patience", "1s", dir, "ws/data"}, {"download", "-v", "--patience", "1s", "ws/data", filepath.Join(t.TempDir(), "in\u009b")},
			{"ls", "-l", "ws/data"}, {"verify", dir, "ws/data"},
		} {
			s := h.onScreen(h.command(args...))
			e := s.wait()
			harmless(t, fmt.Sprintf("%.60q on a terminal", args), strings.NewReplacer("\r", "", "\a", "").Replace(e.err))
		}
	}
}
