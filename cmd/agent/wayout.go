package main

import (
	"errors"
	"fmt"

	"agent/cmd/internal/dest"
	"agent/creds"
)

// wayOut knows how to get new credentials for a destination.
type wayOut struct {
	c    *connection
	name string // of the program
	here bool   // they can be pasted on the run's own terminal
}

func (t *task) wayOut() wayOut {
	return wayOut{c: t.connection, name: t.name, here: t.terminal && isTerminal(t.std.in)}
}

// of is what would end the waiting, after what the sources answered.
func (w wayOut) of(asked creds.Answers) string {
	for _, a := range asked {
		var p *creds.PlatformError
		if errors.As(a.Err, &p) && p.Kind != creds.NoLogin {
			return w.platform(p)
		}
		var f *creds.FileError
		if errors.As(a.Err, &f) {
			return hintSecretFile(f)
		}
		if w.c.means(a.Source) {
			return a.Source + " is asked again by itself: see what it says. Meanwhile a token can be pasted: " + w.name + " creds paste " + w.c.pasteArguments()
		}
	}
	return w.renew()
}

// platform is what to do about an answer of the platform, and meanwhile.
func (w wayOut) platform(e *creds.PlatformError) string {
	hint := platformAdvice(e, w.name, w.c.scope, w.c.platformBase())
	if w.c.uses(fromPaste) {
		hint += fmt.Sprintf(". Meanwhile a token can be pasted: %s creds paste %s", w.name, w.c.pasteArguments())
	}
	return hint
}

// renew is how to get new credentials, and where to put them.
func (w wayOut) renew() string {
	paste := fmt.Sprintf("%s creds paste %s", w.name, w.c.pasteArguments())
	switch {
	case !w.c.uses(fromPaste):
		return "put new ones where the old ones came from (--credentials " + w.c.o.credentials + ")"
	case !dest.IsWorkspace(w.c.scope):
		return "put new ones where the old ones came from, or: " + paste
	}
	where := "run: " + paste
	if w.here {
		where = "paste it here (or elsewhere: " + paste + ")"
	}
	return fmt.Sprintf("get a new token at %s (%s), then %s; '%s login %s' has them renewed from then on",
		platformPage(w.c.platformBase()), tokenPage, where, w.name, w.c.scope)
}
