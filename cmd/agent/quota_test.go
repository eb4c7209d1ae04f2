package main

import "testing"

func TestQuota(t *testing.T) {
	for _, c := range []struct {
		text   string
		n, all int64
		want   bool
	}{
		{"10%", 10, 100, true}, {"10%", 11, 100, false}, {"10%", 1, 9, false}, {"10%", 0, 0, true},
		{"0%", 1, 100, false}, {"100%", 100, 100, true}, {"0.5%", 1, 200, true}, {"0.5%", 2, 200, false},
		{"0", 1, 100, false}, {"0", 0, 100, true}, {"5", 5, 5, true}, {"5", 6, 1000, false},
		{"7%", 7, 100, true}, {"29%", 29, 100, true}, {"57%", 57, 100, true},
	} {
		var q quota
		if err := q.Set(c.text); err != nil || q.String() != c.text {
			t.Fatalf("%q: %v", c.text, err)
		}
		if got := q.allows(c.n, c.all); got != c.want {
			t.Errorf("%s allows %d of %d: %v", c.text, c.n, c.all, got)
		}
	}
	for _, bad := range []string{"", "%", "-1", "-1%", "101%", "NaN%", "Inf%", "1e3", "ten", "1.5"} {
		if err := new(quota).Set(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
