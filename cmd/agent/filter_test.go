package main

import (
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour, "1.5d": 36 * time.Hour, "2w": 14 * 24 * time.Hour, "0": 0, "0s": 0, "0d": 0,
	} {
		var a age
		if err := a.Set(text); err != nil || a.d != want || a.String() != text {
			t.Errorf("%q is %v, %v", text, a.d, err)
		}
	}
	for _, text := range []string{"", "d", "5", "-5m", "-1d", "soon", "1e9d", "nand", "infw", "1dd"} {
		var a age
		if err := a.Set(text); err == nil {
			t.Errorf("%q is %v", text, a.d)
		}
	}
}
