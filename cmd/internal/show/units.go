package show

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

var units = [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Bytes writes a size in binary units with three significant digits:
// "1.23 GiB". Below 1 KiB it is exact.
func Bytes(n int64) string {
	number, unit := size(float64(n))
	return number + " " + unit
}

// Rate writes bytes per second: "12.3 MiB/s".
func Rate(perSecond float64) string {
	number, unit := size(math.Round(max(0, perSecond)))
	return number + " " + unit + "/s"
}

func size(f float64) (number, unit string) {
	if f < 0 {
		number, unit = size(-f)
		return "-" + number, unit
	}
	if f < 1024 {
		return strconv.FormatFloat(f, 'f', 0, 64), units[0]
	}
	u := 0
	// 999.5 would be rounded to a fourth digit.
	for u == 0 || f >= 999.5 && u < len(units)-1 {
		f /= 1024
		u++
	}
	digits := 0
	switch {
	case f < 9.995:
		digits = 2
	case f < 99.95:
		digits = 1
	}
	return strconv.FormatFloat(f, 'f', digits, 64), units[u]
}

// bytesOf writes "1.23/4.56 GiB", with the unit once where both share it.
func bytesOf(done, all int64, between string) string {
	n, nu := size(float64(done))
	m, mu := size(float64(all))
	if nu == mu {
		return n + between + m + " " + mu
	}
	return n + " " + nu + between + m + " " + mu
}

// Duration writes a length of time in the units that matter at its size:
// "42 s", "4 min 5 s", "42 min", "1 h 23 min", "3 d 4 h". Parts of a second
// are dropped.
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-d)
	}
	s := int64(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 600:
		return pair(s/60, "min", s%60, "s")
	case s < 3600:
		return fmt.Sprintf("%d min", s/60)
	case s < 48*3600:
		return pair(s/3600, "h", s%3600/60, "min")
	default:
		return pair(s/86400, "d", s%86400/3600, "h")
	}
}

func pair(a int64, au string, b int64, bu string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, au)
	}
	return fmt.Sprintf("%d %s %d %s", a, au, b, bu)
}

// Count writes a number with its thousands apart: "1,234,567".
func Count(n int) string {
	s := strconv.Itoa(n)
	from := 3
	if n < 0 {
		from = 4
	}
	for i := len(s) - 3; i > from-3; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// files writes "1 file", "2 files".
func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return Count(n) + " files"
}
