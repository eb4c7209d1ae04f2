package s3store

import (
	"testing"

	"agent/transfer"
)

func TestMTimeText(t *testing.T) {
	for ns, want := range map[int64]string{
		0:                    "0",
		1354040105123456789:  "1354040105.123456789",
		1354040105120000000:  "1354040105.12",
		1354040105000000000:  "1354040105",
		5:                    "0.000000005",
		-1500000000:          "-1.5",
		-5:                   "-0.000000005",
		-9223372036854775808: "-9223372036.854775808",
	} {
		if got := mtimeText(ns); got != want {
			t.Errorf("%d is %q, want %q", ns, got, want)
		}
	}
	if m := metadata(&transfer.Item{Key: "dir/.s3keep"}); m != nil {
		t.Errorf("a marker has %v", m)
	}
}

// What is written is read back to the nanosecond.
func FuzzMTime(f *testing.F) {
	f.Add(int64(1354040105123456789))
	f.Add(int64(-1))
	f.Fuzz(func(t *testing.T, ns int64) {
		m := metadata(&transfer.Item{Path: "/f", Stat: transfer.Stat{MTime: ns}})
		if got := fileTime(m).UnixNano(); got != ns {
			t.Errorf("%d became %d by %q", ns, got, m[metaMTime])
		}
	})
}
