package show

import (
	"fmt"
	"time"
)

// Credentials is the life of those in use, as far as it is known.
type Credentials struct {
	Left    time.Duration // still to live; negative when they are over
	Refresh time.Duration // until the next ones are asked for; 0: not known, or now
	Life    time.Duration // a whole life of one set; 0: not known
	Renews  bool          // new ones come with nobody's help
}

// tokens is how many sets of credentials a transfer of that length still
// takes, the one in use included unless it is dead: at least 1, and 0 where
// that is not known. A set that is replaced early lasts for less than its life.
func tokens(left time.Duration, c Credentials) int {
	if left <= c.Left {
		return 1
	}
	if c.Life <= 0 {
		return 0
	}
	usable := c.Life
	if c.Refresh > 0 {
		// Whoever asks before half of a life is over is not planning.
		usable -= min(max(0, c.Left-c.Refresh), c.Life/2)
	}
	more := int((left - max(0, c.Left) + usable - 1) / usable)
	if c.Left <= 0 {
		return max(1, more)
	}
	return 1 + more
}

// token is what a progress line says of the credentials, of which n sets are
// still needed, and what it says where there is less room.
func token(c Credentials, n int) (text, short string) {
	if c.Left <= 0 {
		return "token expired", ""
	}
	short = "token " + Duration(c.Left)
	switch {
	case n <= 1:
		return short, ""
	case !c.Renews:
		return fmt.Sprintf("%s, about %s needed", short, Count(n)), short
	}
	// Where they renew themselves, how many matters more than how long this one.
	short = fmt.Sprintf("about %s tokens", Count(n))
	if c.Refresh <= 0 {
		return short, ""
	}
	return short + ", next refresh in " + Duration(c.Refresh), short
}
