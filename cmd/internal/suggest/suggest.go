// Package suggest finds what a mistyped word was meant to be. It knows nothing
// of what the words stand for.
package suggest

import "strings"

// Nearest is the candidate that takes the fewest edits to become word: letters
// left out, put in, replaced, or two that changed places. It is "" where that
// would be more than a third of the word, and so a guess. The first of several
// wins.
func Nearest(word string, candidates []string) string {
	best, least := "", max(1, len([]rune(word))/3)+1
	for _, c := range candidates {
		if c == "" {
			continue
		}
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts edits, as Damerau does with neighbours that changed places.
func distance(from, to string) int {
	a, b := []rune(from), []rune(to)
	before, last, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			d := last[j]
			if a[i] != b[j] {
				d++
			}
			d = min(d, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, before[j-1]+1)
			}
			row[j+1] = d
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}
