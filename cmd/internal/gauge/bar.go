package gauge

import "strings"

// Bar draws value as a bar of at most width characters, of which full takes all.
// Anything above nothing shows.
func Bar(value, full float64, width int) string {
	if !(value > 0) || !(full > 0) || width <= 0 {
		return ""
	}
	n := int(min(1, value/full)*float64(width) + 0.5)
	return strings.Repeat("#", max(1, n))
}
