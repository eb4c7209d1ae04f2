package transfer

import (
	"testing"
	"time"
)

func TestUnsettled(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.UTC)
	ns := at.UnixNano()
	for _, tt := range []struct {
		name string
		st   Stat
		age  time.Duration
		want time.Duration
	}{
		{"just written", Stat{CTime: ns, MTime: ns}, 0, 20 * time.Millisecond},
		{"a tick ago", Stat{CTime: ns}, 20 * time.Millisecond, 0},
		{"within the tick", Stat{CTime: ns}, 5 * time.Millisecond, 15 * time.Millisecond},
		{"200 MiB take a second to write", Stat{Size: 200 << 20, CTime: ns}, 20 * time.Millisecond, time.Second},
		{"no call writes for longer than that", Stat{Size: 1 << 50, CTime: ns}, 0, 2 * time.Second},
		{"old", Stat{Size: 1 << 50, CTime: ns}, time.Hour, 0},
		{"whole seconds", Stat{CTime: at.Truncate(time.Second).UnixNano()}, time.Second, time.Second - 123_456_789},
		{"no ctime", Stat{MTime: ns}, 0, 20 * time.Millisecond},
		{"a time that was set", Stat{CTime: ns, MTime: 1}, 0, 20 * time.Millisecond},
		{"no times", Stat{}, 0, 0},
		{"another machine's clock is a little ahead", Stat{CTime: ns}, -10 * time.Millisecond, 30 * time.Millisecond},
		{"and by an hour", Stat{CTime: ns}, -time.Hour, 0},
	} {
		if got := unsettled(tt.st, at.Add(tt.age)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestBelowSource(t *testing.T) {
	sources := []Source{{Path: "/a", Dir: true}, {Path: "/a/b", Dir: true}, {Path: "/c/file"}, {Path: "/", Dir: true}}
	for path, want := range map[string][2]string{
		"/a/x": {"/a/", "x"}, "/a/b/x/y": {"/a/b/", "x/y"}, "/ab/x": {"/", "ab/x"},
	} {
		if dir, rel := belowSource(sources, path); dir != want[0] || rel != want[1] {
			t.Errorf("%s: %q, %q", path, dir, rel)
		}
	}
	if dir, _ := belowSource(sources[2:3], "/c/file"); dir != "" {
		t.Errorf("a source that is a file is below %q", dir)
	}
}
