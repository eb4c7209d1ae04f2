package main

import (
	"fmt"
	"strconv"
	"strings"
)

// quota is a flag's value that is a number, or a share of a whole.
type quota struct {
	count   int64
	percent float64 // counts where text ends in %
	text    string
}

func (q *quota) Set(s string) error {
	share, isShare := strings.CutSuffix(s, "%")
	if isShare {
		p, err := strconv.ParseFloat(share, 64)
		if err != nil || !(p >= 0 && p <= 100) {
			return fmt.Errorf("%q is no share: write for example 10%%", s)
		}
		*q = quota{percent: p, text: s}
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is neither a number nor a share: write for example 500 or 10%%", s)
	}
	*q = quota{count: n, text: s}
	return nil
}

func (q *quota) String() string { return q.text }
func (q *quota) Type() string   { return "N|N%" }

// allows reports whether n of all may go.
func (q *quota) allows(n, all int64) bool {
	if strings.HasSuffix(q.text, "%") {
		return float64(n)*100 <= q.percent*float64(all)
	}
	return n <= q.count
}
