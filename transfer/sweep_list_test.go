package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestSweepOfALostList proves that nothing is deleted where the list of what the store
// has can't be read to its end, at the first reading or at the second, which is for names
// with accents: what is not in the list would all seem to be surplus.
func TestSweepOfALostList(t *testing.T) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cut := func(t *testing.T, l *NameList, by func(size int64) int64) {
		must(t, l.w.Flush())
		fi, err := l.file.Stat()
		must(t, err)
		must(t, l.file.Truncate(by(fi.Size())))
	}
	for name, lose := range map[string]func(t *testing.T, l *NameList){
		"closed":          func(t *testing.T, l *NameList) { must(t, l.Close()) },
		"emptied":         func(t *testing.T, l *NameList) { cut(t, l, func(int64) int64 { return 0 }) },
		"its end is gone": func(t *testing.T, l *NameList) { cut(t, l, func(size int64) int64 { return size - 1 }) },
	} {
		for when, late := range map[string]bool{"at once": false, "late": true} {
			t.Run(name+", "+when, func(t *testing.T) {
				const last, composed, apart = "é", "ü", "u\u0308"
				dir, local, listed := t.TempDir(), []string{"a", "surplus"}, []string{"a", "b"}
				if late {
					local, listed = append(local, apart, last), []string{"a", last, composed}
				}
				for _, n := range local {
					must(t, os.WriteFile(filepath.Join(dir, n), nil, 0o600))
				}
				target, err := OpenTarget(dir, "job")
				must(t, err)
				defer target.Close()
				names, err := NewNameList(t.TempDir())
				must(t, err)
				defer names.Close()
				for _, n := range listed {
					names.add(n, 0)
				}
				o := SweepOptions{Dir: t.TempDir(), Allow: func(int64, int64) bool { return true }, LeaveOut: func(n string) string {
					if late && n == last {
						lose(t, names)
					}
					return ""
				}}
				if !late {
					lose(t, names)
				}
				if _, err := Sweep(t.Context(), target, names, o); !errors.Is(err, ErrLocal) {
					t.Errorf("%v", err)
				}
				for _, n := range local {
					if _, err := os.Lstat(filepath.Join(dir, n)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}
