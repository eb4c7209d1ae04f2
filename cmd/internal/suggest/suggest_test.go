package suggest

import "testing"

func TestNearest(t *testing.T) {
	flags := []string{"part-size", "parallel", "patience", "profile", "quiet", "dry-run", "no-follow-symlinks"}
	for word, want := range map[string]string{
		"part-sise": "part-size", "partsize": "part-size", "parallell": "parallel", "quite": "quiet", "dryrun": "dry-run",
		"no-follow-symlink": "no-follow-symlinks", "Parallel": "parallel", "drün-run": "dry-run", "frobnicate": "", "x": "", "": "",
	} {
		if got := Nearest(word, flags); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
