package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// span is a flag's value in days and whole units below: "90d", "12h", "1d12h",
// "50m", "2w".
type span time.Duration

var spanUnits = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

func (s *span) Set(text string) error {
	bad := fmt.Errorf("%q is no length of time: write for example 90d, 12h or 50m", text)
	rest := strings.ToLower(strings.ReplaceAll(text, " ", ""))
	var sum float64
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if n <= 0 {
			return bad
		}
		m := n + strings.IndexFunc(rest[n:]+"0", func(r rune) bool { return r >= '0' && r <= '9' })
		value, err := strconv.ParseFloat(rest[:n], 64)
		unit, ok := spanUnits[rest[n:m]]
		if err != nil || !ok {
			return bad
		}
		sum += value * float64(unit)
		rest = rest[m:]
	}
	if !(sum >= float64(time.Second) && sum < math.MaxInt64/2) {
		return bad
	}
	*s = span(sum)
	return nil
}

// String is the span in the greatest unit that it is a whole number of.
func (s *span) String() string {
	d := time.Duration(*s)
	for _, u := range []string{"d", "h", "m"} {
		if unit := spanUnits[u]; d >= unit && d%unit == 0 {
			return strconv.FormatInt(int64(d/unit), 10) + u
		}
	}
	if d == 0 {
		return ""
	}
	return d.String()
}

func (s *span) Type() string { return "time" }
