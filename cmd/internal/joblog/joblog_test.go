package joblog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"
	"gopkg.in/natefinch/lumberjack.v2"

	"agent/transfer"
)

func TestMain(m *testing.M) {
	// Lumberjack starts one goroutine a file and has no way to end it.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

type refused struct{}

func (refused) Error() string            { return "slow down" }
func (refused) ErrorCode() string        { return "SlowDown" }
func (refused) HTTPStatusCode() int      { return 503 }
func (refused) ServiceRequestID() string { return "4442587FB7D0A2F9" }

func at() time.Time { return time.Date(2026, 11, 23, 20, 8, 46, 123e6, time.FixedZone("", 3600)) }

func open(t *testing.T, o Options) (*Log, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jobs", "job.log")
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, path
}

func content(t *testing.T, l *Log, path string) string {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func play(l *Log) {
	for _, e := range []transfer.Event{
		{Kind: transfer.Started, Key: "p/a", Path: "/d/a", Bytes: 7},
		{Kind: transfer.Moved, Key: "p/a", Bytes: 7},
		{Kind: transfer.Saved, Key: "p/a", Bytes: 3},
		{Kind: transfer.Retry, Key: "p/a", Wait: 1500 * time.Millisecond, Err: fmt.Errorf("UploadPart p/a: %w", refused{})},
		{Kind: transfer.Waiting, Text: "credentials: expired", Hint: "log in again"},
		{Kind: transfer.Waiting, Text: "the store: 503"}, // nobody can tell what would end it
		{Kind: transfer.Going},
		{Kind: transfer.Going}, // nobody was waiting
		{Kind: transfer.Notice, Text: "a symbolic link\nleads out", Path: "/d/ü"},
		{Kind: transfer.Failed, Key: "p/b", Path: "/d/b\x1b", Bytes: 9, Err: errors.New("access denied")},
		{Kind: transfer.Done, Key: "p/a", Bytes: 7},
		{Kind: transfer.There, Key: "p/c", Bytes: 1, Text: "journal"},
		{Kind: transfer.Ignored, Path: "/d/x.tmp", Text: "*.tmp"},
		{Kind: transfer.Planned, Key: "p/d", Action: transfer.Put, Bytes: 2, Text: "new"},
		{Kind: transfer.Scanned},
	} {
		l.Event(e)
	}
}

func TestWhatAnOperatorReads(t *testing.T) {
	l, path := open(t, Options{Now: at})
	play(l)
	want := `T warn retry wait=1.5s key=p/a error="UploadPart p/a: slow down" code=SlowDown status=503 request=4442587FB7D0A2F9
T warn waiting for="credentials: expired" hint="log in again"
T warn waiting for="the store: 503"
T info going waited=0s
T info a symbolic link\nleads out path=/d/ü
T error failed key=p/b path="/d/b\x1b" bytes=9 error="access denied"
T info scan ended
`
	want = strings.ReplaceAll(want, "T ", "2026-11-23T19:08:46.123Z ")
	if got := content(t, l, path); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestSingleItemsOnlyWhenVerbose(t *testing.T) {
	l, path := open(t, Options{Now: at, Verbose: true})
	play(l)
	got := content(t, l, path)
	for _, want := range []string{
		"debug started key=p/a path=/d/a bytes=7", "debug resumed key=p/a saved=3", "debug sent key=p/a bytes=7",
		"debug already there key=p/c bytes=1 reason=journal", "debug ignored path=/d/x.tmp reason=*.tmp",
		"debug planned action=put key=p/d bytes=2 reason=new",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestPlantedSecretsAreNotInTheLog(t *testing.T) {
	l, path := open(t, Options{})
	l.Redact(planted)
	l.Redact("line\twith tab")
	l.Error("refused", "error", errors.New("for "+planted+" and line\twith tab"), "url", "http://u:hunter22@h/")
	got := content(t, l, path)
	for _, s := range []string{planted, "with tab", "hunter22"} {
		if strings.Contains(got, s) {
			t.Errorf("%q is in %s", s, got)
		}
	}
}

func TestRotationKeepsThreePrivateFiles(t *testing.T) {
	l, path := open(t, Options{})
	for range 5 {
		l.Info(strings.Repeat("x", 100))
		for len(l.pending()) > 0 { // one more write each round, so that each rotates
			runtime.Gosched()
		}
		if err := l.file.(*lumberjack.Logger).Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	_ = content(t, l, path)
	names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "job*.log"))
	if err != nil || len(names) < 2 {
		t.Fatal(names, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, n := range names {
		info, err := os.Stat(n)
		if errors.Is(err, os.ErrNotExist) {
			continue // lumberjack removes old ones behind our back
		}
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", n, info.Mode(), err)
		}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v %v", info.Mode(), err)
	}
}

func (l *Log) pending() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines
}

func TestAnOpenLogThatOthersCouldReadIsClosedToThem(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has no modes")
	}
	path := filepath.Join(t.TempDir(), "job.log")
	if err := os.WriteFile(path, []byte("old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path, Options{Now: at, Private: true})
	if err != nil {
		t.Fatal(err)
	}
	l.Info("new")
	if got := content(t, l, path); got != "old\n2026-11-23T19:08:46.123Z info new\n" {
		t.Error(got)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Error(info.Mode())
	}
}

// azcopy#221: the disk is full. The job goes on, and the log says so.
func TestADiskThatIsFullStopsNothing(t *testing.T) {
	l, _ := open(t, Options{})
	l.w = l.o.Redactor.Writer(full{})
	for range 3 * queued {
		l.Info("x")
	}
	if err := l.Close(); err == nil {
		t.Error("nobody noticed")
	}
	l.Info("late")
	if err := l.Close(); err == nil {
		t.Error("forgotten")
	}
}

func TestLinesThatWereLostAreCounted(t *testing.T) {
	l, path := open(t, Options{})
	l.mu.Lock()
	l.lost = 7
	l.mu.Unlock()
	l.Info("x")
	if got := content(t, l, path); !strings.HasSuffix(got, "info x lines_lost_before=7\n") {
		t.Error(got)
	}
}

func TestOpenWhereThereIsNoRoom(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "job.log"), Options{}); err == nil {
		t.Error("opened below a file")
	}
}

var lineShape = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [a-z]+ [^\n]*\n$`)

// Whatever an error says, it stays one line and has no control characters.
func FuzzFormat(f *testing.F) {
	f.Add("text", "value")
	f.Add("a\nb", "\x1b[31m\u202e\xff")
	f.Fuzz(func(t *testing.T, text, value string) {
		got := format(at(), "info", text, []any{text, value, "k", value}) + "\n"
		odd := strings.ContainsFunc(got[:len(got)-1], func(r rune) bool { return !strconv.IsPrint(r) })
		if !lineShape.MatchString(got) || odd || !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
	})
}

// TestADeviceIsLeftAsItIs: chmodding or rotating /dev/null would, for root, break
// it for the whole machine.
func TestADeviceIsLeftAsItIs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such devices")
	}
	before, err := os.Stat(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []bool{true, false} {
		l, err := Open(os.DevNull, Options{Private: private})
		if err != nil {
			t.Fatal(err)
		}
		if _, rotates := l.file.(*lumberjack.Logger); rotates {
			t.Error("a device would be rotated")
		}
		l.Info("into the void")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if after, err := os.Stat(os.DevNull); err != nil || after.Mode() != before.Mode() {
		t.Errorf("%v became %v (%v)", before.Mode(), after.Mode(), err)
	}
}

func TestALogThatNobodyKeeps(t *testing.T) {
	l, err := Open("", Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Info("nothing")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
