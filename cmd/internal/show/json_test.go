package show

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"agent/transfer"
)

var lineTypes = map[string]reflect.Type{
	"start": reflect.TypeFor[startLine](), "found": reflect.TypeFor[foundLine](),
	"progress": reflect.TypeFor[progressLine](), "file": reflect.TypeFor[fileLine](),
	"retry": reflect.TypeFor[retryLine](), "notice": reflect.TypeFor[noticeLine](),
	"waiting": reflect.TypeFor[waitingLine](), "going": reflect.TypeFor[goingLine](),
	"plan": reflect.TypeFor[planLine](), "error": reflect.TypeFor[errorLine](),
	"summary": reflect.TypeFor[summaryLine](),
}

// decode reads a line the strict way: no field may be unknown, and none of
// those that are always there may be missing.
func decode(t *testing.T, line string) any {
	t.Helper()
	var h head
	if err := json.Unmarshal([]byte(line), &h); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if at, err := time.Parse(time.RFC3339, h.Time); err != nil || len(h.Time) != 24 || at.Location() != time.UTC {
		t.Errorf("%s: time %v", line, err)
	}
	typ, ok := lineTypes[h.Type]
	if !ok {
		t.Fatalf("%s: unknown type", line)
	}
	v := reflect.New(typ)
	dec := json.NewDecoder(strings.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v.Interface()); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	var has map[string]any
	if err := json.Unmarshal([]byte(line), &has); err != nil {
		t.Fatal(err)
	}
	for name, optional := range fields(typ) {
		if _, ok := has[name]; !ok && !optional {
			t.Errorf("%s: no %s", line, name)
		}
	}
	return v.Elem().Interface()
}

// fields are the JSON names of a line, and which of them may be missing.
func fields(typ reflect.Type) map[string]bool {
	out := map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = options == "omitempty"
	}
	return out
}

// docs/json.md promises the format: its examples are lines, and every field of
// every line is explained.
func TestTheDocumentIsTrue(t *testing.T) {
	b, err := os.ReadFile("../../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	doc, _, _ := strings.Cut(string(b), "\n# Lines of agent bench\n") // those are not of this package
	_, doc, _ = strings.Cut(doc, "\n## ")
	shown := map[string]bool{}
	counted := ""
	for _, section := range strings.Split(doc, "\n## ") {
		name, text, _ := strings.Cut(section, "\n")
		typ, ok := lineTypes[name]
		if !ok {
			t.Errorf("%q is no type", name)
			continue
		}
		for _, line := range strings.Split(text, "\n") {
			if !strings.HasPrefix(line, "{") {
				continue
			}
			v := decode(t, line)
			if reflect.TypeOf(v) != typ {
				t.Errorf("an example of another type under %s", name)
			}
			shown[name] = true
		}
		if name == "progress" {
			counted = text
		}
		if name == "summary" {
			text += counted
		}
		for f := range fields(typ) {
			if f != "type" && f != "time" && !strings.Contains(text, "`"+f+"`") {
				t.Errorf("%s: %s is not explained", name, f)
			}
		}
	}
	for name := range lineTypes {
		if !shown[name] {
			t.Errorf("%s has no example", name)
		}
	}
}

func lines(t *testing.T, s string) (out []any) {
	t.Helper()
	for line := range strings.Lines(s) {
		if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !clean(string(r)) }); i >= 0 {
			t.Errorf("a raw %q in %q", line[i], line)
		}
		out = append(out, decode(t, line))
	}
	return out
}

func TestJSONLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: JSON, DryRun: true,
			Credentials: life(Credentials{Left: 42 * time.Minute, Refresh: 32*time.Minute + 500*time.Microsecond}),
			Explain:     func(err error) (string, string) { return err.Error(), "a hint" },
			Redact:      func(s string) string { return strings.ReplaceAll(s, "SECRET", "…") }})
		r.Start(Start{Job: "j", Command: "upload", Sources: []string{"/a", "/\xff"}, Destination: "s3://b/<&>", Version: "1"})
		bad := "/d/caf\xe9\x1b\u202e\u009b\x7f\U000e0001"
		r.events(
			transfer.Event{Kind: transfer.Found, Key: "k", Bytes: 10},
			transfer.Event{Kind: transfer.Planned, Key: "k", Path: "/d/k", Bytes: 10, Action: transfer.Put, Text: "new"},
			transfer.Event{Kind: transfer.There, Key: "t", Bytes: 2, Text: "journal"},
			transfer.Event{Kind: transfer.Ignored, Path: "/d/l", Text: "symbolic link"},
			transfer.Event{Kind: transfer.Retry, Key: "k", Wait: 1234567 * time.Microsecond, Err: errors.New("slow SECRET")},
			transfer.Event{Kind: transfer.Notice, Text: "hm SECRET"},
			transfer.Event{Kind: transfer.Moved, Key: "k", Bytes: 10},
			transfer.Event{Kind: transfer.Done, Key: "k", Path: "/d/k", Bytes: 10},
			transfer.Event{Kind: transfer.Failed, Path: bad, Bytes: 7, Err: errors.New("no SECRET")},
			transfer.Event{Kind: transfer.Scanned},
			transfer.Event{Kind: transfer.Waiting, Text: "credentials: SECRET", Hint: "type in another SECRET\u202e"})
		r.Say("for people")
		wait(2 * time.Second)
		r.events(transfer.Event{Kind: transfer.Going})
		r.Error("over SECRET", "")
		if err := r.Finish(4); err != nil {
			t.Error(err)
		}
		check(t, "standard error", r.err.String(), "")
		got := lines(t, r.out.String())
		var types []string
		for _, l := range got {
			types = append(types, reflect.TypeOf(l).Name())
		}
		check(t, "types", strings.Join(types, " "), "startLine planLine fileLine fileLine retryLine noticeLine fileLine fileLine "+
			"waitingLine foundLine progressLine goingLine errorLine summaryLine")
		if n := strings.Count(r.out.String(), "SECRET"); n != 1 { // the hint's, which is our own word
			t.Error(n, "secrets", r.out.String())
		}
		if w := got[8].(waitingLine); w.For != "credentials: …" || w.Hint != "type in another SECRET\u202e" {
			t.Errorf("%+v", w)
		}
		if s := got[0].(startLine); string(s.SourcesBytes[1]) != "/\xff" || string(s.SourcesBytes[0]) != "/a" || s.Destination != "s3://b/<&>" || !s.DryRun {
			t.Errorf("%+v", s)
		}
		if f := got[7].(fileLine); f.State != "failed" || string(f.PathBytes) != bad || !utf8.ValidString(f.Path) || f.Hint != "a hint" ||
			f.Path != strings.ToValidUTF8(bad, "\ufffd") {
			t.Errorf("%+v", f)
		}
		if w := got[4].(retryLine); w.Wait != 1.235 {
			t.Errorf("%+v", w)
		}
		if p := got[10].(progressLine); *p.Token != 2520 || p.Refresh != 1920.001 || p.Tokens != 0 || p.Waiting != "credentials: …" || p.BytesDone != 12 || p.Left != nil {
			t.Errorf("%+v", p)
		}
		if g := got[11].(goingLine); g.Waited != 2 {
			t.Errorf("%+v", g)
		}
		if s := got[13].(summaryLine); s.Exit != 4 || s.Elapsed != 2 || s.Ignored["symbolic link"] != 1 || s.PerSecond != 5 {
			t.Errorf("%+v", s)
		}
	})
}

func TestJSONProgressComesByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Mode: JSON})
		wait(2*time.Second + 2*10*time.Second + frame)
		r.Close()
		if n := bytes.Count([]byte(r.out.String()), []byte(`"type":"progress"`)); n != 3 {
			t.Errorf("%d lines", n)
		}
	})
}

func FuzzJSONLine(f *testing.F) {
	f.Add("k", "/p", "text")
	f.Add("\x1b", "\xff\u202e", "\u009b\x7f\U000e0001\u2028")
	f.Fuzz(func(t *testing.T, key, path, text string) {
		var out stream
		o := Options{Mode: JSON}
		o.fill()
		v := &jsonView{o: &o, out: &out}
		v.event(clock(0), transfer.Event{Kind: transfer.Failed, Key: key, Path: path, Text: text, Err: errors.New(text)})
		l := lines(t, out.String())
		if len(l) != 1 {
			t.Fatalf("%d lines", len(l))
		}
		got := l[0].(fileLine)
		if want := path; got.PathBytes == nil && got.Path != want || got.PathBytes != nil && string(got.PathBytes) != want {
			t.Errorf("%q became %+v", path, got)
		}
	})
}
