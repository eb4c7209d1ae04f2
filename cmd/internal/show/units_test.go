package show

import (
	"testing"
	"time"

	"agent/transfer"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1023: "1023 B", 1024: "1.00 KiB", 10229: "9.99 KiB", 10239: "10.0 KiB",
		102390: "100 KiB", 1023 * 1024: "1.00 MiB", 1 << 20: "1.00 MiB", 1320702444: "1.23 GiB",
		1 << 62: "4.00 EiB", -2048: "-2.00 KiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	if got := Rate(12897484.8); got != "12.3 MiB/s" {
		t.Error(got)
	}
	if got := Rate(-1); got != "0 B/s" {
		t.Error(got)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 42900 * time.Millisecond: "42 s", time.Minute: "1 min", 245 * time.Second: "4 min 5 s",
		42*time.Minute + 59*time.Second: "42 min", 83 * time.Minute: "1 h 23 min", 2 * time.Hour: "2 h",
		100 * time.Hour: "4 d 4 h", -90 * time.Second: "-1 min 30 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %s, not %s", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -123: "-123", -1234: "-1,234"} {
		if got := Count(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
}

func clock(s float64) time.Time { return time.Unix(0, 0).Add(time.Duration(s * float64(time.Second))) }

// What was there, or saved by an earlier run, is no speed.
func TestMeterCountsOnlyWhatMoved(t *testing.T) {
	var m meter
	for i := range 100 {
		m.observe(clock(float64(i)/5), transfer.Counts{
			BytesSent: int64(i) * 200, BytesAgain: int64(i) * 100,
			BytesThere: 1 << 40, BytesSaved: 1 << 40, BytesDone: 2 << 40,
		})
	}
	if r := m.rate(); r < 990 || r > 1010 {
		t.Errorf("%v bytes per second on the wire", r)
	}
	// Half of it goes twice: 500 a second come nearer to the end.
	if d, ok := m.left(50000); !ok || d < 95*time.Second || d > 105*time.Second {
		t.Errorf("%v left", d)
	}
}

func TestMeterForgetsWhatIsLongAgo(t *testing.T) {
	var m meter
	sent := int64(0)
	for i := range 100 {
		if i < 50 {
			sent += 1e6
		} else {
			sent += 1e3
		}
		m.observe(clock(float64(i)), transfer.Counts{BytesSent: sent})
	}
	if r := m.rate(); r < 990 || r > 1010 {
		t.Errorf("%v", r)
	}
	if len(m.recent) > 35 {
		t.Errorf("%d samples", len(m.recent))
	}
}

// An hour of waiting for credentials is not an hour of slowness.
func TestMeterIsStillWhileWaiting(t *testing.T) {
	var m meter
	for i := range 20 {
		m.observe(clock(float64(i)), transfer.Counts{BytesSent: int64(i) * 1000})
	}
	for i := range 60 {
		m.observe(clock(20+60*float64(i)), transfer.Counts{BytesSent: 19000, Waiting: "credentials"})
	}
	m.observe(clock(20+3600), transfer.Counts{BytesSent: 19000, Waiting: "credentials"})
	m.observe(clock(20+3601), transfer.Counts{BytesSent: 20000})
	if r := m.rate(); r < 950 || r > 1050 {
		t.Errorf("%v", r)
	}
	if d, ok := m.left(10000); !ok || d < 9*time.Second || d > 11*time.Second {
		t.Errorf("%v left, %v", d, ok)
	}
}

func TestMeterGuessesNothingTooEarly(t *testing.T) {
	var m meter
	m.observe(clock(0), transfer.Counts{})
	m.observe(clock(1), transfer.Counts{BytesSent: 1000})
	if d, ok := m.left(1000); ok {
		t.Errorf("%v", d)
	}
	for i := range 20 {
		m.observe(clock(float64(i)), transfer.Counts{})
	}
	if d, ok := m.left(1000); ok {
		t.Errorf("%v at no speed", d)
	}
}
