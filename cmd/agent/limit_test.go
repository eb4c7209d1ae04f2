package main

import (
	"strings"
	"testing"
	"time"
)

func TestBandwidth(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]int64{
		"40MiB/s": 40 << 20, "40M": 40 << 20, "1.5 GB/s": 15e8, "512kib/s": 512 << 10, "10MBps": 10e6, "off": 0, "1024": 1024,
		"08:00-18:00=10MiB/s,18:00-08:00=off": 10 << 20, "mon-fri 08:00-18:00=1MiB/s, 40MiB/s": 1 << 20, "sat-sun=1MiB/s": 0,
	} {
		var b bandwidth
		if err := b.Set(text); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := b.table.At(noon); got != want {
			t.Errorf("%q at noon is %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"100Mbit/s": "is in bits", "0": `write "off"`, "0MiB/s": "is no rate", "fast": `"fast" is no rate`,
		"10": "less than 1KiB/s", "-5MiB/s": "is no rate", "08:00-18:00=x": `"x" is no rate`, "8=1MiB/s": `"8" are no days`,
	} {
		var b bandwidth
		if err := b.Set(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestNoLimiterWithoutLimit(t *testing.T) {
	var o limitOptions
	if o.limiter() != nil {
		t.Error("there is a limiter")
	}
	if err := o.limit.Set("off"); err != nil || o.limiter() != nil {
		t.Error("there is a limiter for 'off'")
	}
	if err := o.limit.Set("08:00-18:00=10MiB/s"); err != nil || o.limiter() == nil {
		t.Error("there is no limiter")
	}
}
