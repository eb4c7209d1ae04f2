package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is a flag's value in bytes: "16MiB", "16M" (the same), "20MB".
type byteSize int64

var byteUnits = []struct {
	suffix string
	factor float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12},
	{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40}, {"b", 1}, {"", 1},
}

func (b *byteSize) Set(s string) error {
	t := strings.ToLower(strings.TrimSpace(s))
	for _, u := range byteUnits {
		num, ok := strings.CutSuffix(t, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
		if v *= u.factor; err != nil || !(v >= 1 && v <= math.MaxInt64/2) {
			break
		}
		*b = byteSize(v)
		return nil
	}
	return fmt.Errorf("%q is no size: write for example 16MiB", s)
}

func (b *byteSize) String() string {
	for _, u := range byteUnits[:4] {
		if n := int64(*b) / int64(u.factor); int64(*b)%int64(u.factor) == 0 && n > 0 && n < 1024 {
			return strconv.FormatInt(n, 10) + map[string]string{"kib": "KiB", "mib": "MiB", "gib": "GiB", "tib": "TiB"}[u.suffix]
		}
	}
	return strconv.FormatInt(int64(*b), 10)
}

func (b *byteSize) Type() string { return "size" }
